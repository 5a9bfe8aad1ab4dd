"""Progress of a run, read from its heartbeat, as text for terminals and logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.config.parse import duration
from benchmark.errors import RunError
from benchmark.records import lock_files
from benchmark.records.run_folder import RunFolder, read_checked

_COUNTS = ("epoch", "epochs", "step", "steps")
_MAX_COUNT = 10**9  # of epochs and steps
_SCHEMA = {**dict.fromkeys(_COUNTS, int), "seconds?": float, "time": float}


@dataclass(frozen=True)
class Progress:
    """Progress of a run.

    epoch, epochs: finished epochs, and all.
    step, steps: finished steps of the current epoch, and all of that epoch.
    seconds: time spent in all attempts, each from the creation of its model to its last sign of life.
    silent_seconds: time since the last sign of life, by the file system's clock.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    seconds: float
    silent_seconds: float

    @property
    def share(self) -> float:
        """Finished share of the training, 0 to 1."""
        return min(1.0, (self.epoch + self.step / max(1, self.steps)) / max(1, self.epochs))

    @property
    def remaining_seconds(self) -> float | None:
        """Remaining time at the average pace, evaluations and lost work included; None at the very start."""
        return self.seconds / self.share * (1 - self.share) if self.share > 0 else None

    @property
    def silence(self) -> str:
        """``, last sign 40 s ago``; "" if it is recent."""
        return f", last sign {self.silent_seconds:,.0f} s ago" if self.silent_seconds > 30 else ""

    def __str__(self) -> str:
        return f"epoch {self.epoch} of {self.epochs}{self.silence}"


def read_progress(folder: RunFolder) -> Progress | None:
    """Read the progress from the last heartbeat; None if there is none or it is not readable."""
    try:
        beat, _ = read_checked(folder.heartbeat, _SCHEMA)
        if beat is None:
            return None
        age = lock_files.file_age(folder.heartbeat)
    except (RunError, OSError):
        return None
    counts = (min(beat[name], _MAX_COUNT) for name in _COUNTS)
    return Progress(*counts, float(beat.get("seconds", 0.0)), age)


# --- Progress as text, in the width of a terminal or in a log line ---

MAX_BAR, MIN_BAR = 20, 5  # characters of a progress bar
MIN_NAME = 12  # shortest name of a run that still identifies it


def time_left(seconds: float | None) -> str:
    """Remaining time as text, ``4 min left``; None means unknown."""
    return "time left unknown" if seconds is None else f"{duration(round(seconds))} left"


def progress_texts(progress: Progress | None) -> tuple[str, ...]:
    """Texts of the same progress, the longest first."""
    if progress is None:
        return ("starting, time left unknown", "starting")
    epoch = f"{min(progress.epoch + 1, progress.epochs)}/{progress.epochs}"
    if progress.share >= 1:
        return (f"epoch {epoch}, last evaluation", f"{epoch}, evaluating")
    remaining = time_left(progress.remaining_seconds)
    return (
        f"epoch {epoch}, step {progress.step}/{progress.steps}, {remaining}",
        f"epoch {epoch}, {remaining}",
        f"{epoch}, {remaining.replace('time left unknown', '? left')}",
    )


def progress_rows(
    runs: Sequence[tuple[str, Progress | None]], elsewhere: Sequence[str], width: int, height: int
) -> list[str]:
    """Lines of at most ``width`` characters, one per run and in the same columns; at most ``height`` lines.

    In a narrow terminal first the bar is left out, then the text is shortened, then the names.

    runs: name and progress of each.
    elsewhere: names of the runs that another process works on.
    """
    entries = [(name, progress_texts(progress), progress) for name, progress in runs]
    entries += [(name, ("in another process", "elsewhere"), None) for name in elsewhere]
    if not entries:
        return []
    longest = max(len(name) for name, *_ in entries)
    level = next((n for n in range(2) if 3 + longest + _max_width(entries, n) <= width), 2)
    room = max(MIN_NAME, min(longest, width - 3 - _max_width(entries, level)))
    cells = min(MAX_BAR, width - 4 - room - _max_width(entries, level))
    lines = []
    for name, texts, progress in entries:
        bar = f"{_bar(progress, cells)} " if cells >= MIN_BAR else ""
        lines.append(f"  {shorten(name, room):<{room}} {bar}{_choose_text(texts, level)}"[:width])
    if len(lines) > max(1, height):
        count = max(1, height - 1)
        lines = [*lines[:count], f"  … and {len(lines) - count} more"]
    return lines


def log_line(counts: str, runs: Sequence[tuple[str, Progress | None]], elsewhere: Sequence[str]) -> str:
    """The counts and the progress of all runs in one line."""
    parts = [f"{name} {progress_texts(progress)[0]}" for name, progress in runs]
    parts += [f"{name} in another process" for name in elsewhere]
    return "; ".join([counts, *parts])


def shorten(name: str, room: int) -> str:
    """Shorten a run's name to ``room`` characters: ``seed`` becomes ``s``, then the middle of parts is left out.

    The backbone is shortened first: ``msmt17/deit_small/dcal/seed0`` in 21: ``msmt17/de…all/dcal/s0``.
    """
    if len(name) <= room:
        return name
    *parts, seed = name.split("/")
    parts.append(seed.replace("seed", "s"))
    lengths, backbone = [len(part) for part in parts], len(parts) - 3
    while sum(lengths) + len(parts) - 1 > room:
        longer = [number for number, length in enumerate(lengths) if length > 3]
        if not longer:
            break
        lengths[max(longer, key=lambda number: lengths[number] + 4 * (number == backbone))] -= 1
    return "/".join(map(_without_middle, parts, lengths))[-room:]  # the seed is kept longest


def _without_middle(part: str, length: int) -> str:
    if len(part) <= length:
        return part
    head = (length - 1) // 2
    return f"{part[:head]}…{part[head + 1 - length :]}"


def _choose_text(texts: tuple[str, ...], level: int) -> str:
    return texts[min(level, len(texts) - 1)]


def _max_width(entries: Sequence[tuple[str, tuple[str, ...], Progress | None]], level: int) -> int:
    return max(len(_choose_text(texts, level)) for _, texts, _ in entries)


def _bar(progress: Progress | None, cells: int) -> str:
    filled = int(cells * progress.share) if progress else 0
    return ("█" * filled + "░" * (cells - filled)) if progress else " " * cells
