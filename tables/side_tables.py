"""A small table beside the main one: branches, verdicts. Text cells only; each export draws it its own way."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS
from benchmark.config.paper import OVERHEADS, PublishedOverhead
from benchmark.records.forecasts import GLCACost, Overheads, glca_cost_path, read_glca_cost
from tables import records
from tables.cells import CellSummary, measure
from tables.formats import metric_word, p_value, percent, signed, with_spread
from tables.gains import GainSummary
from tables.states import TableSummary
from tables.statistics import LEVEL, Interval
from tables.verdicts import NOT_COMPARED, Verdict


@dataclass(frozen=True)
class SideTable:
    """align: ``l`` or ``r`` for each column; the first ``names`` columns say what a row is about."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    align: str
    names: int = 3

    def only(self, columns: list[int]) -> SideTable:
        """The table with these columns."""
        return SideTable(
            self.title,
            tuple(self.headings[column] for column in columns),
            tuple(tuple(row[column] for column in columns) for row in self.rows),
            "".join(self.align[column] for column in columns),
            self.names,
        )

    def panels(self, width: int, gap: int = 2) -> list[SideTable]:
        """Tables at most ``width`` letters wide that together have all columns, each with the names in front.

        gap: letters between two columns, and around a heading, which tabulate pads. A column that is too wide by
        itself still comes, alone.
        """
        columns = zip(self.headings, *self.rows, strict=True)
        widths = [max([len(heading) + gap, *map(_width, cells)]) + gap for heading, *cells in columns]
        names = list(range(self.names))
        room = width + gap - sum(widths[: self.names])
        panels: list[list[int]] = [[]]
        used = 0
        for column in range(self.names, len(self.headings)):
            if panels[-1] and used + widths[column] > room:
                panels.append([])
                used = 0
            panels[-1].append(column)
            used += widths[column]
        return [self.only(names + columns) for columns in panels]

    def wrapped(self, width: int) -> SideTable:
        """The table with names at most ``width`` letters wide, on several lines where they need them."""
        rows = tuple(
            (
                *(textwrap.fill(name, width, break_on_hyphens=False) for name in row[: self.names]),
                *row[self.names :],
            )
            for row in self.rows
        )
        return replace(self, rows=rows)


def _width(cell: str) -> int:
    return max(map(len, cell.splitlines()), default=0)


# --- The second, small table: what each inference branch of DCAL reaches alone ---

BRANCH_TITLE = "DCAL by inference branch, in %"
BRANCH_HEADINGS = ("Dataset", "Backbone", "Metric", "SA", "GLCA", "both", "top-5 (both)")


def branch_table(summary: TableSummary) -> SideTable | None:
    """One row for each DCAL cell whose records tell the branches apart; None where none does."""
    rows = [_branch_row(cell) for key, cell in summary.cells.items() if key[2] == "dcal"]
    found = tuple(row for row in rows if any(row[3:5]))
    if not found:
        return None
    # top-5 exists for classification only: no empty column for Re-ID.
    width = len(BRANCH_HEADINGS) if any(row[6] for row in found) else 6
    return SideTable(
        BRANCH_TITLE, BRANCH_HEADINGS[:width], tuple(row[:width] for row in found), "lll" + "r" * (width - 3)
    )


def _branch_row(cell: CellSummary) -> tuple[str, ...]:
    name = cell.metric
    keys = (f"sa_{name}", f"glca_{name}", name, "top5" if name == "top1" else "")
    return (
        DATASETS[cell.cell.dataset].column,
        BACKBONES[cell.cell.backbone].title,
        metric_word(name),
        *(_branch_number(cell, key) for key in keys),
    )


def _branch_number(cell: CellSummary, key: str) -> str:
    values = ((run.seed, records.metric(run, key)) for run in cell.runs)
    measured = measure({seed: value for seed, value in values if value is not None})
    if measured.mean is None:
        return ""
    return with_spread(percent(measured.mean), measured.std)


# --- What GLCA costs, counted, beside the paper's percentages ---

OVERHEAD_TITLE = "What GLCA adds to a baseline, in % of it, counted at the paper's sizes"
OVERHEAD_HEADINGS = ("Dataset and backbone", "of its", "paper", "counted", "rollout besides")
OVERHEAD_NOTE = (
    "GLCA's overhead is counted, not timed, at the paper's image sizes whatever the profile: block, norm and "
    "classifier (VeRi-776: no classifier), multiply-adds of one image. The rollout, which computes the scores of the "
    "blocks before GLCA's once more, is not in the paper's figure and stands beside it"
)


def counted_in(folders: Iterable[Path], profile: str) -> Overheads | None:
    """What the first of several folders of runs that has any holds; None where nothing was counted."""
    return next(filter(None, (read_glca_cost(glca_cost_path(folder, profile)) for folder in folders)), None)


def overhead_table(found: Overheads | None) -> SideTable | None:
    """Two rows a published model; None where nothing was counted."""
    if found is None:
        return None
    rows = [
        row for told in OVERHEADS for row in _overhead_rows(told, found.costs[told.dataset, told.backbone])
    ]
    return SideTable(OVERHEAD_TITLE, OVERHEAD_HEADINGS, tuple(rows), "llrrr", 2)


def _overhead_rows(told: PublishedOverhead, cost: GLCACost) -> list[tuple[str, ...]]:
    name = f"{DATASETS[told.dataset].column}, {BACKBONES[told.backbone].title}"
    return [
        (name, "parameters", f"{told.parameters}", f"{cost.parameters_percent:.2f}", ""),
        (
            name,
            "multiply-adds",
            f"{told.multiply_adds}",
            f"{cost.multiply_adds_percent:.2f}",
            f"{cost.rollout_percent:.1f}",
        ),
    ]


# --- The verdicts, one row a gain: how large, how sure, does DCAL help, is the published number reached ---

VERDICT_TITLE = "Verdicts on DCAL's gain, in points"
NAMES = ("Dataset", "Backbone", "Metric")
VERDICT_HEADINGS = ("measured", "n", f"{LEVEL} % interval", "McNemar p")


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
            rows.append(_verdict_row(summary, gain, before, after, compared))
    helps = "DCAL helps?" if summary.comparable else "DCAL helps in these runs?"
    headings, align = (*NAMES, *VERDICT_HEADINGS, helps), "lllrrrrl"
    if compared:
        headings = (*NAMES, "paper", *VERDICT_HEADINGS, helps, "baseline reached?", "DCAL reached?")
        align = "lllrrrrrlll"
    return SideTable(VERDICT_TITLE, headings, tuple(rows), align, len(NAMES))


def _any_compared(summary: TableSummary) -> bool:
    return any(cell.reached not in ("", NOT_COMPARED) for cell in summary.cells.values())


def _verdict_row(
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
