"""Stop requests to a run, and the heartbeat that shows that a run is alive."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from types import FrameType

from benchmark.atomic import write_json
from benchmark.errors import SuiteError
from benchmark.records.lock import LockHeld
from benchmark.records.lock_files import BEAT_SECONDS
from benchmark.records.run_folder import RunFolder, read_json


class RunInterrupt(SuiteError):
    """Error: the run was stopped by request and has saved its state."""


class StopRequest:
    """A request to stop the run, made by a signal or by the end of the launcher.

    reason: "" as long as there is no request.
    signals: received signals, in order.
    """

    def __init__(self) -> None:
        self.reason = ""
        self.signals: list[signal.Signals] = []

    def listen(
        self, signals: Iterable[signal.Signals] = (signal.SIGINT, signal.SIGTERM), *, insist: bool = True
    ) -> None:
        """Install handlers for the signals. insist: a second signal of the same kind ends the process at once."""
        for number in signals:
            signal.signal(number, self._on_first_signal if insist else self._on_signal)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self.signals.append(signal.Signals(number))
        self.reason = f"stopped by {self.signals[-1].name}"

    def _on_first_signal(self, number: int, frame: FrameType | None) -> None:
        self._on_signal(number, frame)
        signal.signal(number, signal.SIG_DFL)


class Heartbeat:
    """A thread that writes ``heartbeat.json`` every few seconds while the run lives.

    The file holds the time, the seconds spent (earlier attempts included) and the progress. If the launcher has ended,
    or another process has taken the run over, the thread requests a stop; in the second case it writes nothing.

    progress: returns the fields of the progress; may be set later. Until then, those of the last attempt are kept.
    parent: process id of the launcher, 0 if there is none.
    """

    def __init__(
        self,
        folder: RunFolder,
        stop: StopRequest,
        progress: Callable[[], dict] | None = None,
        parent: int = 0,
    ) -> None:
        self._folder, self._stop, self._parent = folder, stop, parent
        last_beat = read_json(folder.heartbeat) or {}
        self.progress = progress or (
            lambda: {key: last_beat[key] for key in last_beat if key not in ("time", "seconds")}
        )
        self._previous_seconds, self._start = _seconds(last_beat), time.monotonic()
        self._finished = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finished.set()
        self._thread.join()
        self._beat()

    def _beat(self) -> None:
        seconds = round(self._previous_seconds + time.monotonic() - self._start, 1)
        beat = {"time": time.time(), "seconds": seconds, **self.progress()}
        try:
            write_json(self._folder.heartbeat, beat, verify=self._folder.verify)
        except LockHeld as error:
            self._stop.reason = self._stop.reason or str(error)
        except SuiteError:
            pass  # the run can go on without a heartbeat, e.g. on a full disk

    def _run(self) -> None:
        last = 0.0
        while True:
            if time.monotonic() - last >= BEAT_SECONDS or not last:
                last = time.monotonic()
                self._beat()
            if self._parent and _has_ended(self._parent) and not self._stop.reason:
                self._stop.reason = "stopped because its launcher is gone"
            if self._finished.wait(1.0):
                return


def _has_ended(parent: int) -> bool:
    """Whether the launcher has ended.

    For a process from its fork server, the launcher is not the parent process, but multiprocessing knows it.
    """
    launcher = multiprocessing.parent_process()
    return os.getppid() != parent if launcher is None else not launcher.is_alive()


def _seconds(beat: dict) -> float:
    """Seconds spent according to a heartbeat, 0 if it does not tell."""
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        if math.isfinite(seconds := float(beat.get("seconds", 0.0))):
            return max(0.0, seconds)
    return 0.0
