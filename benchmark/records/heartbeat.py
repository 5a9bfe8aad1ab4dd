"""Being told to stop, and showing that one is alive (no torch)."""

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
from benchmark.records.lock import BEAT_SECONDS, Busy
from benchmark.records.run_folder import RunFolder, read_json


class Stopped(SuiteError):
    """The run was told to stop and has saved its state."""


class StopRequest:
    """Set by a signal, or when the launcher that started this process is gone. signals: those that came, in order."""

    def __init__(self) -> None:
        self.reason = ""
        self.signals: list[signal.Signals] = []

    def listen(
        self, signals: Iterable[signal.Signals] = (signal.SIGINT, signal.SIGTERM), *, insist: bool = True
    ) -> None:
        """Take over the signals. insist: a second one of the same kind acts at once."""
        for number in signals:
            signal.signal(number, self._on_impatient if insist else self._on_signal)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self.signals.append(signal.Signals(number))
        self.reason = f"stopped by {self.signals[-1].name}"

    def _on_impatient(self, number: int, frame: FrameType | None) -> None:
        self._on_signal(number, frame)
        signal.signal(number, signal.SIG_DFL)


class Heartbeat:
    """A thread that writes ``heartbeat.json`` every few seconds while the run lives.

    Written beside the time are the seconds spent, former attempts' included, and what progress says, which may be set
    later; until then it is what the last attempt said.
    parent: process id of the launcher, 0 if there is none; when it is gone, the run is asked to stop. So it is when
    another process has taken the run over, and nothing is written then.
    """

    def __init__(
        self,
        folder: RunFolder,
        stop: StopRequest,
        progress: Callable[[], dict] | None = None,
        parent: int = 0,
    ) -> None:
        self._folder, self._stop, self._parent = folder, stop, parent
        before = read_json(folder.heartbeat) or {}
        self.progress = progress or (
            lambda: {key: before[key] for key in before if key not in ("time", "seconds")}
        )
        self._before, self._began = _seconds(before), time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._beat()

    def _beat(self) -> None:
        seconds = round(self._before + time.monotonic() - self._began, 1)
        beat = {"time": time.time(), "seconds": seconds, **self.progress()}
        try:
            write_json(self._folder.heartbeat, beat, verify=self._folder.verify)
        except Busy as lost:
            self._stop.reason = self._stop.reason or str(lost)
        except SuiteError:
            pass  # a full disk must not end a run that can go on without it

    def _run(self) -> None:
        last = 0.0
        while True:
            if time.monotonic() - last >= BEAT_SECONDS or not last:
                last = time.monotonic()
                self._beat()
            if self._parent and _has_lost(self._parent) and not self._stop.reason:
                self._stop.reason = "stopped because its launcher is gone"
            if self._ended.wait(1.0):
                return


def _has_lost(parent: int) -> bool:
    """Whether the launcher is gone: of a process from its fork server it is no parent, but holds a pipe open."""
    launcher = multiprocessing.parent_process()
    return os.getppid() != parent if launcher is None else not launcher.is_alive()


def _seconds(beat: dict) -> float:
    """Spent before, 0 where the heartbeat does not say."""
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        if math.isfinite(seconds := float(beat.get("seconds", 0.0))):
            return max(0.0, seconds)
    return 0.0
