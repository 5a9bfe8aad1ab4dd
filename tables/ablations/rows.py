"""Summary of the ablations: each row's mean and spread, its gains over the baseline and over its reference."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from benchmark.config.ablations import ROWS, SWEEPS, AblationRow
from benchmark.config.grid import ABLATIONS, named
from benchmark.config.resolve import is_comparable
from benchmark.records.status import RunView
from tables.cells import CellSummary, summarize_cell
from tables.gains import GainSummary, summarize_gain
from tables.outcomes import base_metric
from tables.states import TableSummary
from tables.verdicts import NAMES

# States of a run that was never started.
_UNSTARTED = ("missing", "no-data", "no-weights")


@dataclass(frozen=True)
class RowSummary:
    """Numbers of one row.

    title: with the setting that the profile really has.
    gain: over the baseline of the dataset and backbone, None for a baseline itself.
    reference_gain: over the row's reference, None where that is the baseline. reference_title: of the reference, or "".
    """

    row: AblationRow
    title: str
    cell: CellSummary
    gain: GainSummary | None
    reference_gain: GainSummary | None
    reference_title: str


@dataclass(frozen=True)
class Ablations:
    """All ablations in numbers. rows: in the registry's order. table: the same cells as a table's, without gains."""

    rows: tuple[RowSummary, ...]
    table: TableSummary

    @property
    def groups(self) -> dict[str, tuple[RowSummary, ...]]:
        """Title of a group → its rows."""
        groups: dict[str, list[RowSummary]] = {}
        for row in self.rows:
            groups.setdefault(row.row.group, []).append(row)
        return {title: tuple(rows) for title, rows in groups.items()}

    def select(self, cells: Container[str]) -> Ablations:
        """The rows of these cells (ids) alone."""
        return Ablations(tuple(row for row in self.rows if row.row.cell in cells), self.table.select(cells))


def has_ablation_runs(runs: Iterable[RunView]) -> bool:
    """Whether a run of the ablations was started; the cells that they share with the tables do not count."""
    return any(run.cell.table == ABLATIONS and run.state not in _UNSTARTED for run in runs)


def summarize(
    profile: str,
    runs: Iterable[RunView],
    overrides: Iterable[str] = (),
    refused: Mapping[str, str] = MappingProxyType({}),
) -> Ablations:
    """Summarize all rows; runs of other cells are left out. overrides, refused: as for ``tables.states.summarize``."""
    comparable = is_comparable(profile, [override.partition("=")[0] for override in overrides])
    cell_runs: dict[str, list[RunView]] = {row.cell: [] for row in ROWS}
    for run in runs:
        if run.cell.id in cell_runs:
            cell_runs[run.cell.id].append(run)
    published = {(row.cell, row.metric): row.published for row in ROWS if row.published is not None}
    cells: dict[tuple[str, str], CellSummary] = {}
    for key in dict.fromkeys((row.cell, row.metric) for row in ROWS):
        cell_id, metric = key
        cells[key] = summarize_cell(
            named(cell_id),
            metric,
            cell_runs[cell_id],
            comparable,
            published.get(key),
            refused.get(cell_id, ""),
        )
    table = TableSummary(
        ABLATIONS,
        profile,
        comparable,
        tuple(run for runs in cell_runs.values() for run in runs),
        {(*cell_id.split("/"), metric): cell for (cell_id, metric), cell in cells.items()},
        {},
    )
    return Ablations(tuple(_row(row, cells, cell_runs[row.cell], comparable) for row in ROWS), table)


def _row(
    row: AblationRow, cells: dict[tuple[str, str], CellSummary], runs: Sequence[RunView], comparable: bool
) -> RowSummary:
    cell, metric, title = cells[row.cell, row.metric], base_metric(row.metric), row_title(row, runs)
    baseline = baseline_id(row.cell)
    gain = reference_gain = None
    reference = ""
    if row.cell != baseline:
        gain = summarize_gain(cells[baseline, metric], cell, comparable, (NAMES[0], f"'{title}'"))
    if row.reference not in ("", baseline):
        reference = _cell_title(row.reference, row.group)
        names = (f"'{reference}'", f"'{title}'")
        reference_gain = summarize_gain(cells[row.reference, metric], cell, comparable, names)
    return RowSummary(row, title, cell, gain, reference_gain, reference)


def baseline_id(cell_id: str) -> str:
    """Id of the baseline of the same dataset and backbone."""
    return cell_id.rpartition("/")[0] + "/baseline"


def row_title(row: AblationRow, runs: Sequence[RunView]) -> str:
    """Title of the row; with the runs' real setting where the profile has another one: 1 % of few patches is none."""
    for sweep in SWEEPS:
        for x, cell in sweep.points:
            if runs and row.cell == cell and row.title.startswith(f"{sweep.name} = "):
                real, unit = sweep.x(runs[0].config), " %" if row.title.endswith("%") else ""
                return row.title if abs(real - x) < 1e-9 else f"{row.title} (here {real:g}{unit})"
    return row.title


def _cell_title(cell_id: str, group: str) -> str:
    """Title of a cell's row, in this group if the group has it."""
    rows = [row for row in ROWS if row.cell == cell_id]
    return min(rows, key=lambda row: row.group != group).title
