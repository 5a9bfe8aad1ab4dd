"""A table of a page as plain data: what templates/sheet.html renders, with or without sorting."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from tables.formats import one_line

LONGEST = 400  # characters of one piece of foreign text in a cell


@dataclass(frozen=True)
class Column:
    """kind: how it aligns and sorts: ``number``, ``text``, or ``rank``, words in the order of their numbers.

    group: heads several columns. note: a second, smaller line of the heading.
    """

    heading: str
    kind: str = "text"
    group: str = ""
    note: str = ""


@dataclass(frozen=True)
class Entry:
    """One cell. value: what a number or rank column sorts by; None comes last, whatever the direction.

    href: a link inside the report. look: a word for the style sheet (``state``, ``yes``, ``hurts`` …).
    """

    text: str
    value: float | None = None
    href: str = ""
    look: str = ""


@dataclass(frozen=True)
class Sheet:
    """key: its id on the page. The first entry of a row is the row's heading. totals: rows that are not sorted."""

    key: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Entry, ...], ...]
    totals: tuple[tuple[Entry, ...], ...] = ()
    sortable: bool = True

    @property
    def groups(self) -> tuple[tuple[str, int], ...]:
        """Group headings with the number of columns each spans; empty where no column has one."""
        found = tuple(
            (name, len(list(columns)))
            for name, columns in itertools.groupby(column.group for column in self.columns)
        )
        return found if any(name for name, _ in found) else ()


def word(text: object, look: str = "", href: str = "") -> Entry:
    """Foreign text as a cell: on one line, without control characters, not endless."""
    return Entry(one_line(text, LONGEST), look=look, href=href)


def number(value: float | None, shown: Callable[[float], str], look: str = "") -> Entry:
    """A number as a cell, written by ``shown``; an empty one where there is none."""
    return Entry("", look=look) if value is None else Entry(shown(value), float(value), look=look)
