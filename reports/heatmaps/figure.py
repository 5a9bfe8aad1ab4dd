"""Figures of picture rows with attention values: layout in inches, drawing, text that fits."""

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
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CORRECT, WRONG, INK, FAINT = "#146c2e", "#b3261e", "#111111", "#555555"
MAX_HEIGHT, MAX_WIDTH, MIN_WIDTH = 2.3, 1.6, 1.15  # inches of a panel
GAP, MARGIN, BAR = 0.09, 0.14, 0.52
TITLE, HEADING, LINE = 0.30, 0.20, 0.125
TEXT_SIZE = 6.6  # points of small text


@dataclass(frozen=True)
class Prediction:
    """A model's prediction as text below its panel. correct: None if neither right nor wrong."""

    lines: tuple[str, ...]
    correct: bool | None = None


@dataclass(frozen=True)
class Panel:
    """One picture of a row.

    picture: uint8 (h, w, 3).
    values: (R, C), drawn over it in the colours of ``scale``.
    scale: values of the first and last colour.
    bar: whether a colour bar stands on its right.
    selected: (R, C) bool, patches to outline.
    prediction: text below the panel; it may use the width of ``spread`` panels.
    """

    picture: np.ndarray
    values: np.ndarray | None = None
    scale: overlay.Scale | None = None
    bar: bool = False
    selected: np.ndarray | None = None
    prediction: Prediction | None = None
    spread: int = 1


@dataclass(frozen=True)
class FigureRow:
    """A row of panels. heading: bold first line; note: second line."""

    heading: str
    note: str
    panels: tuple[Panel, ...]


@plot_style.style(plot_style.IMAGE_STYLE)
def draw(title: str, headings: Sequence[str], rows: Sequence[FigureRow], caption: str, unit: str) -> Figure:
    """Draw rows with the same columns.

    headings: headings of the columns.
    unit: unit of the values, at the colour bars.
    """
    height, width = rows[0].panels[0].picture.shape[:2]
    panel_height = min(
        MAX_HEIGHT,
        max(MAX_WIDTH, MIN_WIDTH * height / width) if height > width else MAX_WIDTH * height / width,
    )
    panel_width = panel_height * width / height
    step = max(panel_width, MIN_WIDTH)
    lefts, x = [], MARGIN
    for panel in rows[0].panels:
        lefts.append(x)
        x += step + GAP + (BAR if panel.bar else 0)
    page_width = x - GAP + MARGIN
    line_width = page_width - 2 * MARGIN
    lines = wrap(caption, line_width, TEXT_SIZE)
    predictions = [panel.prediction for row in rows for panel in row.panels if panel.prediction]
    below = max((len(prediction.lines) for prediction in predictions), default=0) * LINE
    above = (2.4 if any(row.note for row in rows) else 1.4) * LINE
    row_height = above + panel_height + below + 0.14
    page_height = TITLE + HEADING + row_height * len(rows) + LINE * 1.05 * len(lines) + 0.12
    figure = plot_style.new_figure(figsize=(page_width, page_height))
    page = _Page(figure, page_width, page_height, panel_width, panel_height)
    page.text(MARGIN, 0.2, truncate(title, line_width, 9.5, bold=True), size=9.5, weight="bold")
    for left, heading in zip(lefts, headings, strict=True):
        page.text(left, TITLE + 0.13, heading, size=7.4, weight="bold")
    y = TITLE + HEADING
    for row in rows:
        page.text(MARGIN, y + LINE, truncate(row.heading, line_width, TEXT_SIZE, bold=True), weight="bold")
        page.text(MARGIN, y + 2 * LINE, truncate(row.note, line_width, TEXT_SIZE), colour=FAINT)
        top = y + above
        for left, panel in zip(lefts, row.panels, strict=True):
            page.draw_panel(left, top, panel, unit)
            if panel.prediction:
                width = step + (panel.spread - 1) * (step + GAP + BAR / 2)
                page.draw_prediction(left, top + panel_height, panel.prediction, width)
        y += row_height
    for line in lines:
        y += LINE * 1.05
        page.text(MARGIN, y, line, colour=FAINT)
    return figure


