"""Rows of pictures with values over them, as one figure: what stands where, in inches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from reports import plot_style
from reports.heatmaps import overlay
from tables.formats import one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RIGHT, WRONG, INK, FAINT = "#146c2e", "#b3261e", "#111111", "#555555"
TALLEST, WIDEST, NARROWEST = 2.3, 1.6, 1.15  # inches of a panel
GAP, MARGIN, BAR = 0.09, 0.14, 0.52
TITLE, HEADS, LINE = 0.30, 0.20, 0.125
SIZE = 6.6  # points of small text


@dataclass(frozen=True)
class Said:
    """What a model says, below its panel. right: None where there is no right or wrong."""

    lines: tuple[str, ...]
    right: bool | None = None


@dataclass(frozen=True)
class Panel:
    """One picture, uint8 (h, w, 3). values: (R, C) over it, in the colours of ``scale``; bar: with a colour bar beside.

    selected: (R, C) bool, patches outlined. said: below; it may use the room of ``spread`` panels.
    """

    picture: np.ndarray
    values: np.ndarray | None = None
    scale: overlay.Scale | None = None
    bar: bool = False
    selected: np.ndarray | None = None
    said: Said | None = None
    spread: int = 1


@dataclass(frozen=True)
class Row:
    """heading: the first line in bold, a second one beside the rule."""

    heading: str
    note: str
    panels: tuple[Panel, ...]


@plot_style.style(plot_style.PICTURES)
def figure(title: str, heads: Sequence[str], rows: Sequence[Row], caption: str, unit: str) -> Figure:
    """A figure of rows with the same columns. heads: above the columns; unit: of the values, at the colour bars."""
    height, width = rows[0].panels[0].picture.shape[:2]
    tall = min(
        TALLEST, max(WIDEST, NARROWEST * height / width) if height > width else WIDEST * height / width
    )
    wide = tall * width / height
    step = max(wide, NARROWEST)
    lefts, x = [], MARGIN
    for panel in rows[0].panels:
        lefts.append(x)
        x += step + GAP + (BAR if panel.bar else 0)
    whole = x - GAP + MARGIN
    lines = wrapped(caption, whole - 2 * MARGIN, SIZE)
    below = max(len(p.said.lines) if p.said else 0 for row in rows for p in row.panels) * LINE
    above = (2.4 if any(row.note for row in rows) else 1.4) * LINE
    block = above + tall + below + 0.14
    total = TITLE + HEADS + block * len(rows) + LINE * 1.05 * len(lines) + 0.12
    made = plot_style.new_figure(figsize=(whole, total))
    page = _Page(made, whole, total, wide, tall)
    room = whole - 2 * MARGIN
    page.text(MARGIN, 0.2, fitting(title, room, 9.5, bold=True), size=9.5, weight="bold")
    for left, head in zip(lefts, heads, strict=True):
        page.text(left, TITLE + 0.13, head, size=7.4, weight="bold")
    y = TITLE + HEADS
    for row in rows:
        page.text(MARGIN, y + LINE, fitting(row.heading, room, SIZE, bold=True), weight="bold")
        page.text(MARGIN, y + 2 * LINE, fitting(row.note, room, SIZE), colour=FAINT)
        top = y + above
        for left, panel in zip(lefts, row.panels, strict=True):
            page.panel(left, top, panel, unit)
            if panel.said:
                beside = step + (panel.spread - 1) * (step + GAP + BAR / 2)
                page.said(left, top + tall, panel.said, beside)
        y += block
    for line in lines:
        y += LINE * 1.05
        page.text(MARGIN, y, line, colour=FAINT)
    return made


@dataclass(frozen=True)
class _Page:
    """Places in inches from the left and from the top."""

    made: Figure
    whole: float
    total: float
    wide: float
    tall: float

    def text(
        self, x: float, y: float, text: str, *, size: float = SIZE, colour: str = INK, weight: str = "normal"
    ) -> None:
        """Text as it is: foreign names may hold what matplotlib takes for formulas."""
        self.made.text(
            x / self.whole,
            1 - y / self.total,
            text,
            fontsize=size,
            color=colour,
            weight=weight,
            parse_math=False,
        )

    def axes(self, x: float, y: float, wide: float, tall: float) -> object:
        return self.made.add_axes(
            (x / self.whole, 1 - (y + tall) / self.total, wide / self.whole, tall / self.total),
            frame_on=False,
        )

    def panel(self, x: float, y: float, panel: Panel, unit: str) -> None:
        from matplotlib.collections import LineCollection

        axes, picture = self.axes(x, y, self.wide, self.tall), panel.picture
        axes.set_axis_off()
        if panel.values is not None:
            shown = overlay.overlay(picture, panel.values, panel.scale)
        else:
            shown = picture if panel.selected is None else overlay.dimmed(picture, panel.selected)
        height, width = picture.shape[:2]
        axes.imshow(shown, extent=(0, width, height, 0), aspect="auto", interpolation="nearest")
        if panel.selected is not None:
            edges = overlay.outlines(panel.selected, (height, width))
            for colour, thickness in (("black", 1.7), ("#ffd400", 0.8)):
                axes.add_collection(
                    LineCollection(edges, colors=colour, linewidths=thickness, capstyle="round"),
                    autolim=False,
                )
            axes.set_xlim(0, width)
            axes.set_ylim(height, 0)
        if panel.bar:
            self._bar(x + self.wide + 0.05, y, panel.scale, unit)

    def _bar(self, x: float, y: float, scale: overlay.Scale, unit: str) -> None:
        axes = self.axes(x, y, 0.075, self.tall)
        axes.imshow(overlay.colour_bar(), extent=(0, 1, *scale), aspect="auto")
        axes.set_xticks([])
        axes.yaxis.tick_right()
        axes.set_yticks(_ticks(scale))
        axes.tick_params(labelsize=SIZE - 0.8, length=2, pad=1, width=0.5)
        axes.set_ylim(*scale)
        self.text(x, y + self.tall + 0.1, unit, size=SIZE - 1)

    def said(self, x: float, y: float, said: Said, room: float) -> None:
        colour = INK if said.right is None else RIGHT if said.right else WRONG
        for place, line in enumerate(said.lines):
            self.text(
                x,
                y + 0.02 + (place + 1) * LINE,
                fitting(line, room, SIZE, bold=place == 0),
                colour=colour if place == 0 else INK,
                weight="bold" if place == 0 else "normal",
            )


def _ticks(scale: overlay.Scale) -> list[float]:
    """Round values inside the scale, three to six of them."""
    from matplotlib.ticker import MaxNLocator

    low, high = scale
    return [
        tick
        for tick in MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        if low <= tick <= high
    ]


# --- How much room text takes in a figure, by the widths of the font's letters, and text made to fit ---

POINTS = 72  # an inch


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Inches of one line. size: of the font, in points."""
    return sum(_advance(letter, bold) for letter in text) * size / POINTS


def fitting(text: object, room: float, size: float, *, bold: bool = False) -> str:
    """Text on one line, cut to ``room`` inches with an ellipsis."""
    line = one_line(text)
    if width(line, size, bold=bold) <= room:
        return line
    left = room - width("…", size, bold=bold)
    kept = 0
    for letter in line:
        left -= _advance(letter, bold) * size / POINTS
        if left < 0:
            break
        kept += 1
    return line[:kept].rstrip() + "…"


def wrapped(text: str, room: float, size: float) -> list[str]:
    """Lines of at most ``room`` inches; a word that is longer is cut."""
    lines: list[str] = []
    for word in one_line(text).split():
        if lines and width(f"{lines[-1]} {word}", size) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(fitting(word, room, size))
    return lines


@cache
def _advance(letter: str, bold: bool) -> float:
    """Width of a letter in ems; of one that the font lacks, and another has to draw, a whole one and a bit."""
    font = plot_style.font(bold=bold, points=POINTS)  # one point an em, so that advances are in ems
    if font.get_char_index(ord(letter)) == 0:
        return 1.2
    return font.load_char(ord(letter)).linearHoriAdvance / 65536
