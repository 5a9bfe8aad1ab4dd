"""Two exports: Markdown that renders on GitHub, and plain text for a terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

from tables.layout import FULL_PAPER, TableLayout
from tables.table import Table

_ALIGN = {"l": "left", "r": "right"}
# Backslashes for what Markdown reads, entities for what HTML reads; GitHub also reads $ as mathematics.
_SPECIAL = re.compile(r"([\\`*_\[\]|~$#])")


def escape(text: str) -> str:
    """Text that shows as itself inside a paragraph, a list item or a table cell."""
    entities = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _SPECIAL.sub(r"\\\1", entities)


def render_markdown(layout: TableLayout) -> str:
    blocks = [f"**{escape(layout.warning)}**"] if layout.warning else []
    blocks.append(f"# {escape(layout.title)}")
    blocks.append("\n".join(f"- {escape(label)}: {escape(text)}" for label, text in layout.header))
    if layout.main:
        blocks.append(_pipe(layout.main))
    for table in layout.side_tables:
        blocks += [f"## {escape(table.title)}", _pipe(table)]
    for title, lines in layout.lists:
        blocks += [f"## {title}", "\n".join(f"- {escape(line)}" for line in lines)]
    return "\n\n".join(blocks) + "\n"


def _pipe(table: Table) -> str:
    from tabulate import tabulate

    headings = (f"{column.group} {column.heading}".lstrip() for column in (*table.labels, *table.columns))
    return tabulate(
        [[escape(text) for text in texts] for texts in table.texts],
        headers=[escape(heading) for heading in headings],
        tablefmt="pipe",
        disable_numparse=True,
        colalign=[_ALIGN[letter] for letter in table.align],
    )


# --- Plain text for a terminal, split into several tables where one would be too wide ---

WIDTH = 110
LABEL_WIDTH = 32  # of the labels of side tables
SHORT_FULL_PAPER = "paper*"


def render_text(layout: TableLayout, width: int = WIDTH) -> str:
    """The whole table as text, at most ``width`` letters wide where the columns of one dataset fit."""
    blocks = [textwrap.fill(layout.warning, width)] if layout.warning else []
    blocks.append(layout.title)
    blocks.append("\n".join(_wrap(f"{label}: {text}", width) for label, text in layout.header))
    if layout.main:
        blocks += _main_tables(layout.main, width)
        if any(column.heading == FULL_PAPER for column in layout.main.columns):
            blocks.append(f"* {FULL_PAPER}")
    for table in layout.side_tables:
        parts = table.wrap_labels(LABEL_WIDTH).split_by_width(width)
        blocks.append(
            "\n".join(
                [table.title, "\n\n".join(simple(part.headings, part.texts, part.align) for part in parts)]
            )
        )
    for title, lines in layout.lists:
        blocks.append("\n".join([title, *(_wrap(f"- {line}", width) for line in lines)]))
    return "\n\n".join(blocks) + "\n"


def _wrap(line: str, width: int) -> str:
    return textwrap.fill(line, width, subsequent_indent="  ")


def _main_tables(table: Table, width: int) -> list[str]:
    """One table with the states in full, else as few tables with short states as fit."""

    def fits(text: str) -> bool:
        return max(map(len, text.splitlines())) <= width

    (whole,) = table.split_by_dataset(1)
    if fits(text := _main_table(whole, short=False)):
        return [text]
    return [
        _main_table(part, short=True) for part in table.fit(lambda part: fits(_main_table(part, short=True)))
    ]


def _main_table(table: Table, short: bool) -> str:
    headings, previous = [column.heading for column in table.labels], ""
    for column in table.columns:
        # The group stands on a line of its own above its first column only: that keeps columns narrow.
        group = "" if column.group == previous else column.group
        heading = SHORT_FULL_PAPER if column.heading == FULL_PAPER else column.heading
        headings.append(f"{group}\n{heading}")
        previous = column.group
    rows = [[*row.labels, *(cell.short if short else cell.text for cell in row.cells)] for row in table.rows]
    return simple(headings, rows, table.align)


def simple(headings: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> str:
    """Table as plain text. align: a letter ``l`` or ``r`` for each column."""
    from tabulate import tabulate

    colalign = [_ALIGN[letter] for letter in align]
    return tabulate(rows, headers=headings, tablefmt="simple", disable_numparse=True, colalign=colalign)
