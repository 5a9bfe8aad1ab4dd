"""Comparison of an evaluation with the run's record: equal bit for bit, or by how much they differ (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

# Limits for differences by rounding between two machines: of the probabilities (or average precisions) of the test
# pictures in the mean, and of a metric in percentage points. Single predictions may change; those of another model
# differ by more.
MAX_MEAN_DIFFERENCE = {"float32": 1e-3, "bfloat16": 2e-2, "float16": 1e-2}
MAX_METRIC_DIFFERENCE = 1.0
DIGEST = "outputs_sha256"


@dataclass(frozen=True)
class Difference:
    """A number or array that differs from the recorded one.

    text: description of the difference.
    rounding: whether rounding alone can explain it.
    """

    text: str
    rounding: bool


@dataclass(frozen=True)
class Comparison:
    """Result of a comparison with a record.

    numbers, arrays: how many of each were compared.
    differences: empty if all are equal, bit for bit.
    computing_difference: how the computation differed from the recorded one, or "".
    """

    numbers: int
    arrays: int
    differences: tuple[Difference, ...]
    computing_difference: str = ""

    @property
    def verdict(self) -> str:
        """``equal``; ``rounding`` if the computation differed and rounding explains all differences; ``different``."""
        if not self.differences:
            return "equal"
        small = all(difference.rounding for difference in self.differences)
        return "rounding" if self.computing_difference and small else "different"

    @property
    def text(self) -> str:
        """The verdict as text, one difference per line."""
        compared = f"{self.numbers} numbers and {self.arrays} arrays"
        if self.verdict == "equal":
            return f"equal, bit for bit ({compared})"
        head = {
            "rounding": f"equal to rounding; {self.computing_difference}",
            "different": f"DIFFERENT, {len(self.differences)} of {compared}"
            + (f"; {self.computing_difference}" if self.computing_difference else ""),
        }[self.verdict]
        return "\n".join([head, *(f"  {difference.text}" for difference in self.differences)])


def compare(
    recorded: Mapping[str, object],
    new: Mapping[str, object],
    recorded_arrays: Mapping[str, np.ndarray],
    new_arrays: Mapping[str, np.ndarray],
    *,
    precision: str,
    computing_difference: str = "",
) -> Comparison:
    """Compare every recorded number and array with the new one of the same name.

    recorded, new: numbers and texts by name, not rounded.
    recorded_arrays: arrays of predictions.npz; an older record may have fewer than new_arrays.
    precision: of the computation; decides which differences count as rounding.
    computing_difference: as of ``Comparison``.
    """
    differences = []
    for name in dict.fromkeys((*recorded, *new)):
        old_value, new_value = values = recorded.get(name), new.get(name)
        if old_value != new_value or type(old_value) is not type(new_value):
            # Rounding changes every digest of outputs, and metrics by little.
            rounding = name.startswith(DIGEST) and None not in values
            if all(isinstance(value, float) for value in values):
                rounding = abs(old_value - new_value) <= MAX_METRIC_DIFFERENCE
            differences.append(Difference(f"{name}: recorded {old_value}, found {new_value}", rounding))
    for name in recorded_arrays:
        if name not in new_arrays:
            differences.append(Difference(f"{name}: recorded, but no longer found", False))
        elif difference := _array_difference(
            name, recorded_arrays[name], new_arrays[name], MAX_MEAN_DIFFERENCE[precision]
        ):
            differences.append(difference)
    return Comparison(
        len(recorded.keys() | new.keys()), len(recorded_arrays), tuple(differences), computing_difference
    )


def _array_difference(
    name: str, recorded: np.ndarray, new: np.ndarray, max_difference: float
) -> Difference | None:
    import numpy as np

    if recorded.dtype != new.dtype or recorded.shape != new.shape:
        return Difference(
            f"{name}: recorded {recorded.dtype} {recorded.shape}, found {new.dtype} {new.shape}",
            rounding=False,
        )
    if recorded.tobytes() == new.tobytes():
        return None
    if recorded.dtype.kind != "f":
        count = int(np.count_nonzero(recorded != new))
        return Difference(
            f"{name}: {count:,} of {recorded.size:,} differ", rounding=recorded.dtype.kind in "ib"
        )
    gap = np.abs(recorded.astype(np.float64) - new.astype(np.float64))
    return Difference(
        f"{name}: {np.count_nonzero(gap):,} of {recorded.size:,} differ, by {gap.max():.3g} at most, by "
        f"{gap.mean():.3g} in the mean",
        bool(gap.mean() <= max_difference),  # not for NaN
    )


def computing_difference(recorded: Mapping[str, object], current: Mapping[str, object]) -> str:
    """``computed with … instead of …``, if machine, precision, threads or versions differ; else "".

    A value that the record lacks, such as a version in a saved file, counts as different.
    """
    changed = [
        f"{name} {current[name]} instead of {recorded.get(name, 'an unknown one')}"
        for name in current
        if recorded.get(name) != current[name]
    ]
    return f"computed with {', '.join(changed)}" if changed else ""
