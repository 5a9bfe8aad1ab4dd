"""Side tables below the main one: inference branches, GLCA's overhead, verdicts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS
from benchmark.config.paper import OVERHEADS, PublishedOverhead
from benchmark.records.forecasts import GLCACost, Overheads, glca_cost_path, read_glca_cost
from tables import records
from tables.cells import CellSummary, measure
from tables.formats import mean_and_std, metric_word, p_value, percent, signed
from tables.gains import GainSummary
from tables.states import TableSummary
from tables.statistics import LEVEL, Interval
from tables.table import Table
from tables.verdicts import NOT_COMPARED, Verdict

# --- What each inference branch of DCAL reaches alone ---

BRANCH_TITLE = "DCAL by inference branch, in %"
BRANCH_HEADINGS = ("Dataset", "Backbone", "Metric", "SA", "GLCA", "both", "top-5 (both)")


def branch_table(summary: TableSummary) -> Table | None:
    """One row for each DCAL cell whose records have the metric of single branches; None where no record has."""
    rows = [_branch_row(cell) for key, cell in summary.cells.items() if key[2] == "dcal"]
    rows = [row for row in rows if any(row[3:5])]
    if not rows:
        return None
    # Re-ID has no top-5: the column would be empty.
    width = len(BRANCH_HEADINGS) if any(row[6] for row in rows) else 6
    return Table.from_texts(
        BRANCH_TITLE,
        BRANCH_HEADINGS[:width],
        [row[:width] for row in rows],
        "lll" + "r" * (width - 3),
        labels=3,
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
    return "" if measured.mean is None else mean_and_std(percent(measured.mean), measured.std)


# --- GLCA's cost, counted, beside the paper's percentages ---

OVERHEAD_TITLE = "What GLCA adds to a baseline, in % of it, counted at the paper's sizes"
OVERHEAD_HEADINGS = ("Dataset and backbone", "of its", "paper", "counted", "rollout besides")
OVERHEAD_NOTE = (
    "GLCA's overhead is counted, not timed, at the paper's image sizes whatever the profile: block, norm and "
    "classifier (VeRi-776: no classifier), multiply-adds of one image. The rollout, which computes the scores of the "
    "blocks before GLCA's once more, is not in the paper's figure and stands beside it"
)


def read_overheads(folders: Iterable[Path], profile: str) -> Overheads | None:
    """GLCA's overheads from the first folder of runs that has them; None where no folder has."""
    return next(filter(None, (read_glca_cost(glca_cost_path(folder, profile)) for folder in folders)), None)


def overhead_table(overheads: Overheads | None) -> Table | None:
    """Two rows for each model of which the paper gives the overhead; None for None."""
    if overheads is None:
        return None
    rows = [
        row
        for published in OVERHEADS
        for row in _overhead_rows(published, overheads.costs[published.dataset, published.backbone])
    ]
    return Table.from_texts(OVERHEAD_TITLE, OVERHEAD_HEADINGS, rows, "llrrr", labels=2)


def _overhead_rows(published: PublishedOverhead, cost: GLCACost) -> list[tuple[str, ...]]:
    name = f"{DATASETS[published.dataset].column}, {BACKBONES[published.backbone].title}"
    return [
        (name, "parameters", f"{published.parameters}", f"{cost.parameters_percent:.2f}", ""),
        (
            name,
            "multiply-adds",
            f"{published.multiply_adds}",
            f"{cost.multiply_adds_percent:.2f}",
            f"{cost.rollout_percent:.1f}",
        ),
    ]


# --- Verdicts: one row for each gain ---

VERDICT_TITLE = "Verdicts on DCAL's gain, in points"
VERDICT_LABELS = ("Dataset", "Backbone", "Metric")
VERDICT_HEADINGS = ("measured", "n", f"{LEVEL} % interval", "McNemar p")


def verdict_table(summary: TableSummary) -> Table | None:
    """One row for each gain of which a run is done; None where no pair of runs is done.

    The paper's gain is shown only beside gains that may be compared with it.
    """
    if not any(gain.measured.n for gain in summary.gains.values()):
        return None
    compared = any(cell.reproduction not in ("", NOT_COMPARED) for cell in summary.cells.values())
    rows = []
    for (dataset, backbone, metric), gain in summary.gains.items():
        baseline, dcal = (summary.cells[dataset, backbone, method, metric] for method in ("baseline", "dcal"))
        if baseline.measured.n or dcal.measured.n:
            rows.append(_verdict_row(summary, gain, baseline, dcal, compared))
    helps = "DCAL helps?" if summary.comparable else "DCAL helps in these runs?"
    headings, align = (*VERDICT_LABELS, *VERDICT_HEADINGS, helps), "lllrrrrl"
    if compared:
        headings = (
            *VERDICT_LABELS,
            "paper",
            *VERDICT_HEADINGS,
            helps,
            "baseline reached?",
            "DCAL reached?",
        )
        align = "lllrrrrrlll"
    return Table.from_texts(VERDICT_TITLE, headings, rows, align, len(VERDICT_LABELS))


def _verdict_row(
    summary: TableSummary, gain: GainSummary, baseline: CellSummary, dcal: CellSummary, compared: bool
) -> tuple[str, ...]:
    labels = (
        DATASETS[gain.dataset].column,
        BACKBONES[gain.backbone].title,
        metric_word(gain.metric),
    )
    mean = gain.measured.mean
    numbers = (
        "" if mean is None else mean_and_std(signed(mean), gain.measured.std),
        str(gain.measured.n),
        interval_text(gain.interval),
        ", ".join(map(p_value, gain.p_values.values())),
        verdict_text(gain, gain.verdict, summary.comparable),
    )
    if not compared:
        return (*labels, *numbers)
    # The paper's gain beside a gain of other data would invite a comparison that is not valid.
    hidden = gain.published is None or (gain.measured.n and not gain.compared)
    published = "" if hidden else signed(gain.published)
    return (*labels, published, *numbers, baseline.reproduction, dcal.reproduction)


def verdict_text(gain: GainSummary, verdict: Verdict, comparable: bool) -> str:
    """Text of a verdict on a gain.

    comparable: whether the recipe is the paper's. The heading then speaks of the method in general, so the verdict on a
    subset of the data says that it is about these runs.
    """
    subset = gain.measured.n and not gain.comparable_data
    return f"{verdict.text}, in these runs" if comparable and subset else verdict.text


def interval_text(interval: Interval | None) -> str:
    """``−0.1 to +3.2``, or "" for None."""
    return "" if interval is None else f"{signed(interval.low)} to {signed(interval.high)}"
