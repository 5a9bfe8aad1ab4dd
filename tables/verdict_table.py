"""The verdicts, one row a gain: how large, how sure, does DCAL help, is the published number reached."""

from __future__ import annotations

from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS
from tables.bootstrap import LEVEL, Interval
from tables.cells import CellSummary
from tables.formats import metric_word, p_value, signed, with_spread
from tables.gains import GainSummary
from tables.side_table import SideTable
from tables.summary import TableSummary
from tables.verdicts import NOT_COMPARED, Verdict

TITLE = "Verdicts on DCAL's gain, in points"
NAMES = ("Dataset", "Backbone", "Metric")
HEADINGS = ("measured", "n", f"{LEVEL} % interval", "McNemar p")


def verdict_table(summary: TableSummary) -> SideTable | None:
    """A row for each gain of which a run is done; None where no pair is.

    The paper's gain stands beside gains only that may be compared with it.
    """
    if not any(gain.measured.n for gain in summary.gains.values()):
        return None
    rows, compared = [], _any_compared(summary)
    for (dataset, backbone, metric), gain in summary.gains.items():
        before, after = (summary.cells[dataset, backbone, method, metric] for method in ("baseline", "dcal"))
        if before.measured.n or after.measured.n:
            rows.append(_row(summary, gain, before, after, compared))
    helps = "DCAL helps?" if summary.comparable else "DCAL helps in these runs?"
    headings, align = (*NAMES, *HEADINGS, helps), "lllrrrrl"
    if compared:
        headings = (*NAMES, "paper", *HEADINGS, helps, "baseline reached?", "DCAL reached?")
        align = "lllrrrrrlll"
    return SideTable(TITLE, headings, tuple(rows), align, len(NAMES))


def _any_compared(summary: TableSummary) -> bool:
    return any(cell.reached not in ("", NOT_COMPARED) for cell in summary.cells.values())


def _row(
    summary: TableSummary, gain: GainSummary, before: CellSummary, after: CellSummary, compared: bool
) -> tuple[str, ...]:
    names = (
        DATASETS[gain.dataset].column,
        BACKBONES[gain.backbone].title,
        metric_word(gain.metric),
    )
    mean = gain.measured.mean
    numbers = (
        "" if mean is None else with_spread(signed(mean), gain.measured.std),
        str(gain.measured.n),
        interval_text(gain.interval),
        ", ".join(map(p_value, gain.p_values.values())),
        told(gain, gain.verdict, summary.comparable),
    )
    if not compared:
        return (*names, *numbers)
    # Beside a gain that may not be held against it, the paper's would be.
    hidden = gain.published is None or (gain.measured.n and not gain.compared)
    published = "" if hidden else signed(gain.published)
    return (*names, published, *numbers, before.reached, after.reached)


def told(gain: GainSummary, verdict: Verdict, comparable: bool) -> str:
    """A verdict on the gain. comparable: whether the recipe is the paper's: then the heading speaks of the method, and
    the number of a subset does not.
    """
    subset = gain.measured.n and not gain.comparable_data
    return f"{verdict.text}, in these runs" if comparable and subset else verdict.text


def interval_text(interval: Interval | None) -> str:
    """``−0.1 to +3.2``, or "" for none."""
    return "" if interval is None else f"{signed(interval.low)} to {signed(interval.high)}"
