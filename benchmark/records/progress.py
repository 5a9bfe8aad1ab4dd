"""How far a run is and what it took so far, from its heartbeat (no torch)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.config.parse import duration
from benchmark.errors import RunError
from benchmark.records import lock_files
from benchmark.records.run_folder import RunFolder, read_checked

_COUNTS = ("epoch", "epochs", "step", "steps")
_MOST = 10**9  # of epochs and steps
_SCHEMA = {**dict.fromkeys(_COUNTS, int), "seconds?": float, "time": float}


@dataclass(frozen=True)
class Progress:
    """epoch, step: finished ones, of epochs and of this epoch's steps. seconds: spent over all attempts, each from
    its model's making to its last sign. silent_seconds: since the last sign, by the file system's clock.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    seconds: float
    silent_seconds: float

    @property
    def share(self) -> float:
        """Of the whole training, 0 to 1."""
        return min(1.0, (self.epoch + self.step / max(1, self.steps)) / max(1, self.epochs))

    @property
    def remaining_seconds(self) -> float | None:
        """At the pace so far, evaluations and lost work included; None before there is a pace."""
        return self.seconds / self.share * (1 - self.share) if self.share > 0 else None

    @property
    def silence(self) -> str:
        """``, last sign 40 s ago``, or "" if that was a moment ago."""
        return f", last sign {self.silent_seconds:,.0f} s ago" if self.silent_seconds > 30 else ""

    def __str__(self) -> str:
        return f"epoch {self.epoch} of {self.epochs}{self.silence}"


def read_progress(folder: RunFolder) -> Progress | None:
    """What the last heartbeat says, or None where there is none or it is not readable."""
    try:
        beat, _ = read_checked(folder.heartbeat, _SCHEMA)
        if beat is None:
            return None
        age = lock_files.file_age(folder.heartbeat)
    except (RunError, OSError):
        return None
    counts = (min(beat[name], _MOST) for name in _COUNTS)
    return Progress(*counts, float(beat.get("seconds", 0.0)), age)


# --- How far runs are, in the room that a terminal or a log line has ---

BAR, LEAST_BAR = 20, 5  # cells of a bar; a shorter one says nothing
LEAST_NAME = 12  # characters of a run's name that still tell it from others


def time_left(seconds: float | None) -> str:
    """``4 min left``, or that it is not known yet."""
    return "time left unknown" if seconds is None else f"{duration(round(seconds))} left"


def texts(progress: Progress | None) -> tuple[str, ...]:
    """The same progress in words, the longest text first."""
    if progress is None:
        return ("starting, time left unknown", "starting")
    epoch = f"{min(progress.epoch + 1, progress.epochs)}/{progress.epochs}"
    if progress.share >= 1:
        return (f"epoch {epoch}, last evaluation", f"{epoch}, evaluating")
    left = time_left(progress.remaining_seconds)
    return (
        f"epoch {epoch}, step {progress.step}/{progress.steps}, {left}",
        f"epoch {epoch}, {left}",
        f"{epoch}, {left.replace('time left unknown', '? left')}",
    )


def rows(
    runs: Sequence[tuple[str, Progress | None]], elsewhere: Sequence[str], width: int, height: int
) -> list[str]:
    """A line a run of ``width`` characters at most, all with the same columns; at most ``height`` lines.

    runs: name and progress. elsewhere: names of the runs that another process works on.
    The progress is whole: where there is little room, the bar goes first, then words, then the middle of the names.
    """
    shown = [(name, texts(progress), progress) for name, progress in runs]
    shown += [(name, ("in another process", "elsewhere"), None) for name in elsewhere]
    if not shown:
        return []
    longest = max(len(name) for name, *_ in shown)
    brief = next((n for n in range(2) if 3 + longest + _widest(shown, n) <= width), 2)
    room = max(LEAST_NAME, min(longest, width - 3 - _widest(shown, brief)))
    cells = min(BAR, width - 4 - room - _widest(shown, brief))
    lines = []
    for name, words, progress in shown:
        drawn = f"{_bar(progress, cells)} " if cells >= LEAST_BAR else ""
        lines.append(f"  {shortened(name, room):<{room}} {drawn}{_words(words, brief)}"[:width])
    if len(lines) > max(1, height):
        kept = max(1, height - 1)
        lines = [*lines[:kept], f"  … and {len(lines) - kept} more"]
    return lines


def log_line(counts: str, runs: Sequence[tuple[str, Progress | None]], elsewhere: Sequence[str]) -> str:
    """All of it in one line."""
    each = [f"{name} {texts(progress)[0]}" for name, progress in runs]
    each += [f"{name} in another process" for name in elsewhere]
    return "; ".join([counts, *each])


def shortened(name: str, room: int) -> str:
    """A run's name in so many characters: ``seed`` becomes ``s``, then parts lose their middle, the backbone first.

    ``msmt17/deit_small/dcal/seed0`` in 21: ``msmt17/de…all/dcal/s0``.
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
    return "/".join(map(_without_middle, parts, lengths))[-room:]  # the seed last of all


def _without_middle(part: str, length: int) -> str:
    if len(part) <= length:
        return part
    head = (length - 1) // 2
    return f"{part[:head]}…{part[head + 1 - length :]}"


def _words(words: tuple[str, ...], brief: int) -> str:
    return words[min(brief, len(words) - 1)]


def _widest(shown: Sequence[tuple[str, tuple[str, ...], Progress | None]], brief: int) -> int:
    return max(len(_words(words, brief)) for _, words, _ in shown)


def _bar(progress: Progress | None, cells: int) -> str:
    filled = int(cells * progress.share) if progress else 0
    return ("█" * filled + "░" * (cells - filled)) if progress else " " * cells
