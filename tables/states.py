"""All numbers of a table: its cells and its gains."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from benchmark.config import paper
from benchmark.config.grid import METHODS, TABLES, Cell
from benchmark.config.parse import abridged
from benchmark.config.resolve import is_comparable
from tables.cells import CellSummary, run_state, summarize_cell
from tables.formats import one_line
from tables.gains import GainSummary, summarize_gain
from tables.records import RunView, seeds_text

WORDS = {
    "missing": "not run",
    "no-data": "no data",
    "no-weights": "no weights",
    "no-number": "no number in record",
    "left-out": "left out",
}
IN_TABLE = 40  # characters of a state and its reason inside the table
IN_LIST = 160  # characters of a line of the list


def word(state: str) -> str:
    return WORDS.get(state, state)


def in_table(summary: CellSummary) -> str:
    """What stands instead of a number: ``no data``, ``failed: out of memory``, ``2 queued, 1 running``."""
    states = list(summary.states)
    if len(states) > 1:
        return counted(summary)
    if states[0] in ("failed", "damaged"):
        reason = next((run.reason for run in summary.runs if run.reason), "")
        return one_line(f"{states[0]}: {reason}" if reason else states[0], IN_TABLE)
    return word(states[0])


def counted(summary: CellSummary) -> str:
    """``2 done, 1 failed``."""
    return ", ".join(f"{count} {word(state)}" for state, count in sorted(summary.states.items()))


def partial(table: TableSummary) -> list[str]:
    """One line for each cell of which some seeds are done and some are not."""
    lines = {
        f"{summary.cell.id}: {counted(summary)}": None
        for summary in table.cells.values()
        if summary.measured.n and not summary.complete
    }
    return list(lines)


def listed(table: TableSummary) -> list[str]:
    """``cell — state: reason``, one line each, cells with the same state and reason together."""
    groups: dict[tuple[str, str], dict[str, None]] = {}
    for summary in table.cells.values():
        cell_groups: dict[tuple[str, str], list[int]] = {}
        for run in summary.runs:
            state = run_state(run, summary.metric)
            reason = f"its record has no {summary.metric}" if state == "no-number" else one_line(run.reason)
            # "not run — not run" says nothing twice.
            reason = "" if reason == word(state) else reason
            if state != "done":
                cell_groups.setdefault((state, reason), []).append(run.seed)
        if not summary.runs:
            cell_groups[next(iter(summary.states)), one_line(summary.left_out)] = []
        for key, seeds in cell_groups.items():
            some = "" if len(seeds) == len(summary.runs) else f" {seeds_text(seeds)}"
            groups.setdefault(key, {})[summary.cell.id + some] = None
    return [
        one_line(f"{abridged(list(names))} — {word(state)}" + (f": {reason}" if reason else ""), IN_LIST)
        for (state, reason), names in groups.items()
    ]


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
