"""All numbers of a table: its cells and its gains."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from benchmark.config import paper
from benchmark.config.grid import METHODS, TABLES, Cell
from benchmark.config.resolve import is_comparable
from tables.cells import CellSummary, summarize_cell
from tables.gains import GainSummary, summarize_gain
from tables.records import RunView


@dataclass(frozen=True)
class TableSummary:
    """All numbers of a table; ``cells`` and ``gains`` are keyed by their place in it.

    comparable: whether the recipe is the paper's, or another reading of it.
    """

    key: str
    profile: str
    comparable: bool
    runs: tuple[RunView, ...]
    cells: Mapping[tuple[str, str, str, str], CellSummary]  # dataset, backbone, method, metric
    gains: Mapping[tuple[str, str, str], GainSummary]  # dataset, backbone, metric

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(dataset for dataset, *_ in self.cells))

    def only(self, cells: Container[str]) -> TableSummary:
        """The same of these cells alone, by id, and of the gains that they give."""
        kept = {key: cell for key, cell in self.cells.items() if cell.cell.id in cells}
        return replace(
            self,
            runs=tuple(run for run in self.runs if run.cell.id in cells),
            cells=kept,
            gains={
                (dataset, backbone, metric): gain
                for (dataset, backbone, metric), gain in self.gains.items()
                if all((dataset, backbone, method, metric) in kept for method in METHODS)
            },
        )


def shown_metrics(table: str, dataset: str) -> tuple[str, ...]:
    """The paper's metrics, and R1 where it gives mAP alone: what is measured is shown, beside nothing."""
    found = paper.metrics(table, dataset)
    return (*found, "R1") if "mAP" in found and "R1" not in found else found


def summarize(
    table: str,
    profile: str,
    runs: Iterable[RunView],
    overrides: Iterable[str] = (),
    refused: Mapping[str, str] = MappingProxyType({}),
) -> TableSummary:
    """The numbers of ``table``; runs of other tables are left out, cells without a run are ``missing``.

    overrides: ``name=value`` of the settings changed by hand. refused: cell id → why these make no sense for it.
    """
    comparable = is_comparable(profile, [entry.partition("=")[0] for entry in overrides])
    grid = TABLES[table]
    own = tuple(run for run in runs if run.cell.table == table)
    by_cell: dict[Cell, list[RunView]] = {cell: [] for cell in grid.cells}
    for run in own:
        by_cell[run.cell].append(run)
    cells = {
        (cell.dataset, cell.backbone, cell.method, metric): summarize_cell(
            cell,
            metric,
            by_cell[cell],
            comparable,
            paper.published(cell.dataset, cell.backbone, cell.method, metric),
            refused.get(cell.id, ""),
        )
        for cell in grid.cells
        for metric in shown_metrics(table, cell.dataset)
    }
    gains = {
        (dataset, backbone, metric): summarize_gain(
            cells[dataset, backbone, "baseline", metric], cells[dataset, backbone, "dcal", metric], comparable
        )
        for dataset, backbone in grid.pairs
        for metric in shown_metrics(table, dataset)
    }
    return TableSummary(table, profile, comparable, own, cells, gains)
