"""The second, small table: what each inference branch of DCAL reaches alone."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.backbones import BACKBONES
from benchmark.data.registry import DATASETS
from tables import records_view as records
from tables.formats import percent, with_spread
from tables.notes import METRIC_WORDS
from tables.summary import CellSummary, TableSummary, measure

TITLE = "DCAL by inference branch, in %"
HEADINGS = ("Dataset", "Backbone", "Metric", "SA", "GLCA", "both", "top-5 (both)")


@dataclass(frozen=True)
class BranchTable:
    """Text columns, then number columns, starting at ``numbers_from``."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers_from: int = 3


def branch_table(summary: TableSummary) -> BranchTable | None:
    """One row for each DCAL cell whose records tell the branches apart; None where none does."""
    rows = [_row(cell) for key, cell in summary.cells.items() if key[2] == "dcal"]
    found = tuple(row for row in rows if any(row[3:5]))
    if not found:
        return None
    # top-5 exists for classification only: no empty column for Re-ID.
    width = len(HEADINGS) if any(row[6] for row in found) else 6
    return BranchTable(TITLE, HEADINGS[:width], tuple(row[:width] for row in found))


def _row(cell: CellSummary) -> tuple[str, ...]:
    name = cell.metric
    keys = (f"sa_{name}", f"glca_{name}", name, "top5" if name == "top1" else "")
    return (
        DATASETS[cell.cell.dataset].column,
        BACKBONES[cell.cell.backbone].title,
        METRIC_WORDS.get(name, name),
        *(_number(cell, key) for key in keys),
    )


def _number(cell: CellSummary, key: str) -> str:
    values = ((run.seed, records.metric(run, key)) for run in cell.runs)
    measured = measure({seed: value for seed, value in values if value is not None})
    if measured.mean is None:
        return ""
    return with_spread(percent(measured.mean), measured.std)
