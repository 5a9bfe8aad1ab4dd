"""Two verdicts and their rules: does DCAL help in these runs, and is the published number reached."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from tables.statistics import LEVEL, Interval

YES, NO_DIFFERENCE, HURTS, OPEN = "yes", "no difference shown", "hurts", "open"
REPRODUCED, BELOW, ABOVE, NOT_COMPARED = "reproduced", "below", "above", "not compared"
DISAGREE = "seeds disagree"
NAMES = ("the baseline", "DCAL")  # of the two that a gain is between, where nothing else is said
TOLERANCE = 1.0  # points
# Of five images that differ all five fall on one side in 6 % of cases by chance, of six in 3 %. An interval of so few
# excludes zero too often: with four in 12 % of cases.
FEWEST = 6

INTERVAL_RULE = (
    f"{LEVEL} % interval of a gain: paired bootstrap over the test images or queries (percentiles), the difference of "
    "an image first averaged over the paired seeds. It covers the choice of test images, not that of seeds, which the "
    "± covers"
)
P_RULE = (
    "McNemar p: exact, two-sided, where an image or query is either right or wrong; one a seed in the order of the "
    "seeds, never pooled, because the seeds share their test images"
)
HELPS_WHEN = (
    f"yes if the whole {LEVEL} % interval of the gain, unrounded, lies above 0, hurts if below, no "
    f"difference shown if it contains 0 or fewer than {FEWEST} images or queries tell the methods apart, open where "
    "there is no interval or the two methods are done with different seeds; seeds disagree: the gains of single seeds "
    "differ in sign. Where there is no difference, one verdict in twenty still says yes or hurts, by chance"
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
    """helps: ``yes``, ``no difference shown``, ``hurts`` or ``open``; reason: why it is open; flag: or "".

    ``text`` is what a table shows.
    """

    helps: str
    reason: str = ""
    flag: str = ""

    @property
    def text(self) -> str:
        if self.reason:
            return f"{self.helps}: {self.reason}"
        return f"{self.helps}; {self.flag}" if self.flag else self.helps


def helps(
    interval: Interval | None, differing: int, gains: Collection[float], open_because: str = ""
) -> Verdict:
    """The verdict on a gain. interval: in points; differing: images or queries that tell the methods apart; gains: of
    the single seeds; open_because: from ``why_open``.
    """
    flag = DISAGREE if gains and min(gains) < 0 < max(gains) else ""
    if interval is None or open_because:
        return Verdict(OPEN, open_because, flag)
    if differing < FEWEST:
        return Verdict(NO_DIFFERENCE, flag=flag)
    if interval.low > 0:
        return Verdict(YES, flag=flag)
    return Verdict(HURTS if interval.high < 0 else NO_DIFFERENCE, flag=flag)


def reached(difference: float | None) -> str:
    """The verdict on measured minus published, in points; None where the two must not be compared."""
    if difference is None:
        return NOT_COMPARED
    # 83.1 − 82.1 is 0.9999…: a tenth of a point is what the paper gives, so a billionth is no difference.
    if abs(difference) <= TOLERANCE + 1e-9:
        return REPRODUCED
    return BELOW if difference < 0 else ABOVE


def why_open(
    before: Collection[int],
    after: Collection[int],
    paired: Collection[int],
    lacking: str,
    names: tuple[str, str] = NAMES,
) -> str:
    """Why there is no verdict, or "".

    before, after: seeds of which the baseline and DCAL, or the two that ``names`` calls them, have a number; paired:
    those whose data agree too. lacking: why the predictions give no interval.
    """
    if not before or not after:
        if before or after:
            return f"only {names[0] if before else names[1]} is done"
        return "neither method is done"
    if set(before) != set(after):
        return "unequal seeds"
    if set(paired) != set(before):
        return "different data"
    return lacking
