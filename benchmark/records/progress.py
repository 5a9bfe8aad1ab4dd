"""How far a run is and what it took so far, from its heartbeat (no torch)."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.errors import RunError
from benchmark.records import file_clock
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
        age = file_clock.age(folder.heartbeat)
    except (RunError, OSError):
        return None
    counts = (min(beat[name], _MOST) for name in _COUNTS)
    return Progress(*counts, float(beat.get("seconds", 0.0)), age)
