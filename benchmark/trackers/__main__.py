"""``python -m benchmark.trackers NAME FOLDER EPOCHS RUN``: one tracker of one run; ``feed.py`` starts it (no torch)."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Protocol

from benchmark.records import RunFolder, read_json
from benchmark.trackers import facts
from benchmark.trackers.feed import CLOSE_SECONDS, OVER


class Tracker(Protocol):
    """What shows a run. Epochs that it has from an earlier attempt come again, and it leaves them out."""

    def epoch(self, entry: dict) -> None:
        """A finished epoch, as ``history.jsonl`` has it."""

    def result(self, metrics: dict[str, float]) -> None:
        """The finished run's metrics."""

    def close(self) -> None:
        """Nothing more comes."""


def main(name: str, folder: RunFolder, epochs: int, run: int) -> None:
    """Follow a run to its end. epochs: how many finished ones it went on from; run: its process."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # a cluster's notice comes to every process of a job
    threading.Thread(target=_end_after, args=(run,), daemon=True).start()
    tracker, shown, told = _made(name, folder, epochs), 0, b""
    while True:
        history = facts.history(folder)
        for entry in history[shown:]:
            tracker.epoch(entry)
        shown = len(history)
        if OVER in told:
            if result := read_json(folder.result):
                tracker.result(result["metrics"])
            break
        told = os.read(sys.stdin.fileno(), 4096)
        if not told:  # the run was killed, and its next attempt may be writing the history already
            break
    tracker.close()


def _made(name: str, folder: RunFolder, epochs: int) -> Tracker:
    described = facts.settings(folder)
    if name == "wandb":
        from benchmark.trackers.to_wandb import Wandb

        return Wandb(folder, described)
    from benchmark.trackers.to_tensorboard import TensorBoard

    return TensorBoard(folder, described, epochs)


def _end_after(run: int) -> None:
    """End this process soon after its run's, also where it hangs, or the run was killed before this began."""
    while os.getppid() == run:
        time.sleep(1)
    time.sleep(CLOSE_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    try:
        main(sys.argv[1], RunFolder(Path(sys.argv[2])), int(sys.argv[3]), int(sys.argv[4]))
    except Exception as error:  # whatever it is: its last line is what the run's log says
        sys.exit(" ".join(f"{type(error).__name__}: {error}".split()))
