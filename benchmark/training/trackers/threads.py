"""The trackers of a run, each in a daemon thread of the training process (no torch)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from queue import SimpleQueue
from typing import Protocol

from benchmark.records.run_folder import RunFolder, read_json
from benchmark.training.trackers.facts import TRACKERS, Plain, settings

logger = logging.getLogger("benchmark")

CLOSE_SECONDS = 10.0  # for all trackers of a run together, at its end; less than a cluster's notice


class Tracker(Protocol):
    """What shows a run: made in the run's main thread, called in a thread of its own."""

    def open(self) -> None:
        """Begin to show the run."""

    def epoch(self, entry: dict) -> None:
        """Show a finished epoch, as ``history.jsonl`` has it."""

    def close(self, metrics: dict[str, float]) -> None:
        """Show the finished run's metrics, none of one that goes on later, and end."""


class Trackers:
    """The trackers of a run, to be left at its end. names: as ``names.parse`` gives them.

    The run never waits for one while it lasts. What one raises is one warning, and it is off from then on; one that
    hangs is left behind at the run's end.
    """

    def __init__(self, folder: RunFolder, names: Sequence[str]) -> None:
        self._folder, self._names = folder, tuple(names)
        self._threads: list[_TrackerThread] = []
        self._shown = 0

    def start(self, history: Sequence[dict]) -> None:
        """Begin to show the run. history: what it goes on from, one entry a finished epoch."""
        for name in self._names:
            try:
                thread = _TrackerThread(name, _make(name, self._folder, settings(self._folder)))
                thread.start()
                self._threads.append(thread)
            except Exception as error:  # whatever it is, the run goes on
                _warn(name, error)
        if self._threads:
            logger.info("tracked by %s", " and ".join(TRACKERS[thread.name] for thread in self._threads))
        self.show(history)

    def show(self, history: Sequence[dict]) -> None:
        """Show the epochs by which the history has grown."""
        for thread in self._threads:
            for entry in history[self._shown :]:
                thread.entries.put(entry)
        self._shown = len(history)

    def __enter__(self) -> Trackers:
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        # After a failure the folder may be another process's, and the result, too.
        result = read_json(self._folder.result) if self._threads and failure is None else None
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in self._threads:
            thread.metrics = result["metrics"] if result else {}
            thread.entries.put(None)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                thread.is_left_behind = True
                _warn(thread.name, TimeoutError(f"it did not end within {CLOSE_SECONDS:g} s of the run"))


class _TrackerThread(threading.Thread):
    """Shows a run in one tracker. entries: of the history, then None; metrics: the result's, by then."""

    def __init__(self, name: str, tracker: Tracker) -> None:
        super().__init__(name=name, daemon=True)
        self._tracker = tracker
        self.entries: SimpleQueue[dict | None] = SimpleQueue()
        self.metrics: dict[str, float] = {}
        self.is_left_behind = False  # and the warning is given

    def run(self) -> None:
        try:
            self._tracker.open()
            while (entry := self.entries.get()) is not None:
                self._tracker.epoch(entry)
            self._tracker.close(self.metrics)
        except Exception as error:  # whatever it is, the run goes on
            if not self.is_left_behind:
                _warn(self.name, error)


def _make(name: str, folder: RunFolder, described: dict[str, Plain]) -> Tracker:
    """Imports the tracker's package: in a thread, a process forked meanwhile would inherit a half-made import."""
    if name == "wandb":
        from benchmark.training.trackers.services import Wandb

        return Wandb(folder, described)
    from benchmark.training.trackers.services import TensorBoard

    return TensorBoard(folder, described)


def _warn(name: str, error: Exception) -> None:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    logger.warning("tracker %s is switched off, and the run goes on without it: %s", name, reason)
