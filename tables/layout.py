"""Layout of a table as in the paper, as text cells: what every export renders."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from benchmark.config import paper
from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS
from benchmark.config.grid import TABLES
from benchmark.records.status import RunView
from tables import notes, states
from tables.cells import CellSummary
from tables.formats import mean_and_std, metric_word, one_line, percent, signed
from tables.gains import GainSummary
from tables.side_tables import branch_table, verdict_table
from tables.states import TableSummary, summarize, table_metrics
from tables.table import Table, TableCell, TableColumn, TableRow

PAPER, FULL_PAPER, MEASURED, DIFFERENCE = "paper", "paper (full data, full recipe)", "measured", "difference"
LABELS = {"baseline": "baseline", "dcal": "+ DCAL", "gain": "gain"}
_EMPTY = TableCell("", "")


@dataclass(frozen=True)
class TableLayout:
    """A table with everything around it, in the order of rendering; ``warning`` comes first.

    header: (label, text) pairs: profile, data, commit and so on.
    main: table in the paper's layout, None for the ablations, which have side tables only.
    verdicts, branches: side tables, None where they would be empty.
    notes: how to read the numbers.
    partial: cells of which only some seeds are done.
    states: cells without a number, ``cell — state: reason``.
    conflicts: runs whose records differ between the folders of runs.
    summary: the numbers behind the text.
    more: further side tables.
    findings: lists that come before the notes, by title.
    """

    warning: str
    title: str
    header: tuple[tuple[str, str], ...]
    main: Table | None
    verdicts: Table | None
    branches: Table | None
    notes: tuple[str, ...]
    partial: tuple[str, ...]
    states: tuple[str, ...]
    conflicts: tuple[str, ...]
    summary: TableSummary
    more: tuple[Table, ...] = ()
    findings: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def side_tables(self) -> tuple[Table, ...]:
        """The small tables below the main one."""
        return (*(table for table in (self.verdicts, self.branches) if table is not None), *self.more)

    @property
    def lists(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The lists at the end, by title; none is empty."""
        candidates = (
            *self.findings,
            ("Notes", self.notes),
            ("Conflicts between records", self.conflicts),
            ("Cells with some seeds done", self.partial),
            ("Cells not done", self.states),
        )
        return tuple((title, lines) for title, lines in candidates if lines)


def build(
    table: str,
    profile: str,
    runs: Iterable[RunView],
    overrides: Iterable[str] = (),
    *,
    conflicts: Iterable[str] = (),
    folders: Iterable[str] = (),
    refused: Mapping[str, str] = MappingProxyType({}),
    cells: Container[str] | None = None,
) -> TableLayout:
    """Lay out a table of the grid.

    table: key of ``benchmark.config.grid.TABLES``.
    overrides: ``name=value`` of the settings changed by hand; the header names them.
    conflicts: runs whose records differ between folders, from ``benchmark.records.merge``.
    folders: the folders of runs; the header names them where there are several.
    refused: cell id → why the overrides are not applicable to it, from ``benchmark.records.merge``.
    cells: ids of the cells to show, None for all.
    """
    overrides = tuple(overrides)
    summary = summarize(table, profile, runs, overrides, refused)
    if cells is not None:
        summary = summary.select(cells)
    columns = tuple(_columns(summary))
    title = notes.title(table)
    rows = (_row(summary, columns, backbone, kind) for backbone in TABLES[table].backbones for kind in LABELS)
    return TableLayout(
        warning=notes.warning(summary, overrides),
        title=title,
        header=(
            *notes.header(summary, overrides, folders),
            *selection_header(summary, len(TABLES[table].cells)),
        ),
        main=Table(
            title,
            (TableColumn("Backbone"), TableColumn("Method")),
            columns,
            tuple(row for row in rows if row is not None),
        ),
        verdicts=verdict_table(summary),
        branches=branch_table(summary),
        notes=tuple(notes.notes(summary)),
        partial=tuple(states.partial_cells(summary)),
        states=tuple(states.state_list(summary)),
        conflicts=tuple(one_line(text) for text in conflicts),
        summary=summary,
    )


def _columns(summary: TableSummary) -> list[TableColumn]:
    columns = []
    several_metrics = len({metric for *_, metric in summary.cells}) > 1
    for dataset in summary.datasets:
        measured = [cell for key, cell in summary.cells.items() if key[0] == dataset and cell.measured.n]
        comparable = [cell.comparable_data for cell in measured]
        headings = [PAPER if summary.comparable and all(comparable) else FULL_PAPER, MEASURED]
        # A difference column without a difference is left out: in all profiles but ``paper``, and on a subset.
        if summary.comparable and (any(comparable) or not measured):
            headings.append(DIFFERENCE)
        for metric in table_metrics(summary.key, dataset):
            group = DATASETS[dataset].column + (f" {metric_word(metric)}" if several_metrics else "")
            in_paper = metric in paper.metrics(summary.key, dataset)
            columns += [
                TableColumn(heading, "r", group, dataset, metric)
                for heading in (headings if in_paper else [MEASURED])
            ]
    return columns


def selection_header(summary: TableSummary, total: int) -> list[tuple[str, str]]:
    """Header line for a table of which not all cells are shown: a cell left out could hide a failure.

    total: number of cells of the whole table.
    """
    count = len({cell.cell for cell in summary.cells.values()})
    return [] if count == total else [("cells", f"a part of the table, {count} of its {total} cells")]


def _row(
    summary: TableSummary, columns: tuple[TableColumn, ...], backbone: str, kind: str
) -> TableRow | None:
    """Row of numbers, None where the table has none of its cells."""
    numbers: list[CellSummary | GainSummary | None] = [
        summary.gains.get((column.dataset, backbone, column.metric))
        if kind == "gain"
        else summary.cells.get((column.dataset, backbone, kind, column.metric))
        for column in columns
    ]
    if not any(numbers):
        return None
    cells = (
        _EMPTY if number is None else _cell(number, column.heading, summary.comparable)
        for number, column in zip(numbers, columns, strict=True)
    )
    return TableRow((BACKBONES[backbone].title, LABELS[kind]), tuple(cells), kind)


def _cell(number: CellSummary | GainSummary, heading: str, comparable: bool) -> TableCell:
    if heading == MEASURED:
        return measured_cell(number, comparable)
    value = number.difference if heading == DIFFERENCE else number.published
    if value is None:
        return _EMPTY
    is_difference = isinstance(number, GainSummary) or heading == DIFFERENCE
    text = signed(value) if is_difference else percent(value)
    return TableCell(text, text)


def measured_cell(number: CellSummary | GainSummary, comparable: bool) -> TableCell:
    """Measured value as text, the state of a cell without one, nothing for a gain without one.

    comparable: whether the recipe is the paper's; then data other than the full data are named.
    """
    is_gain = isinstance(number, GainSummary)
    if number.measured.mean is not None:
        text = measured_text(number, comparable, signed if is_gain else percent)
        return TableCell(text, text)
    if is_gain:
        return _EMPTY
    state = states.state_text(number)
    return TableCell(state, state.split(":")[0], is_state=True)


def measured_text(
    number: CellSummary | GainSummary, comparable: bool, format_number: Callable[[float], str]
) -> str:
    """``84.6 ± 0.2 (n = 2) [subset]`` of a number with a mean. comparable: as in ``measured_cell``."""
    text = mean_and_std(format_number(number.measured.mean), number.measured.std)
    if not number.complete:
        text += f" (n = {number.measured.n})"
    if comparable and number.coverage != ("full",):
        text += f" [{', '.join(number.coverage)}]"
    return text
