"""The table in the paper's layout, as plain text cells: what every export renders."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from benchmark.config import paper
from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS
from benchmark.config.grid import TABLES
from tables import notes, states
from tables.cells import CellSummary
from tables.formats import metric_word, one_line, percent, signed, with_spread
from tables.gains import GainSummary
from tables.records import RunView
from tables.side_tables import SideTable, branch_table, verdict_table
from tables.states import TableSummary, shown_metrics, summarize

PAPER, FULL_PAPER, MEASURED, DIFFERENCE = "paper", "paper (full data, full recipe)", "measured", "difference"
LABELS = {"baseline": "baseline", "dcal": "+ DCAL", "gain": "gain"}


@dataclass(frozen=True)
class Column:
    """A column of numbers; ``group`` heads the columns of one dataset and metric."""

    dataset: str
    metric: str
    group: str
    heading: str


@dataclass(frozen=True)
class Entry:
    """A cell of the table; ``short`` is its text where room is scarce."""

    text: str
    short: str
    is_state: bool = False


@dataclass(frozen=True)
class Row:
    """kind: baseline, dcal or gain."""

    backbone: str
    label: str
    kind: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Layout:
    """A table to render. ``warning`` comes first, before anything else; the rest in this order.

    columns, rows: of the main table; none where the side tables are all. states: cells without a number, ``cell —
    state: reason``; partial: cells with only some seeds done. conflicts: where several folders of runs say different
    things of a run. more: side tables besides verdicts and branches; findings: what stands before the notes, by title.
    """

    warning: str
    title: str
    header: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    verdicts: SideTable | None
    branches: SideTable | None
    notes: tuple[str, ...]
    partial: tuple[str, ...]
    states: tuple[str, ...]
    conflicts: tuple[str, ...]
    summary: TableSummary
    more: tuple[SideTable, ...] = ()
    findings: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def side_tables(self) -> tuple[SideTable, ...]:
        """The small tables below the main one."""
        return (*(table for table in (self.verdicts, self.branches) if table is not None), *self.more)

    @property
    def lists(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The lists at the end, by title; none is empty."""
        every = (
            *self.findings,
            ("Notes", self.notes),
            ("Conflicts between records", self.conflicts),
            ("Cells with some seeds done", self.partial),
            ("Cells not done", self.states),
        )
        return tuple((title, lines) for title, lines in every if lines)

    def panels(self, count: int) -> list[Layout]:
        """The columns in ``count`` tables, no dataset torn apart; each with the backbones it says something of."""
        datasets = list(dict.fromkeys(column.dataset for column in self.columns))
        size = -(-len(datasets) // count)
        return [self._only(datasets[start : start + size]) for start in range(0, len(datasets), size)]

    def _only(self, datasets: list[str]) -> Layout:
        keep = [index for index, column in enumerate(self.columns) if column.dataset in datasets]
        rows = tuple(
            dataclasses.replace(row, entries=tuple(row.entries[index] for index in keep)) for row in self.rows
        )
        told = {row.backbone for row in rows if any(entry.text for entry in row.entries)}
        return dataclasses.replace(
            self,
            columns=tuple(self.columns[index] for index in keep),
            rows=tuple(row for row in rows if row.backbone in told),
        )


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
) -> Layout:
    """Lay out a table of the grid.

    table: a key of ``benchmark.config.grid.TABLES``; overrides: settings changed by hand, named in the header.
    conflicts, folders: of the runs of several folders, as ``benchmark.records.merge`` finds them; refused: likewise,
    cells that the overrides make no sense for. cells: ids of the cells that are shown; None for all.
    """
    overrides = tuple(overrides)
    summary = summarize(table, profile, runs, overrides, refused)
    if cells is not None:
        summary = summary.only(cells)
    columns = tuple(_columns(summary))
    return Layout(
        warning=notes.warning(summary, overrides),
        title=notes.title(table),
        header=(
            *notes.header(summary, overrides, folders),
            *part_of_table(summary, len(TABLES[table].cells)),
        ),
        columns=columns,
        rows=tuple(
            row
            for backbone in TABLES[table].backbones
            for kind in LABELS
            if (row := _row(summary, columns, backbone, kind)) is not None
        ),
        verdicts=verdict_table(summary),
        branches=branch_table(summary),
        notes=tuple(notes.notes(summary)),
        partial=tuple(states.partial(summary)),
        states=tuple(states.listed(summary)),
        conflicts=tuple(one_line(text) for text in conflicts),
        summary=summary,
    )


def _columns(summary: TableSummary) -> list[Column]:
    columns = []
    several = len({metric for *_, metric in summary.cells}) > 1
    for dataset in summary.datasets:
        measured = [c for key, c in summary.cells.items() if key[0] == dataset and c.measured.n]
        comparable = [cell.comparable_data for cell in measured]
        headings = [PAPER if summary.comparable and all(comparable) else FULL_PAPER, MEASURED]
        # A column that must stay empty is left out: in every other profile, and on a subset.
        if summary.comparable and (any(comparable) or not measured):
            headings.append(DIFFERENCE)
        for metric in shown_metrics(summary.key, dataset):
            word = f" {metric_word(metric)}" if several else ""
            group = DATASETS[dataset].column + word
            own = headings if metric in paper.metrics(summary.key, dataset) else [MEASURED]
            columns += [Column(dataset, metric, group, heading) for heading in own]
    return columns


def part_of_table(summary: TableSummary, total: int) -> list[tuple[str, str]]:
    """The header's line where not all of a table's cells are shown: a row left out could hide a failure."""
    shown = len({cell.cell for cell in summary.cells.values()})
    return [] if shown == total else [("cells", f"a part of the table, {shown} of its {total} cells")]


def _row(summary: TableSummary, columns: tuple[Column, ...], backbone: str, kind: str) -> Row | None:
    """A row of numbers; None where none of its cells is shown."""
    entries, known = [], False
    for column in columns:
        if kind == "gain":
            found = summary.gains.get((column.dataset, backbone, column.metric))
        else:
            found = summary.cells.get((column.dataset, backbone, kind, column.metric))
        known = known or found is not None
        entries.append(Entry("", "") if found is None else _entry(found, column.heading, summary.comparable))
    return Row(BACKBONES[backbone].title, LABELS[kind], kind, tuple(entries)) if known else None


def _entry(found: CellSummary | GainSummary, heading: str, recipe: bool) -> Entry:
    is_gain = isinstance(found, GainSummary)
    if heading == MEASURED:
        if found.measured.mean is not None:
            return _same(measured_text(found, recipe, signed if is_gain else percent))
        if is_gain:
            return _same("")
        text = states.in_table(found)
        return Entry(text, text.split(":")[0], is_state=True)
    number = found.difference if heading == DIFFERENCE else found.published
    if number is None:
        return _same("")
    return _same(signed(number) if is_gain or heading == DIFFERENCE else percent(number))


def measured_text(found: CellSummary | GainSummary, recipe: bool, show: Callable[[float], str]) -> str:
    """``84.6 ± 0.2 (n = 2) [subset]`` of what has a mean, written by ``show``."""
    text = with_spread(show(found.measured.mean), found.measured.std)
    if not found.complete:
        text += f" (n = {found.measured.n})"
    if recipe and found.coverage != ("full",):
        text += f" [{', '.join(found.coverage)}]"
    return text


def _same(text: str) -> Entry:
    return Entry(text, text)
