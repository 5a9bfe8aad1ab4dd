"""What a launch shows: a block of live lines on a terminal; in a log a line an event, and one a minute (no torch)."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Sequence
from typing import TextIO

from benchmark.records.progress import log_line, progress_rows, read_progress
from benchmark.records.status import RunView, state_counts
from benchmark.records.terminal_text import write_control

REFRESH_SECONDS = 0.5  # on a terminal
LINE_SECONDS = 60.0  # elsewhere


class LiveView:
    """Counts, the running runs with their progress and the time each has left, and every run's end."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out or sys.stderr
        self.live = self.out.isatty()
        self._lines = 0
        self._shown_at = 0.0 if self.live else time.monotonic()
        self._began = time.monotonic()
        self._total = self._done = self._failed = 0

    def start(self, views: Sequence[RunView]) -> None:
        """Say what is there before anything runs."""
        states = [view.state for view in views]
        self._total, self._done = len(views), states.count("done")
        self._print(f"{len(views)} runs: {state_counts(states)}")

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
        """Show how far everything is: redraw the live block, or once a minute print a line."""
        if time.monotonic() - self._shown_at < (REFRESH_SECONDS if self.live else LINE_SECONDS):
            return
        self._shown_at = time.monotonic()
        progress = [(view.id, read_progress(view.folder)) for view in running]
        others = [view.id for view in elsewhere]
        counts = self._counts(len(running), queued)
        if not self.live:
            self._print(log_line(f"{self._clock()} {counts[0]}", progress, others))
            return
        width, height = self._size()
        first = next(
            (text for text in (f"{self._clock()} {counts[0]}", *counts) if len(text) < width), counts[-1]
        )
        lines = [first[: width - 1], *progress_rows(progress, others, width - 1, height - 2)]
        self._clear()
        self.out.write("".join(f"{text}\n" for text in lines))
        self.out.flush()
        self._lines = len(lines)

    def stop(self) -> None:
        """Take the live block away."""
        self._clear()
        self.out.flush()

    def _counts(self, running: int, queued: int) -> tuple[str, str]:
        """In many words and in few."""
        failed = f", {self._failed} failed" if self._failed else ""
        done = f"{self._done}/{self._total} done"
        return f"{done}, {running} running, {queued} waiting{failed}", f"{done}{failed}, {running} running"

    def _size(self) -> tuple[int, int]:
        """Columns and lines of the terminal that is written to."""
        try:
            columns, lines = os.get_terminal_size(self.out.fileno())
        except (OSError, ValueError):
            columns = lines = 0
        fallback = shutil.get_terminal_size()
        return columns or fallback.columns, lines or fallback.lines

    def _print(self, text: str) -> None:
        self._clear()
        self.out.write(text + "\n")
        self.out.flush()

    def _clear(self) -> None:
        if self._lines:
            write_control(self.out, f"\x1b[{self._lines}F\x1b[J")
            self._lines = 0

    def _clock(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        return f"[{minutes:3d}:{seconds:02d}]"
