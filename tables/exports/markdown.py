"""Markdown that renders on GitHub: pipe tables and lists, foreign text escaped."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence

from tables.layout import FULL_PAPER, Layout

# Backslashes for what Markdown reads, entities for what HTML reads; GitHub also reads $ as mathematics.
_MARKED = re.compile(r"([\\`*_\[\]|~$#])")


def escape(text: str) -> str:
    """Text that shows as itself inside a paragraph, a list item or a table cell."""
    entities = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKED.sub(r"\\\1", entities)


def render_markdown(layout: Layout) -> str:
    blocks = [f"**{escape(layout.warning)}**"] if layout.warning else []
    blocks.append(f"# {escape(layout.title)}")
    blocks.append("\n".join(f"- {escape(label)}: {escape(text)}" for label, text in layout.header))
    if layout.rows:
        headings = ["Backbone", "Method", *(f"{column.group} {column.heading}" for column in layout.columns)]
        rows = [[row.backbone, row.label, *(entry.text for entry in row.entries)] for row in layout.rows]
        blocks.append(_pipe(headings, rows, "ll" + "r" * len(layout.columns)))
    for table in layout.side_tables:
        blocks += [f"## {escape(table.title)}", _pipe(table.headings, table.rows, table.align)]
    for title, lines in layout.lists:
        blocks += [f"## {title}", "\n".join(f"- {escape(line)}" for line in lines)]
    return "\n\n".join(blocks) + "\n"


def _pipe(headings: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> str:
    from tabulate import tabulate

    return tabulate(
        [[escape(text) for text in row] for row in rows],
        headers=[escape(heading) for heading in headings],
        tablefmt="pipe",
        disable_numparse=True,
        colalign=[{"l": "left", "r": "right"}[letter] for letter in align],
    )


# --- The table for a terminal: plain text, split into panels where it would be too wide ---

WIDTH = 110
NAME_WIDTH = 32  # of what a row of a side table is about
MARKED_PAPER = "paper*"


def render_text(layout: Layout, width: int = WIDTH) -> str:
    """The whole table as text, ``width`` columns wide where one dataset's columns fit."""
    blocks = [textwrap.fill(layout.warning, width)] if layout.warning else []
    blocks.append(layout.title)
    blocks.append("\n".join(_filled(f"{label}: {text}", width) for label, text in layout.header))
    if layout.rows:
        blocks += _fitting(layout, width)
    if any(column.heading == FULL_PAPER for column in layout.columns):
        blocks.append(f"* {FULL_PAPER}")
    for table in layout.side_tables:
        panels = [
            _simple(panel.headings, panel.rows, panel.align)
            for panel in table.wrapped(NAME_WIDTH).panels(width)
        ]
        blocks.append("\n".join([table.title, "\n\n".join(panels)]))
    for title, lines in layout.lists:
        blocks.append("\n".join([title, *(_filled(f"- {line}", width) for line in lines)]))
    return "\n\n".join(blocks) + "\n"


def _filled(line: str, width: int) -> str:
    return textwrap.fill(line, width, subsequent_indent="  ")


def _fitting(layout: Layout, width: int) -> list[str]:
    """Full states in one panel, else short states in as few panels as fit."""
    datasets = len({column.dataset for column in layout.columns})
    attempts = [(1, False), *((count, True) for count in range(1, datasets + 1))]
    for count, short in attempts:
        tables = [_main_table(panel, short) for panel in layout.panels(count)]
        if max(len(line) for table in tables for line in table.splitlines()) <= width:
            break
    return tables


def _main_table(layout: Layout, short: bool) -> str:
    headings, previous = ["Backbone", "Method"], ""
    for column in layout.columns:
        # The group stands on a line of its own above its first column only: that keeps columns narrow.
        group = "" if column.group == previous else column.group
        heading = MARKED_PAPER if column.heading == FULL_PAPER else column.heading
        headings.append(f"{group}\n{heading}")
        previous = column.group
    rows = [
        [row.backbone, row.label, *(entry.short if short else entry.text for entry in row.entries)]
        for row in layout.rows
    ]
    return _simple(headings, rows, "ll" + "r" * len(layout.columns))


def _simple(headings: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> str:
    from tabulate import tabulate

    sides = [{"l": "left", "r": "right"}[letter] for letter in align]
    return tabulate(rows, headers=headings, tablefmt="simple", disable_numparse=True, colalign=sides)
