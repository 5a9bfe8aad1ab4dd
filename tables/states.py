"""Summary of a table: all its cells and gains in numbers; texts for cells without a number."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from benchmark.config import paper
from benchmark.config.grid import METHODS, TABLES, Cell
from benchmark.config.parse import abridged
from benchmark.config.resolve import is_comparable
from benchmark.records.status import RunView
from tables.cells import CellSummary, run_state, summarize_cell
from tables.formats import one_line
from tables.gains import GainSummary, summarize_gain
from tables.records import seeds_text

_LABELS = {
    "missing": "not run",
    "no-data": "no data",
    "no-weights": "no weights",
    "no-number": "no number in record",
    "left-out": "left out",
}
_CELL_LENGTH = 40  # characters of a state and its reason inside the table
_LINE_LENGTH = 160  # characters of a line of the list


def state_label(state: str) -> str:
    """A state as tables show it: ``not run`` for ``missing``."""
    return _LABELS.get(state, state)


def state_text(summary: CellSummary) -> str:
    """Text in place of a number: ``no data``, ``failed: out of memory``, ``2 queued, 1 running``."""
    states = list(summary.states)
    if len(states) > 1:
        return state_counts(summary)
    if states[0] in ("failed", "damaged"):
        reason = next((run.reason for run in summary.runs if run.reason), "")
        return one_line(f"{states[0]}: {reason}" if reason else states[0], _CELL_LENGTH)
    return state_label(states[0])


def state_counts(summary: CellSummary) -> str:
    """``2 done, 1 failed``."""
    return ", ".join(f"{count} {state_label(state)}" for state, count in sorted(summary.states.items()))


def partial_cells(table: TableSummary) -> list[str]:
    """One line for each cell of which only some seeds are done."""
    lines = {
        f"{summary.cell.id}: {state_counts(summary)}": None
        for summary in table.cells.values()
        if summary.measured.n and not summary.complete
    }
    return list(lines)


def state_list(table: TableSummary) -> list[str]:
    """Lines ``cell — state: reason`` of the cells that are not done, one for each state and reason."""
    groups: dict[tuple[str, str], dict[str, None]] = {}
    for summary in table.cells.values():
        cell_groups: dict[tuple[str, str], list[int]] = {}
        for run in summary.runs:
            state = run_state(run, summary.metric)
            reason = f"its record has no {summary.metric}" if state == "no-number" else one_line(run.reason)
            # Avoids "not run: not run".
            reason = "" if reason == state_label(state) else reason
            if state != "done":
                cell_groups.setdefault((state, reason), []).append(run.seed)
        if not summary.runs:
            cell_groups[next(iter(summary.states)), one_line(summary.left_out)] = []
        for key, seeds in cell_groups.items():
            suffix = "" if len(seeds) == len(summary.runs) else f" {seeds_text(seeds)}"
            groups.setdefault(key, {})[summary.cell.id + suffix] = None
    return [
        one_line(
            f"{abridged(list(names))} — {state_label(state)}" + (f": {reason}" if reason else ""),
            _LINE_LENGTH,
        )
        for (state, reason), names in groups.items()
    ]


@dataclass(frozen=True)
class TableSummary:
    """All numbers of a table.

    key: of the table in ``benchmark.config.grid.TABLES``, or ``ablations``.
    comparable: whether the recipe is the paper's, or another reading of it.
    cells: (dataset, backbone, method, metric) → cell.
    gains: (dataset, backbone, metric) → gain.
    """

    key: str
    profile: str
    comparable: bool
    runs: tuple[RunView, ...]
    cells: Mapping[tuple[str, str, str, str], CellSummary]
    gains: Mapping[tuple[str, str, str], GainSummary]

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(dataset for dataset, *_ in self.cells))

    def select(self, cells: Container[str]) -> TableSummary:
        """The summary of these cells (ids) alone, with the gains between them."""
        selected = {key: cell for key, cell in self.cells.items() if cell.cell.id in cells}
        return replace(
            self,
            runs=tuple(run for run in self.runs if run.cell.id in cells),
            cells=selected,
            gains={
                (dataset, backbone, metric): gain
                for (dataset, backbone, metric), gain in self.gains.items()
                if all((dataset, backbone, method, metric) in selected for method in METHODS)
            },
        )


def table_metrics(table: str, dataset: str) -> tuple[str, ...]:
    """The paper's metrics, and R1 where the paper gives mAP alone: our R1 is shown without a published number."""
    metrics = paper.metrics(table, dataset)
    return (*metrics, "R1") if "mAP" in metrics and "R1" not in metrics else metrics


def summarize(
    table: str,
    profile: str,
    runs: Iterable[RunView],
    overrides: Iterable[str] = (),
    refused: Mapping[str, str] = MappingProxyType({}),
) -> TableSummary:
    """Summarize a table; runs of other tables are left out, cells without a run are ``missing``.

    table: key of ``benchmark.config.grid.TABLES``.
    overrides: ``name=value`` of the settings changed by hand.
    refused: cell id → why the overrides are not applicable to it.
    """
    comparable = is_comparable(profile, [override.partition("=")[0] for override in overrides])
    grid = TABLES[table]
    table_runs = tuple(run for run in runs if run.cell.table == table)
    cell_runs: dict[Cell, list[RunView]] = {cell: [] for cell in grid.cells}
    for run in table_runs:
        cell_runs[run.cell].append(run)
    cells = {
        (cell.dataset, cell.backbone, cell.method, metric): summarize_cell(
            cell,
            metric,
            cell_runs[cell],
            comparable,
            paper.published(cell.dataset, cell.backbone, cell.method, metric),
            refused.get(cell.id, ""),
        )
        for cell in grid.cells
        for metric in table_metrics(table, cell.dataset)
    }
    gains = {
        (dataset, backbone, metric): summarize_gain(
            cells[dataset, backbone, "baseline", metric], cells[dataset, backbone, "dcal", metric], comparable
        )
        for dataset, backbone in grid.pairs
        for metric in table_metrics(table, dataset)
    }
    return TableSummary(table, profile, comparable, table_runs, cells, gains)
