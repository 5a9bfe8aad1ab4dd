"""Two verdicts and their rules: whether DCAL helps in these runs, and whether the published number is reached."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from tables.statistics import LEVEL, Interval

YES, NO_DIFFERENCE, HURTS, OPEN = "yes", "no difference shown", "hurts", "open"
REPRODUCED, BELOW, ABOVE, NOT_COMPARED = "reproduced", "below", "above", "not compared"
DISAGREE = "seeds disagree"
NAMES = ("the baseline", "DCAL")  # of the two cells of a gain, by default
TOLERANCE = 1.0  # points
# Where five images differ, all five favour the same method in 6 % of cases by chance; where six differ, in 3 %. An
# interval over so few excludes zero too often: over four in 12 % of cases.
MIN_DIFFERING = 6

INTERVAL_RULE = (
    f"{LEVEL} % interval of a gain: paired bootstrap over the test images or queries (percentiles), the difference of "
    "an image first averaged over the paired seeds. It covers the choice of test images, not that of seeds; the ± "
    "covers the seeds"
)
P_RULE = (
    "McNemar p: exact, two-sided, for metrics in which an image or query is either right or wrong; one for each seed, "
    "in the order of the seeds, never pooled, because the seeds share their test images"
)
HELPS_WHEN = (
    f"yes if the whole {LEVEL} % interval of the gain, unrounded, lies above 0, hurts if below, no "
    f"difference shown if it contains 0 or the methods differ on fewer than {MIN_DIFFERING} images or queries, open "
    "where there is no interval or the two methods are done with different seeds; seeds disagree: the gains of single "
    "seeds differ in sign. Where there is no difference, one verdict in twenty still says yes or hurts, by chance"
)
HELPS_RULE = f"DCAL helps: {HELPS_WHEN}"
HELPS_IN_THESE_RUNS = "this verdict is about these runs only and says nothing of the paper's claim"
REACHED_RULE = (
    f"reached: reproduced if the measured mean is within {TOLERANCE:.1f} point of the paper's number, else below or "
    f"above. Why {TOLERANCE:.1f}: two single runs whose seeds spread by 0.35 points (std) each differ by up to "
    "2 · √2 · 0.35 ≈ 1 point in 95 % of cases, and the paper gives one number without a spread. The test images are "
    "the paper's own, so their choice plays no part here"
)


@dataclass(frozen=True)
class Verdict:
    """Verdict on a gain.

    outcome: ``yes``, ``no difference shown``, ``hurts`` or ``open``. reason: why it is open, else "". flag: a warning
    beside the outcome, or "".
    """

    outcome: str
    reason: str = ""
    flag: str = ""

    @property
    def text(self) -> str:
        """The verdict as a table shows it."""
        if self.reason:
            return f"{self.outcome}: {self.reason}"
        return f"{self.outcome}; {self.flag}" if self.flag else self.outcome


def gain_verdict(
    interval: Interval | None, differing: int, gains: Collection[float], open_reason: str = ""
) -> Verdict:
    """Decide whether DCAL helps.

    interval: of the gain, in points. differing: number of images or queries on which the methods differ. gains: of the
    single seeds. open_reason: from ``open_reason``.
    """
    flag = DISAGREE if gains and min(gains) < 0 < max(gains) else ""
    if interval is None or open_reason:
        return Verdict(OPEN, open_reason, flag)
    if differing < MIN_DIFFERING:
        return Verdict(NO_DIFFERENCE, flag=flag)
    if interval.low > 0:
        return Verdict(YES, flag=flag)
    return Verdict(HURTS if interval.high < 0 else NO_DIFFERENCE, flag=flag)


def reproduction_verdict(difference: float | None) -> str:
    """Decide whether the published number is reached.

    difference: measured minus published in points, None where the two must not be compared.
    """
    if difference is None:
        return NOT_COMPARED
    # 83.1 − 82.1 is 0.9999…: the paper gives tenths of a point, so a billionth is no difference.
    if abs(difference) <= TOLERANCE + 1e-9:
        return REPRODUCED
    return BELOW if difference < 0 else ABOVE


def open_reason(
    before: Collection[int],
    after: Collection[int],
    pairs: Collection[int],
    lacking: str,
    names: tuple[str, str] = NAMES,
) -> str:
    """Reason why a verdict is open, "" where it is not.

    before, after: seeds of which the two cells have a number. pairs: seeds of which the data agree, too.
    lacking: why the predictions give no interval. names: of the two cells.
    """
    if not before or not after:
        if before or after:
            return f"only {names[0] if before else names[1]} is done"
        return "neither method is done"
    if set(before) != set(after):
        return "unequal seeds"
    if set(pairs) != set(before):
        return "different data"
    return lacking
