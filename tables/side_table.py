"""A small table beside the main one: branches, verdicts. Text cells only; each export draws it its own way."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class SideTable:
    """align: ``l`` or ``r`` for each column; the first ``names`` columns say what a row is about."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    align: str
    names: int = 3

    def only(self, columns: list[int]) -> SideTable:
        """The table with these columns."""
        return SideTable(
            self.title,
            tuple(self.headings[column] for column in columns),
            tuple(tuple(row[column] for column in columns) for row in self.rows),
            "".join(self.align[column] for column in columns),
            self.names,
        )

    def panels(self, width: int, gap: int = 2) -> list[SideTable]:
        """Tables at most ``width`` letters wide that together have all columns, each with the names in front.

        gap: letters between two columns, and around a heading, which tabulate pads. A column that is too wide by
        itself still comes, alone.
        """
        columns = zip(self.headings, *self.rows, strict=True)
        widths = [max([len(heading) + gap, *map(_width, cells)]) + gap for heading, *cells in columns]
        names = list(range(self.names))
        room = width + gap - sum(widths[: self.names])
        panels: list[list[int]] = [[]]
        used = 0
        for column in range(self.names, len(self.headings)):
            if panels[-1] and used + widths[column] > room:
                panels.append([])
                used = 0
            panels[-1].append(column)
            used += widths[column]
        return [self.only(names + columns) for columns in panels]

    def wrapped(self, width: int) -> SideTable:
        """The table with names at most ``width`` letters wide, on several lines where they need them."""
        rows = tuple(
            (
                *(textwrap.fill(name, width, break_on_hyphens=False) for name in row[: self.names]),
                *row[self.names :],
            )
            for row in self.rows
        )
        return replace(self, rows=rows)


def _width(cell: str) -> int:
    return max(map(len, cell.splitlines()), default=0)
