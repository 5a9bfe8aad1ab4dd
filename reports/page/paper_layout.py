"""A table in the paper's layout, and the small tables beside it, as sheets."""

from __future__ import annotations

from reports.page.html_table import Column, Entry, Sheet, word
from tables.layout import Layout
from tables.side_table import SideTable


def main_sheet(layout: Layout) -> Sheet:
    """Backbones and methods are the rows, datasets the columns."""
    columns = tuple(Column(column.heading, "number", column.group) for column in layout.columns)
    rows = tuple(
        (
            Entry(f"{row.backbone} {row.label}", look=row.kind),
            *(word(entry.text, f"{row.kind} state" if entry.is_state else row.kind) for entry in row.entries),
        )
        for row in layout.rows
    )
    key = f"{layout.summary.key}-paper"
    heading = Column("Backbone and method")
    return Sheet(key, layout.title, (heading, *columns), rows, sortable=False)


def side_sheet(layout: Layout, side: SideTable, name: str) -> Sheet:
    """A small table of the layout; the columns that say what a row is about become one. name: part of its id."""
    headings = side.headings[side.names :]
    kinds = ("number" if letter == "r" else "text" for letter in side.align[side.names :])
    rows = tuple(
        (word(" · ".join(row[: side.names])), *(word(text) for text in row[side.names :]))
        for row in side.rows
    )
    columns = (Column(" · ".join(side.headings[: side.names])), *map(Column, headings, kinds))
    return Sheet(f"{layout.summary.key}-{name}", side.title, columns, rows, sortable=False)
