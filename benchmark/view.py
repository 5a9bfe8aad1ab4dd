"""What a launch shows: a block of live lines on a terminal, a quiet line an event in a log (no torch)."""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import TextIO

from benchmark.progress import read_progress
from benchmark.status import RunView
from benchmark.visible import control

REFRESH_SECONDS = 0.5


class LiveView:
    """Counts, the running runs with their progress, and every run's end."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out or sys.stderr
        self.live = self.out.isatty()
        self._lines = 0
        self._shown_at = 0.0
        self._began = time.monotonic()
        self._total = self._done = self._failed = 0

    def start(self, views: Sequence[RunView]) -> None:
        """Say what is there before anything runs."""
        counts = Counter(view.state for view in views)
        self._total, self._done = len(views), counts["done"]
        self._print(f"{len(views)} runs: {', '.join(f'{n} {state}' for state, n in counts.most_common())}")

    def started(self, view: RunView) -> None:
        """A run was given a slot."""
        if not self.live:
            self._print(f"{self._clock()} start {view.id}")

    def elsewhere(self, view: RunView) -> None:
        """Another process holds a run that was to start."""
        self._print(f"{self._clock()} {view.id} is worked on by another process; waiting for it")

    def done_elsewhere(self, view: RunView) -> None:
        """A run that was waited for has its result."""
        self._done += 1
        self._print(f"{self._clock()} done  {view.id} by another process ({self._done}/{self._total})")

    def ended(self, view: RunView, reason: str, seconds: float, *, stopped: bool = False) -> None:
        """A run's process ended; reason is empty for a finished one. stopped: because everything was told to."""
        if not reason:
            self._done += 1
            self._print(f"{self._clock()} done  {view.id} in {seconds:.0f} s ({self._done}/{self._total})")
        elif stopped:
            self._print(f"{self._clock()} stop  {view.id} after {seconds:.0f} s: {reason}")
        else:
            self._failed += 1
            self._print(f"{self._clock()} FAILED {view.id} after {seconds:.0f} s: {reason}")

    def refresh(self, running: Sequence[RunView], queued: int, elsewhere: Sequence[RunView]) -> None:
        """Redraw the live block, on a terminal only."""
        if not self.live or time.monotonic() - self._shown_at < REFRESH_SECONDS:
            return
        self._shown_at = time.monotonic()
        lines = [
            f"{self._clock()} {self._done}/{self._total} done, {len(running)} running, {queued} waiting"
            + (f", {self._failed} failed" if self._failed else "")
        ]
        lines += [f"  {view.id:<36} {_bar(view)}" for view in running]
        lines += [f"  {view.id:<36} in another process" for view in elsewhere]
        self._clear()
        width = shutil.get_terminal_size().columns - 1
        self.out.write("".join(line[:width] + "\n" for line in lines))
        self.out.flush()
        self._lines = len(lines)

    def stop(self) -> None:
        """Take the live block away."""
        self._clear()
        self.out.flush()

    def _print(self, line: str) -> None:
        self._clear()
        self.out.write(line + "\n")
        self.out.flush()

    def _clear(self) -> None:
        if self._lines:
            control(self.out, f"\x1b[{self._lines}F\x1b[J")
            self._lines = 0

    def _clock(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        return f"[{minutes:3d}:{seconds:02d}]"


def _bar(view: RunView) -> str:
    progress = read_progress(view.folder)
    if progress is None:
        return "starting"
    filled = int(20 * progress.share)
    epoch = min(progress.epoch + 1, progress.epochs)
    return f"{'█' * filled}{'░' * (20 - filled)} epoch {epoch}/{progress.epochs}"
