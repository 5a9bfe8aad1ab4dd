"""Typed table of text cells: what the exports and the pages render."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class TableColumn:
    """Column of a table.

    heading: text of the heading.
    align: ``l`` or ``r``.
    group: heading above adjacent columns of one dataset and metric, "" for none.
    dataset, metric: keys of what the column's numbers measure, "" in side tables.
    """

    heading: str
    align: str = "l"
    group: str = ""
    dataset: str = ""
    metric: str = ""


@dataclass(frozen=True)
class TableCell:
    """Text of one cell. short: the text for a narrow column. is_state: whether a state stands for the number."""

    text: str
    short: str
    is_state: bool = False


@dataclass(frozen=True)
class TableRow:
    """Row of a table.

    labels: texts that name the row, one for each label column.
    kind: baseline, dcal or gain, "" in side tables.
    """

    labels: tuple[str, ...]
    cells: tuple[TableCell, ...]
    kind: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """Labels and cells as text."""
        return (*self.labels, *(cell.text for cell in self.cells))


@dataclass(frozen=True)
class Table:
    """Table with label columns in front: the main table of a paper's table, or a side table."""

    title: str
    labels: tuple[TableColumn, ...]
    columns: tuple[TableColumn, ...]
    rows: tuple[TableRow, ...]

    @classmethod
    def from_texts(
        cls, title: str, headings: Sequence[str], rows: Iterable[Sequence[str]], align: str, labels: int
    ) -> Table:
        """Build a side table.

        headings: one for each column. rows: texts, one for each column. align: a letter ``l`` or ``r`` for each column.
        labels: number of label columns.
        """
        columns = tuple(map(TableColumn, headings, align))
        body = (
            TableRow(tuple(row[:labels]), tuple(TableCell(text, text) for text in row[labels:]))
            for row in rows
        )
        return cls(title, columns[:labels], columns[labels:], tuple(body))

    @property
    def headings(self) -> tuple[str, ...]:
        return tuple(column.heading for column in (*self.labels, *self.columns))

    @property
    def align(self) -> str:
        """A letter for each column, labels first."""
        return "".join(column.align for column in (*self.labels, *self.columns))

    @property
    def texts(self) -> tuple[tuple[str, ...], ...]:
        """Rows as text, labels first."""
        return tuple(row.texts for row in self.rows)

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Group headings in order, each with its number of columns."""
        names = (column.group for column in self.columns)
        return [(name, len(list(columns))) for name, columns in itertools.groupby(names)]

    def select_columns(self, places: Sequence[int]) -> Table:
        """Table with the columns at these indices, labels not counted; all labels stay."""
        rows = (replace(row, cells=tuple(row.cells[place] for place in places)) for row in self.rows)
        return replace(self, columns=tuple(self.columns[place] for place in places), rows=tuple(rows))

    def split_by_dataset(self, count: int) -> list[Table]:
        """Split into at most ``count`` tables, each of whole datasets.

        A backbone (first label) without any text in a part is left out there.
        """
        datasets = list(dict.fromkeys(column.dataset for column in self.columns))
        size = -(-len(datasets) // count)
        parts = []
        for start in range(0, len(datasets), size):
            chosen = datasets[start : start + size]
            part = self.select_columns(
                [i for i, column in enumerate(self.columns) if column.dataset in chosen]
            )
            named = {row.labels[0] for row in part.rows if any(cell.text for cell in row.cells)}
            parts.append(replace(part, rows=tuple(row for row in part.rows if row.labels[0] in named)))
        return parts

    def fit(self, fits: Callable[[Table], bool]) -> list[Table]:
        """Split by dataset into the fewest tables that all fit, or into one for each dataset where none does."""
        datasets = len({column.dataset for column in self.columns})
        for count in range(1, datasets + 1):
            parts = self.split_by_dataset(count)
            if all(map(fits, parts)):
                break
        return parts

    def split_by_width(self, width: int, gap: int = 2) -> list[Table]:
        """Split into tables at most ``width`` letters wide, each with all labels.

        gap: letters between two columns, and around a heading, which tabulate pads. A column that is too wide by itself
        gets a table of its own.
        """
        columns = zip(self.headings, *self.texts, strict=True)
        widths = [max([len(heading) + gap, *map(_width, texts)]) + gap for heading, *texts in columns]
        first = len(self.labels)
        room = width + gap - sum(widths[:first])
        parts: list[list[int]] = [[]]
        used = 0
        for place, letters in enumerate(widths[first:]):
            if parts[-1] and used + letters > room:
                parts.append([])
                used = 0
            parts[-1].append(place)
            used += letters
        return [self.select_columns(places) for places in parts]

    def wrap_labels(self, width: int) -> Table:
        """Table with labels at most ``width`` letters wide, on several lines where necessary."""
        return replace(
            self,
            rows=tuple(
                replace(
                    row,
                    labels=tuple(textwrap.fill(text, width, break_on_hyphens=False) for text in row.labels),
                )
                for row in self.rows
            ),
        )


def _width(text: str) -> int:
    return max(map(len, text.splitlines()), default=0)
