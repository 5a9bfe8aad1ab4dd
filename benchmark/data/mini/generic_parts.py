"""The local parts that generic species differ in: their kinds, paints and drawing (no torch)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.data.mini.draw import BLACK, WHITE, Colour, Pen, Points, ellipse, smooth

SLOTS = 6  # the first half lies on the outline, the others inside it
KINDS = (
    "none",
    "disc",
    "ring",
    "bars",
    "spots",
    "spike",
    "hook",
    "paddle",
    "fork",
    "cross",
    "square",
    "stroke",
)
PAINTS: tuple[Colour | str, ...] = (
    *(WHITE, BLACK, (50, 50, 215), (40, 150, 240), (60, 215, 245), (220, 120, 40)),
    *("darker", "lighter", "any"),  # than the body; another colour in every picture
)
_OUTER = tuple(KINDS.index(k) for k in ("none", "spike", "hook", "paddle", "fork", "stroke", "disc"))
_INNER = tuple(KINDS.index(k) for k in ("none", "disc", "ring", "bars", "spots", "cross", "square", "stroke"))


@dataclass(frozen=True)
class Part:
    """What a slot carries: kind (index into KINDS), paint (index into PAINTS), count of repeats, size."""

    kind: int
    paint: int
    count: int
    size: float


def draw_parts(rng: np.random.Generator) -> tuple[Part, ...]:
    """A random part for each slot."""
    return tuple(
        Part(
            kind=int(rng.choice(_OUTER if slot < SLOTS // 2 else _INNER)),
            paint=int(rng.integers(len(PAINTS))),
            count=int(rng.integers(1, 4)),
            size=float(rng.uniform(0.8, 1.25)),
        )
        for slot in range(SLOTS)
    )


_HOOK = smooth([(-0.3, 0.5), (1.2, 0.6), (1.7, -0.7), (1.0, -0.1), (-0.3, -0.4)])
# Outlines of the parts in units of their size, x pointing outwards, from (count, on the outline or inside).
_SHAPES: dict[str, Callable[[int, bool], Points]] = {
    "disc": lambda count, outer: ellipse(0.2, 0, 0.7 if outer else 0.85),
    "ring": lambda count, outer: ellipse(0, 0, 0.75),
    "spike": lambda count, outer: [(-0.3, 0.5), (1.2 + 0.5 * count, 0), (-0.3, -0.5)],
    "hook": lambda count, outer: _HOOK,
    "paddle": lambda count, outer: [(-0.3, 0.3), (1.6, 0.9), (1.8, -0.6), (-0.3, -0.3)],
    "fork": lambda count, outer: [(-0.3, 0.4), (2, 1.1), (1.1, 0), (2, -1.1), (-0.3, -0.4)],
    "cross": lambda count, outer: [(-0.9, 0), (0, 0), (0, 0.9), (0, -0.9), (0, 0), (0.9, 0)],
    "square": lambda count, outer: [(-0.7, -0.7), (0.7, -0.7), (0.7, 0.7), (-0.7, 0.7)],
    "stroke": lambda count, outer: [(-0.2, 0), (2.2 if outer else 1.2, 0.3)],
}


def paint_part(pen: Pen, part: Part, anchor: np.ndarray, paints: Sequence[Colour], outer: bool) -> Points:
    """Draw ``part`` at its slot and return points on it; ``paints`` are this picture's PAINTS."""
    x, y, angle = anchor
    c, s = np.cos(angle), np.sin(angle)
    size = 0.15 * part.size

    def at(points: Points) -> np.ndarray:
        return np.asarray(points, float) * size @ np.array([[c, s], [-s, c]]) + (x, y)

    paint, kind = paints[part.paint], KINDS[part.kind]
    if kind == "none":
        return at([(0, 0)])
    if kind == "bars":
        rows = [at([(0.75 * (k - 1), -1), (0.75 * (k - 1), 1)]) for k in range(part.count)]
        for row in rows:
            pen.stroke(row, 0.05, paint)
        return np.concatenate(rows)
    if kind == "spots":
        centres = at([(0.8 * (k - 1), (k % 2) - 0.5) for k in range(2 + part.count)])
        for px, py in centres:
            pen.fill(ellipse(px, py, 0.04), paint)
        return centres
    points = at(_SHAPES[kind](part.count, outer))
    if kind in ("cross", "stroke", "ring"):
        pen.stroke(points, 0.055, paint, closed=kind == "ring")
    else:
        pen.fill(points, paint)
    return points
