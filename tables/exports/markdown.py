"""Markdown that renders on GitHub: pipe tables and lists, foreign text escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tables.layout import Layout

# Backslashes for what Markdown reads, entities for what HTML reads; GitHub also reads $ as mathematics.
_MARKED = re.compile(r"([\\`*_\[\]|~$#])")


def escape(text: str) -> str:
    """Text that shows as itself inside a paragraph, a list item or a table cell."""
    entities = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKED.sub(r"\\\1", entities)


def render(layout: Layout) -> str:
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
