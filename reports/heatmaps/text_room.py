"""How much room text takes in a figure, by the widths of the font's letters, and text made to fit."""

from __future__ import annotations

from functools import cache

from reports import plot_style
from tables.formats import one_line

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
