"""The parts that tell vehicles apart, drawn onto the visible side, end and roof of a box (no torch)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmark.data.mini.draw import BLACK, WHITE, Colour, Pen, ellipse, mix
from benchmark.data.mini.individuals import PAINTS, painted
from benchmark.data.mini.vehicle_box import WIDE, Box

GLASS: Colour = (120, 100, 78)
LENS: Colour = (205, 240, 250)
AMBER: Colour = (40, 150, 245)
RIM: Colour = (195, 190, 188)
WHEEL = 0.19  # radius


def draw_side(pen: Pen, box: Box, stripe: str, sticker: str, belt: float) -> None:
    """Doors, stripe and sticker."""
    for x in (-0.3, 0.2):
        pen.stroke(box.side([(x, belt), (x, 0.14)]), 0.016, BLACK)
    paint, kind = painted(stripe)
    if kind in ("belt", "sill"):
        y = 0.29 if kind == "belt" else 0.14
        pen.fill(box.side([(-0.98, y), (0.98, y), (0.98, y + 0.08), (-0.98, y + 0.08)]), paint)
    paint, kind = painted(sticker)
    if kind != "none":
        x = {"front": 0.24, "middle": -0.05, "rear": -0.9}[kind]
        outline = [(x - 0.02, 0.2), (x + 0.2, 0.2), (x + 0.2, belt - 0.04), (x - 0.02, belt - 0.04)]
        pen.fill(box.side(outline), paint)


def draw_windows(
    pen: Pen, box: Box, film: str, mirror: str, cabin: Sequence[tuple[float, float]], inner: float
) -> None:
    """The side windows behind which a film may lie, and the mirror. cabin: profile; inner: its half width."""
    (rear_foot, rear_top, front_top, front_foot) = np.asarray(cabin)
    foot, top = rear_foot[1] + 0.03, rear_top[1] - 0.05
    pillar = (rear_top[0] + front_top[0]) / 2 - 0.05
    rear = [(rear_foot[0] + 0.1, foot), (rear_top[0] + 0.06, top), (pillar, top), (pillar, foot)]
    front = [
        (pillar + 0.08, foot),
        (pillar + 0.08, top),
        (front_top[0] - 0.02, top),
        (front_foot[0] - 0.12, foot),
    ]
    tinted = {"none": (), "rear": (rear,), "all": (rear, front)}[film]
    for window in (rear, front):
        pen.fill(box.side(window, inner), BLACK if window in tinted else mix(GLASS, WHITE, 0.3))
    if mirror != "none":
        x = front_foot[0] - 0.16
        pen.fill(
            box.side(
                [(x - 0.1, foot - 0.04), (x + 0.05, foot - 0.04), (x, foot + 0.12), (x - 0.1, foot + 0.12)]
            ),
            PAINTS[mirror],
        )


def draw_front(pen: Pen, box: Box, lamp: str, grille: str, belt: float) -> None:
    """Lamps, grille and bumper."""
    pen.fill(box.end([(-0.15, 0.12), (0.15, 0.12), (0.15, 0.2), (-0.15, 0.2)]), PAINTS["blue"])
    for side in (-1, 1):
        if lamp == "round":
            pen.fill(box.end(ellipse(side * 0.3, belt - 0.13, 0.09, 0.08)), LENS)
            pen.stroke(box.end(ellipse(side * 0.3, belt - 0.13, 0.1, 0.09)), 0.02, BLACK, closed=True)
        elif lamp == "slit":
            pen.fill(_rectangle(box, side * 0.28, belt - 0.09, 0.13, 0.03), LENS)
        else:
            pen.fill(_rectangle(box, side * 0.35, belt - 0.16, 0.06, 0.11), AMBER)
    if grille != "none":
        pen.fill(_rectangle(box, 0, belt - 0.14, 0.18, 0.07), BLACK if grille == "bars" else WHITE)
    if grille == "bars":
        for y in (belt - 0.11, belt - 0.17):
            pen.stroke(box.end([(-0.16, y), (0.16, y)]), 0.02, RIM)


def draw_back(pen: Pen, box: Box, tail: str, trunk: str, belt: float) -> None:
    """Tail lamps and what is on the trunk."""
    red = PAINTS["red"]
    if tail == "strip":
        pen.fill(_rectangle(box, 0, belt - 0.09, WIDE * 0.95, 0.035), red)
    for side in (-1, 1):
        if tail == "bar":
            pen.fill(_rectangle(box, side * 0.36, belt - 0.15, 0.055, 0.12), red)
        elif tail == "round":
            for y in (belt - 0.1, belt - 0.22):
                pen.fill(box.end(ellipse(side * 0.33, y, 0.07, 0.055)), AMBER)
    paint, kind = painted(trunk)
    if kind == "spare":
        pen.fill(box.end(ellipse(0, 0.36, 0.2)), BLACK)
        pen.fill(box.end(ellipse(0, 0.36, 0.1)), RIM)
    elif kind == "plate":
        pen.fill(_rectangle(box, 0, 0.2, 0.2, 0.07), paint)
    elif kind == "badge":
        pen.fill(box.end(ellipse(0.16, belt - 0.12, 0.1, 0.09)), paint)


def draw_screen(pen: Pen, screen: str, slope: np.ndarray) -> None:
    """What is stuck to the windscreen, whose outline (foot, top, top, foot) is ``slope``, (4, 2)."""
    paint, kind = painted(screen)
    foot, top, top2, foot2 = slope
    if kind == "band":
        corners = (top + 0.3 * (foot - top), top, top2, top2 + 0.3 * (foot2 - top2))
        pen.fill(corners, paint)
    elif kind in ("left", "right"):
        across = 0.3 if kind == "left" else 0.7
        centre = (1 - across) * (top + foot) / 2 + across * (top2 + foot2) / 2
        pen.fill(centre + 0.17 * (slope - slope.mean(0)), paint)


def draw_wheels(pen: Pen, box: Box, rim: str) -> None:
    """Two wheels on the visible side."""
    for x in (-0.58, 0.6):
        pen.fill(box.side(ellipse(x, 0.13, WHEEL)), BLACK)
        if rim == "dark":
            pen.stroke(box.side(ellipse(x, 0.13, 0.06)), 0.02, RIM, closed=True)
            continue
        if rim == "disc":
            pen.fill(box.side(ellipse(x, 0.13, 0.14)), RIM)
            continue
        spokes = 3 if rim == "three" else 5
        for k in range(spokes):
            angle = 2 * np.pi * k / spokes + 0.5
            end = (x + 0.14 * np.cos(angle), 0.13 + 0.14 * np.sin(angle))
            pen.stroke(box.side([(x, 0.13), end]), 0.16 / spokes, RIM)


def draw_roof(
    pen: Pen, box: Box, roof: str, rear: tuple[float, float], front: tuple[float, float], inner: float
) -> None:
    """What is on the roof, which reaches from ``rear`` to ``front``, both (x, y)."""
    (x0, y), (x1, _) = rear, front
    if roof == "rack":
        for z in (-0.7 * inner, 0.7 * inner):
            pen.stroke(box.at([(x0 + 0.05, y + 0.08, z), (x1 - 0.05, y + 0.08, z)]), 0.05, BLACK)
        for x in (x0 + 0.12, x1 - 0.12):
            pen.stroke(box.at([(x, y + 0.05, -0.7 * inner), (x, y + 0.05, 0.7 * inner)]), 0.04, BLACK)
    elif roof == "box":
        middle, z = (x0 + x1) / 2, 0.55 * inner
        low, high = (middle - 0.22, y + 0.02), (middle + 0.22, y + 0.14)
        pen.fill(box.side([low, (high[0], low[1]), high, (low[0], high[1])], z), (60, 60, 60))
        top = [(low[0], high[1], -z), (high[0], high[1], -z), (high[0], high[1], z), (low[0], high[1], z)]
        pen.fill(box.at(top), (95, 95, 95))
    elif roof == "fin":
        pen.fill(box.side([(x0 + 0.2, y), (x0 + 0.02, y + 0.16), (x0 - 0.04, y)], 0.0), BLACK)
    elif roof == "sign":
        middle = (x0 + x1) / 2
        sign = [(middle, y, -0.2), (middle, y, 0.2), (middle, y + 0.14, 0.2), (middle, y + 0.14, -0.2)]
        pen.fill(box.at(sign), PAINTS["yellow"])
        pen.fill(
            box.side(
                [
                    (middle - 0.06, y),
                    (middle + 0.06, y),
                    (middle + 0.06, y + 0.14),
                    (middle - 0.06, y + 0.14),
                ],
                0.2,
            ),
            PAINTS["yellow"],
        )


def _rectangle(box: Box, z: float, y: float, half_z: float, half_y: float) -> np.ndarray:
    """An upright rectangle on the visible end."""
    corners = [(-half_z, -half_y), (half_z, -half_y), (half_z, half_y), (-half_z, half_y)]
    return box.end(np.add(corners, (z, y)))
