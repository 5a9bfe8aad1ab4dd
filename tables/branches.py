"""The second, small table: what each inference branch of DCAL reaches alone."""

from __future__ import annotations

from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS
from tables import records
from tables.cells import CellSummary, measure
from tables.formats import metric_word, percent, with_spread
from tables.side_table import SideTable
from tables.summary import TableSummary

TITLE = "DCAL by inference branch, in %"
HEADINGS = ("Dataset", "Backbone", "Metric", "SA", "GLCA", "both", "top-5 (both)")


def branch_table(summary: TableSummary) -> SideTable | None:
    """One row for each DCAL cell whose records tell the branches apart; None where none does."""
    rows = [_row(cell) for key, cell in summary.cells.items() if key[2] == "dcal"]
    found = tuple(row for row in rows if any(row[3:5]))
    if not found:
        return None
    # top-5 exists for classification only: no empty column for Re-ID.
    width = len(HEADINGS) if any(row[6] for row in found) else 6
    return SideTable(TITLE, HEADINGS[:width], tuple(row[:width] for row in found), "lll" + "r" * (width - 3))


def _row(cell: CellSummary) -> tuple[str, ...]:
    name = cell.metric
    keys = (f"sa_{name}", f"glca_{name}", name, "top5" if name == "top1" else "")
    return (
        DATASETS[cell.cell.dataset].column,
        BACKBONES[cell.cell.backbone].title,
        metric_word(name),
        *(_number(cell, key) for key in keys),
    )


def _number(cell: CellSummary, key: str) -> str:
    values = ((run.seed, records.metric(run, key)) for run in cell.runs)
    measured = measure({seed: value for seed, value in values if value is not None})
    if measured.mean is None:
        return ""
    return with_spread(percent(measured.mean), measured.std)
