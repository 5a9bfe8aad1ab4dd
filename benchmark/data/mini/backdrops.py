"""The places that cameras look at, and what stands in their way (no torch).

Object coordinates as in `draw`; a subject stands about at y = -1 (persons) or lies about y = -0.4 (vehicles).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmark.data.mini.draw import BLACK, WHITE, Colour, Pen, ellipse, hue, mix

FAR = 3.0  # beyond every border


def paint_backdrop(
    pen: Pen, pattern: str, ground: Colour, wall: Colour, detail: Colour, shift: float
) -> None:
    """Wall and ground of a place; ``shift`` in [0, 1] moves the pattern, so that no two pictures are equal."""
    horizon = -0.2 + 0.1 * shift
    if pattern != "bare":
        pen.fill([(-FAR, horizon), (FAR, horizon), (FAR, FAR), (-FAR, FAR)], wall)
    PATTERNS[pattern](pen, horizon, mix(ground, BLACK, 0.2), detail, shift)


def _bare(pen: Pen, horizon: float, shade: Colour, detail: Colour, shift: float) -> None:
    """Nothing but uneven ground, as seen steeply from above, with a painted line."""
    pen.stroke([(-FAR, -1 + shift), (FAR, 0.4 + shift)], 0.06, detail)


def _bricks(pen: Pen, horizon: float, shade: Colour, detail: Colour, shift: float) -> None:
    for k in range(9):
        y = horizon + 0.16 * k
        pen.stroke([(-FAR, y), (FAR, y)], 0.025, detail)
    for x in np.arange(-1.4, 1.4, 0.4) + 0.4 * shift:
        pen.stroke([(x, horizon), (x, horizon + 0.16)], 0.025, detail)
        pen.stroke([(x + 0.2, horizon + 0.32), (x + 0.2, horizon + 0.48)], 0.025, detail)


def _posts(pen: Pen, horizon: float, shade: Colour, detail: Colour, shift: float) -> None:
    for x in np.arange(-1.5, 1.5, 0.34) + 0.34 * shift:
        pen.stroke([(x, horizon - 0.05), (x, FAR)], 0.09, detail)
    pen.stroke([(-FAR, horizon - 0.05), (FAR, horizon - 0.05)], 0.07, shade)


def _windows(pen: Pen, horizon: float, shade: Colour, detail: Colour, shift: float) -> None:
    for x in np.arange(-1.6, 1.6, 0.6) + 0.6 * shift:
        for y in (horizon + 0.15, horizon + 0.75):
            pen.fill([(x, y), (x + 0.4, y), (x + 0.4, y + 0.45), (x, y + 0.45)], detail)
            pen.stroke([(x + 0.2, y), (x + 0.2, y + 0.45)], 0.03, shade)


def _leaves(pen: Pen, horizon: float, shade: Colour, detail: Colour, shift: float) -> None:
    for k in range(14):
        x = ((0.37 * k + shift) % 1.0 - 0.5) * 2.6
        y = horizon + 0.1 + (0.61 * k % 1.0) * 1.1
        pen.fill(ellipse(x, y, 0.2, 0.13, 40 * k), detail)


def _lanes(pen: Pen, horizon: float, shade: Colour, detail: Colour, shift: float) -> None:
    pen.stroke([(-FAR, horizon), (FAR, horizon)], 0.09, detail)
    for x in np.arange(-2, 2, 0.7) + 0.7 * shift:
        pen.fill([(x, horizon - 0.1), (x + 0.1, horizon - 0.1), (x - 0.7, -FAR), (x - 1.0, -FAR)], shade)


def _tiles(pen: Pen, horizon: float, shade: Colour, detail: Colour, shift: float) -> None:
    for k in range(5):
        pen.stroke([(-FAR, horizon - 0.1 - 0.22 * k), (FAR, horizon - 0.1 - 0.22 * k)], 0.03, shade)
    for x in np.arange(-2, 2, 0.4) + 0.4 * shift:
        pen.stroke([(x * 0.5, horizon), (x, -1.4)], 0.03, shade)
    pen.fill([(-FAR, 0.75), (FAR, 0.75), (FAR, 0.95), (-FAR, 0.95)], detail)


PATTERNS: dict[str, Callable[[Pen, float, Colour, Colour, float], None]] = {
    "bare": _bare,
    "bricks": _bricks,
    "posts": _posts,
    "windows": _windows,
    "leaves": _leaves,
    "lanes": _lanes,
    "tiles": _tiles,
}


def paint_occluder(rng: np.random.Generator, pen: Pen, kind: str) -> None:
    """In one picture of four, something of this kind before the subject."""
    chance, x, size, tone = rng.random(), rng.uniform(-0.7, 0.7), rng.uniform(0.8, 1.3), rng.random()
    if chance < 0.25:
        OCCLUDERS[kind](pen, x, size, tone)


def _bollard(pen: Pen, x: float, size: float, tone: float) -> None:
    colour = mix(BLACK, WHITE, 0.2 + 0.5 * tone)
    pen.stroke([(x, -1.5), (x, -0.75 + 0.25 * size)], 0.13 * size, colour)
    pen.stroke([(x - 0.04, -0.85 + 0.2 * size), (x + 0.04, -0.85 + 0.2 * size)], 0.08, WHITE)


def _bicycle(pen: Pen, x: float, size: float, tone: float) -> None:
    frame, r = hue(tone, 0.7, 0.6), 0.2 * size
    for side in (-1, 1):
        pen.stroke(ellipse(x + side * 1.2 * r, -0.85, r), 0.035, BLACK, closed=True)
    top = -0.85 + 1.3 * r
    pen.stroke(
        [(x - 1.2 * r, -0.85), (x - 0.5 * r, top), (x + 0.9 * r, top), (x + 1.2 * r, -0.85)], 0.045, frame
    )


def _plant(pen: Pen, x: float, size: float, tone: float) -> None:
    for k in range(5):
        pen.fill(
            ellipse(x + 0.09 * (k - 2), -1.0 + 0.1 * size * (k % 3), 0.07, 0.26 * size, 18 * (2 - k)),
            hue(0.25 + 0.1 * tone, 0.6, 0.25 + 0.06 * k),
        )


def _passer(pen: Pen, x: float, size: float, tone: float) -> None:
    """Somebody nearer, cut off by the border."""
    x = 0.5 if x > 0 else -0.5
    colour = hue(tone, 0.25, 0.25 + 0.4 * tone)
    pen.fill(ellipse(x, 0.62, 0.16 * size), mix(colour, BLACK, 0.6))
    pen.fill([(x - 0.2, 0.42), (x + 0.2, 0.42), (x + 0.22, -0.3), (x - 0.22, -0.3)], colour)
    pen.fill(
        [(x - 0.18, -0.3), (x + 0.18, -0.3), (x + 0.14, -1.5), (x - 0.14, -1.5)], mix(colour, BLACK, 0.45)
    )


def _rail(pen: Pen, x: float, size: float, tone: float) -> None:
    colour = mix((150, 140, 120), WHITE, 0.6 * tone)
    y = -0.75 + 0.15 * size
    pen.stroke([(-FAR, y), (FAR, y + 0.1 * x)], 0.06, colour)
    for k in range(-3, 4):
        pen.stroke([(x + 0.5 * k, y), (x + 0.5 * k, -FAR)], 0.045, colour)


def _branch(pen: Pen, x: float, size: float, tone: float) -> None:
    """Foliage that hangs into the picture from above."""
    for k in range(6):
        pen.fill(
            ellipse(x + 0.16 * (k - 2.5), 0.62 + 0.1 * (k % 3), 0.15 * size, 0.08, 50 * k),
            hue(0.2 + 0.1 * tone, 0.55, 0.25 + 0.05 * k),
        )


OCCLUDERS: dict[str, Callable[[Pen, float, float, float], None]] = {
    "bollard": _bollard,
    "bicycle": _bicycle,
    "plant": _plant,
    "passer": _passer,
    "rail": _rail,
    "branch": _branch,
}
