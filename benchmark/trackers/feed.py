"""A run's side of its trackers: a process each, told of every epoch and never waited for (no torch)."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from benchmark.errors import SuiteError
from benchmark.logs import write_history
from benchmark.provenance import ROOT
from benchmark.records import RunFolder
from benchmark.trackers.names import TRACKERS

logger = logging.getLogger("benchmark")

CLOSE_SECONDS = 10.0  # for all trackers of a run together, at its end; less than a cluster's notice
MORE, OVER = b"\n", b"."  # what a tracker hears: the history has grown; the run has ended


class Feed:
    """The trackers of a run, to be left at its end. names: as ``names.parse`` gives them.

    They are processes that read the run folder. Whatever one does, the run computes the same: it cannot draw from the
    run's random streams, hold its interpreter, take its signals or end it. One that fails is named in one warning and
    is off from then on; one that hangs is ended with the run.
    """

    def __init__(self, folder: RunFolder, names: Sequence[str]) -> None:
        self._folder, self._names = folder, tuple(names)
        self._trackers: list[_Tracker] = []

    def start(self, history: list[dict]) -> None:
        """history: what the run goes on from, one entry a finished epoch."""
        if not self._names:
            return
        # A killed attempt may have written more than its checkpoint holds.
        write_history(self._folder, history)
        for name in self._names:
            try:
                self._trackers.append(_Tracker(name, self._folder, len(history)))
            except OSError as error:
                _warn(name, str(error))
        if self._trackers:
            logger.info("tracked by %s", " and ".join(TRACKERS[tracker.name] for tracker in self._trackers))

    def tell(self) -> None:
        """That ``history.jsonl`` has grown."""
        for tracker in list(self._trackers):
            tracker.hear(MORE)
            if (failure := tracker.failure()) is not None:
                self._trackers.remove(tracker)
                _warn(tracker.name, failure or "it ended before the run")

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *_: object) -> None:
        for tracker in self._trackers:
            tracker.hear_the_end(is_lost=_is_lost(self._folder))
        deadline = time.monotonic() + CLOSE_SECONDS
        for tracker in self._trackers:
            if failure := tracker.ended(max(0.0, deadline - time.monotonic())):
                _warn(tracker.name, failure)


def _is_lost(folder: RunFolder) -> bool:
    """Whether another process has taken the run over, whose history and result it is then."""
    try:
        folder.verify()
    except SuiteError:
        return True
    return False


def _warn(name: str, failure: str) -> None:
    logger.warning("tracker %s is switched off, and the run goes on without it: %s", name, failure)


class _Tracker:
    """One tracker's process. epochs: how many the history has. Raises OSError if it cannot be started."""

    def __init__(self, name: str, folder: RunFolder, epochs: int) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile()
        arguments = (name, str(folder.path.absolute()), str(epochs), str(os.getpid()))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmark.trackers", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C is for the run, which ends its trackers
        )
        os.set_blocking(self._process.stdin.fileno(), False)

    def hear(self, word: bytes) -> None:
        """Tell it, if it listens."""
        with contextlib.suppress(OSError):  # it has ended, or has not listened for 65,536 epochs
            os.write(self._process.stdin.fileno(), word)

    def hear_the_end(self, *, is_lost: bool) -> None:
        """Tell it that the run has ended; of a lost one only that nothing more comes."""
        if not is_lost:
            self.hear(OVER)
        else:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def failure(self) -> str | None:
        """Why it has ended, "" if it ended as it should, None while it lives."""
        code = self._process.poll()
        if code is None:
            return None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        with self._errors:
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip().splitlines()
        if code == 0:
            return ""
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return said[-1] if said and code > 0 else how

    def ended(self, seconds: float) -> str:
        """Wait for its end, for so long at most; why it failed, or ""."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        if (failure := self.failure()) is None:
            os.killpg(self._process.pid, signal.SIGKILL)  # it may have processes of its own
            self._process.wait()
            self.failure()
            return f"it did not end within {CLOSE_SECONDS:.0f} s of the run"
        return failure
