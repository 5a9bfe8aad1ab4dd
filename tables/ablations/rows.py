"""The ablations in numbers: each row's mean and spread, its gains over the baseline and over its reference."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from benchmark.config.ablations import ROWS, SWEEPS, AblationRow
from benchmark.config.grid import ABLATIONS, Cell, named
from benchmark.config.resolve import is_comparable
from benchmark.records.status import RunView
from tables.cells import CellSummary, summarize_cell
from tables.gains import GainSummary, summarize_gain
from tables.paired import plain
from tables.states import TableSummary
from tables.verdicts import NAMES

# What a cell that nobody started says.
_UNSTARTED = ("missing", "no-data", "no-weights")


@dataclass(frozen=True)
class RowSummary:
    """A row in numbers.

    title: with the setting that the profile really has. gain: over the baseline of its dataset and backbone, None for
    a baseline itself. against: over the row's reference, None where that is the baseline; against_title: its title.
    """

    row: AblationRow
    title: str
    cell: CellSummary
    gain: GainSummary | None
    against: GainSummary | None
    against_title: str


@dataclass(frozen=True)
class Ablations:
    """rows: in the registry's order. table: the same cells as a table's, without gains."""

    rows: tuple[RowSummary, ...]
    table: TableSummary

    @property
    def groups(self) -> dict[str, tuple[RowSummary, ...]]:
        """Rows by the title of their group."""
        found: dict[str, list[RowSummary]] = {}
        for row in self.rows:
            found.setdefault(row.row.group, []).append(row)
        return {title: tuple(rows) for title, rows in found.items()}

    def only(self, cells: Container[str]) -> Ablations:
        """The rows of these cells alone, by id."""
        return Ablations(tuple(row for row in self.rows if row.row.cell in cells), self.table.only(cells))


def was_started(runs: Iterable[RunView]) -> bool:
    """Whether there is anything of the ablations but the tables' own cells, which they share."""
    return any(run.cell.table == ABLATIONS and run.state not in _UNSTARTED for run in runs)


def summarize(
    profile: str,
    runs: Iterable[RunView],
    overrides: Iterable[str] = (),
    refused: Mapping[str, str] = MappingProxyType({}),
) -> Ablations:
    """All rows in numbers; runs of other cells are left out. overrides, refused: as for ``summary.summarize``."""
    comparable = is_comparable(profile, [entry.partition("=")[0] for entry in overrides])
    by_cell: dict[str, list[RunView]] = {row.cell: [] for row in ROWS}
    for run in runs:
        if run.cell.id in by_cell:
            by_cell[run.cell.id].append(run)
    published = {(row.cell, row.metric): row.published for row in ROWS if row.published is not None}
    cells: dict[tuple[str, str], CellSummary] = {}
    for at in dict.fromkeys((row.cell, row.metric) for row in ROWS):
        cell_id, metric = at
        own = by_cell[cell_id]
        why = refused.get(cell_id, "")
        cells[at] = summarize_cell(named(cell_id), metric, own, comparable, published.get(at), why)
    table = TableSummary(
        ABLATIONS,
        profile,
        comparable,
        tuple(run for own in by_cell.values() for run in own),
        {(*_key(found.cell), found.metric): found for found in cells.values()},
        {},
    )
    return Ablations(tuple(_row(row, cells, by_cell[row.cell], comparable) for row in ROWS), table)


def _key(cell: Cell) -> tuple[str, str, str]:
    return cell.dataset, cell.backbone, cell.method


def _row(
    row: AblationRow, cells: dict[tuple[str, str], CellSummary], runs: Sequence[RunView], recipe: bool
) -> RowSummary:
    cell, metric, title = cells[row.cell, row.metric], plain(row.metric), titled(row, runs)
    baseline = row.cell.rpartition("/")[0] + "/baseline"
    gain = against = None
    reference = ""
    if row.cell != baseline:
        gain = summarize_gain(cells[baseline, metric], cell, recipe, (NAMES[0], f"'{title}'"))
    if row.reference not in ("", baseline):
        reference = _title_of(row.reference, row.group)
        against = summarize_gain(cells[row.reference, metric], cell, recipe, (f"'{reference}'", f"'{title}'"))
    return RowSummary(row, title, cell, gain, against, reference)


def titled(row: AblationRow, runs: Sequence[RunView]) -> str:
    """The row's title, with the value that the runs really have where a profile needs another one: of few patches 1 %
    are none.
    """
    for sweep in SWEEPS:
        for x, cell in sweep.points:
            if runs and row.cell == cell and row.title.startswith(f"{sweep.name} = "):
                real, unit = sweep.x(runs[0].config), " %" if row.title.endswith("%") else ""
                return row.title if abs(real - x) < 1e-9 else f"{row.title} (here {real:g}{unit})"
    return row.title


def _title_of(cell_id: str, group: str) -> str:
    """What a cell is called, in this group if it stands there."""
    titles = [(row.group != group, row.title) for row in ROWS if row.cell == cell_id]
    return min(titles, key=lambda found: found[0])[1]
