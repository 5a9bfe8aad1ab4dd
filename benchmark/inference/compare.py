"""What an evaluation finds against what the run recorded: bit for bit, or how far apart (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

# To rounding: by how much the probabilities (or average precisions) of the test pictures may differ in the mean between
# two machines, and a metric in points. A single prediction may well flip, another model's are farther apart.
ROUNDING = {"float32": 1e-3, "bfloat16": 2e-2, "float16": 1e-2}
POINTS = 1.0
DIGEST = "outputs_sha256"


@dataclass(frozen=True)
class Difference:
    """One number or array that is not the recorded one. text: in words. rounding: whether it may be that alone."""

    text: str
    rounding: bool


@dataclass(frozen=True)
class Comparison:
    """numbers, arrays: how many of each were compared. other_way: how it was computed otherwise than recorded, or "".

    differences: empty where all are equal, bit for bit.
    """

    numbers: int
    arrays: int
    differences: tuple[Difference, ...]
    other_way: str = ""

    @property
    def verdict(self) -> str:
        """``equal``; ``rounding`` where it was computed in another way and differs by no more; ``different``."""
        if not self.differences:
            return "equal"
        small = all(difference.rounding for difference in self.differences)
        return "rounding" if self.other_way and small else "different"

    @property
    def text(self) -> str:
        """The verdict in words, a difference a line."""
        compared = f"{self.numbers} numbers and {self.arrays} arrays"
        if self.verdict == "equal":
            return f"equal, bit for bit ({compared})"
        head = {
            "rounding": f"equal to rounding; {self.other_way}",
            "different": f"DIFFERENT, {len(self.differences)} of {compared}"
            + (f"; {self.other_way}" if self.other_way else ""),
        }[self.verdict]
        return "\n".join([head, *(f"  {difference.text}" for difference in self.differences)])


def compare(
    recorded: Mapping[str, object],
    found: Mapping[str, object],
    recorded_arrays: Mapping[str, np.ndarray],
    found_arrays: Mapping[str, np.ndarray],
    *,
    precision: str,
    other_way: str = "",
) -> Comparison:
    """Every recorded number and array against what was found under its name.

    recorded, found: by name; numbers are compared as they are, not rounded. recorded_arrays: those of predictions.npz,
    of an older record maybe fewer than are found today. precision: of the computation, says what rounding is.
    """
    differences = []
    for name in dict.fromkeys((*recorded, *found)):
        was, now = recorded.get(name), found.get(name)
        if was != now or type(was) is not type(now):
            both = (was, now)
            near = name.startswith(DIGEST) and None not in both  # of outputs, which any rounding changes
            near |= all(isinstance(value, float) for value in both) and abs(was - now) <= POINTS
            differences.append(Difference(f"{name}: recorded {was}, found {now}", near))
    for name in recorded_arrays:
        if name not in found_arrays:
            differences.append(Difference(f"{name}: recorded, but no longer found", False))
        elif difference := _of_arrays(name, recorded_arrays[name], found_arrays[name], ROUNDING[precision]):
            differences.append(difference)
    return Comparison(
        len(recorded.keys() | found.keys()), len(recorded_arrays), tuple(differences), other_way
    )


def _of_arrays(name: str, was: np.ndarray, now: np.ndarray, most: float) -> Difference | None:
    import numpy as np

    if was.dtype != now.dtype or was.shape != now.shape:
        return Difference(
            f"{name}: recorded {was.dtype} {was.shape}, found {now.dtype} {now.shape}", rounding=False
        )
    if was.tobytes() == now.tobytes():
        return None
    if was.dtype.kind != "f":
        count = int(np.count_nonzero(was != now))
        return Difference(f"{name}: {count:,} of {was.size:,} differ", rounding=was.dtype.kind in "ib")
    gap = np.abs(was.astype(np.float64) - now.astype(np.float64))
    return Difference(
        f"{name}: {np.count_nonzero(gap):,} of {was.size:,} differ, by {gap.max():.3g} at most, by {gap.mean():.3g} in "
        "the mean",
        bool(gap.mean() <= most),  # not for NaN
    )


def other_way(recorded: Mapping[str, object], here: Mapping[str, object]) -> str:
    """``computed on … instead of …``: where machine, precision, threads or versions differ; "" where none does.

    What a record does not say, e.g. the versions of a saved file's, counts as another.
    """
    changed = [
        f"{name} {here[name]} instead of {recorded.get(name, 'an unknown one')}"
        for name in here
        if recorded.get(name) != here[name]
    ]
    return f"computed with {', '.join(changed)}" if changed else ""