@dataclass(frozen=True)
class _Page:
    """A figure with positions in inches from the left and from the top."""

    figure: Figure
    width: float
    height: float
    panel_width: float
    panel_height: float

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = TEXT_SIZE,
        colour: str = INK,
        weight: str = "normal",
    ) -> None:
        """Write text without formulas, because foreign names may look like formulas of matplotlib."""
        self.figure.text(
            x / self.width,
            1 - y / self.height,
            text,
            fontsize=size,
            color=colour,
            weight=weight,
            parse_math=False,
        )

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Create axes with their top left corner at (x, y)."""
        return self.figure.add_axes(
            (x / self.width, 1 - (y + height) / self.height, width / self.width, height / self.height),
            frame_on=False,
        )

    def draw_panel(self, x: float, y: float, panel: Panel, unit: str) -> None:
        """Draw picture, values, outlines and colour bar of a panel."""
        from matplotlib.collections import LineCollection

        axes, picture = self.axes(x, y, self.panel_width, self.panel_height), panel.picture
        axes.set_axis_off()
        if panel.values is not None:
            image = overlay.overlay(picture, panel.values, panel.scale)
        else:
            image = picture if panel.selected is None else overlay.dim_unselected(picture, panel.selected)
        height, width = picture.shape[:2]
        axes.imshow(image, extent=(0, width, height, 0), aspect="auto", interpolation="nearest")
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
            self._draw_bar(x + self.panel_width + 0.05, y, panel.scale, unit)

    def _draw_bar(self, x: float, y: float, scale: overlay.Scale, unit: str) -> None:
        axes = self.axes(x, y, 0.075, self.panel_height)
        axes.imshow(overlay.colour_bar(), extent=(0, 1, *scale), aspect="auto")
        axes.set_xticks([])
        axes.yaxis.tick_right()
        axes.set_yticks(_ticks(scale))
        axes.tick_params(labelsize=TEXT_SIZE - 0.8, length=2, pad=1, width=0.5)
        axes.set_ylim(*scale)
        self.text(x, y + self.panel_height + 0.1, unit, size=TEXT_SIZE - 1)

    def draw_prediction(self, x: float, y: float, prediction: Prediction, width: float) -> None:
        """Write a prediction; its first line is bold and coloured."""
        colour = {True: CORRECT, False: WRONG, None: INK}[prediction.correct]
        for index, line in enumerate(prediction.lines):
            self.text(
                x,
                y + 0.02 + (index + 1) * LINE,
                truncate(line, width, TEXT_SIZE, bold=index == 0),
                colour=colour if index == 0 else INK,
                weight="bold" if index == 0 else "normal",
            )


def _ticks(scale: overlay.Scale) -> list[float]:
    """Choose three to six round values inside the scale."""
    from matplotlib.ticker import MaxNLocator

    low, high = scale
    return [
        tick
        for tick in MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
        if low <= tick <= high
    ]


# --- Width of text in a figure, and text cut or wrapped to a width ---

POINTS = 72  # per inch


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Compute the width of one line in inches. size: font size in points."""
    return sum(_advance(letter, bold) for letter in text) * size / POINTS


def truncate(text: object, max_width: float, size: float, *, bold: bool = False) -> str:
    """Put text on one line and cut it to ``max_width`` inches with an ellipsis."""
    line = one_line(text)
    if text_width(line, size, bold=bold) <= max_width:
        return line
    rest = max_width - text_width("…", size, bold=bold)
    count = 0
    for letter in line:
        rest -= _advance(letter, bold) * size / POINTS
        if rest < 0:
            break
        count += 1
    return line[:count].rstrip() + "…"


def wrap(text: str, max_width: float, size: float) -> list[str]:
    """Wrap text into lines of at most ``max_width`` inches; a longer word is cut."""
    lines: list[str] = []
    for word in one_line(text).split():
        if lines and text_width(f"{lines[-1]} {word}", size) <= max_width:
            lines[-1] += f" {word}"
        else:
            lines.append(truncate(word, max_width, size))
    return lines


@cache
def _advance(letter: str, bold: bool) -> float:
    """Return the width of a letter in ems; 1.2 for a letter that only another font has."""
    font = plot_style.font(bold=bold, points=POINTS)  # one point per em, so that advances are in ems
    if font.get_char_index(ord(letter)) == 0:
        return 1.2
    return font.load_char(ord(letter)).linearHoriAdvance / 65536
