"""Markdown that renders on GitHub: pipe tables and lists, foreign text escaped."""

from __future__ import annotations

import re

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
    headings = ["Backbone", "Method", *(f"{column.group} {column.heading}" for column in layout.columns)]
    rows = [[row.backbone, row.label, *(entry.text for entry in row.entries)] for row in layout.rows]
    blocks.append(_pipe(headings, rows, numbers_from=2))
    if layout.branches:
        blocks.append(f"## {escape(layout.branches.title)}")
        blocks.append(_pipe(layout.branches.headings, layout.branches.rows, layout.branches.numbers_from))
    for title, lines in (
        ("Notes", layout.notes),
        ("Cells with some seeds done", layout.partial),
        ("Cells not done", layout.states),
    ):
        if lines:
            blocks.append(f"## {title}")
            blocks.append("\n".join(f"- {escape(line)}" for line in lines))
    return "\n\n".join(blocks) + "\n"


def _pipe(headings: list[str], rows: list[list[str]], numbers_from: int) -> str:
    from tabulate import tabulate

    return tabulate(
        [[escape(text) for text in row] for row in rows],
        headers=[escape(heading) for heading in headings],
        tablefmt="pipe",
        disable_numparse=True,
        colalign=["left"] * numbers_from + ["right"] * (len(headings) - numbers_from),
    )
