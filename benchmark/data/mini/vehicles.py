"""Vehicles at road crossings: identities that share type and paint and differ in small parts (no torch).

Identities are drawn as boxes in vehicle coordinates, see `vehicle_box`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.data.mini.cameras import Camera, photograph
from benchmark.data.mini.draw import BLACK, WHITE, Colour, Pen, hue, mix
from benchmark.data.mini.individuals import draw_individuals
from benchmark.data.mini.vehicle_box import WIDE, Box
from benchmark.data.mini.vehicle_parts import (
    GLASS,
    draw_back,
    draw_front,
    draw_roof,
    draw_screen,
    draw_side,
    draw_wheels,
    draw_windows,
)

CHOICES: dict[str, tuple[str, ...]] = {
    "rim": ("disc", "three", "five", "dark"),
    "roof": ("none", "none", "rack", "box", "fin", "sign"),
    "stripe": ("none", "white belt", "black sill", "red belt", "yellow sill"),
    "sticker": ("none", "white front", "yellow front", "red rear", "white rear", "black middle"),
    "film": ("none", "all", "rear"),
    "lamp": ("round", "slit", "tall"),
    "grille": ("none", "bars", "white"),
    "tail": ("bar", "round", "strip"),
    "trunk": ("none", "spare", "white plate", "yellow badge"),
    "screen": ("none", "white left", "red right", "black band"),
    "mirror": ("none", "black", "white"),
}


@dataclass(frozen=True)
class Type:
    """A body: VeRi's number of the type, height of the bonnet, profile of the cabin as (x, y)."""

    number: int
    belt: float
    cabin: tuple[tuple[float, float], ...]  # rear foot, rear top, front top, front foot


SEDAN = Type(1, 0.4, ((-0.72, 0.4), (-0.46, 0.68), (0.16, 0.68), (0.5, 0.4)))
SUV = Type(2, 0.46, ((-0.97, 0.46), (-0.88, 0.8), (0.2, 0.8), (0.5, 0.46)))
VAN = Type(3, 0.46, ((-0.99, 0.46), (-0.97, 0.92), (0.52, 0.92), (0.86, 0.46)))
# Each look, a type in a paint, is shared by several identities; number: VeRi's of the colour.
LOOKS: tuple[tuple[Type, int, Colour], ...] = (
    (SEDAN, 7, hue(0.6, 0.04, 0.86)),
    (SEDAN, 10, hue(0.6, 0.1, 0.28)),
    (SUV, 4, hue(0.6, 0.05, 0.55)),
    (SEDAN, 5, hue(0.0, 0.65, 0.62)),
    (VAN, 7, hue(0.6, 0.04, 0.84)),
    (SUV, 6, hue(0.6, 0.6, 0.55)),
)


@dataclass(frozen=True)
class Vehicle:
    """One identity: its place in LOOKS and the kind of each part."""

    look: int
    rim: str
    roof: str
    stripe: str
    sticker: str
    film: str
    lamp: str
    grille: str
    tail: str
    trunk: str
    screen: str
    mirror: str


def fleet(rng: np.random.Generator, count: int) -> list[Vehicle]:
    """``count`` identities; two of the same look differ in at least four parts."""
    drawn = draw_individuals(rng, CHOICES, len(LOOKS), count, apart=4)
    return [Vehicle(look, **parts) for look, parts in drawn]


def draw(vehicle: Vehicle | None, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """A (64–80, 64–80, 3) picture; the same ``rng`` state gives the same scene whichever vehicle is in it."""
    height, width = (int(n) for n in rng.integers(64, 81, 2))
    subject = None if vehicle is None else lambda pen, view: _vehicle(pen, vehicle, Box(view))
    return photograph(camera, rng, (height, width), (0.8, 0.94), 4, subject)


def _vehicle(pen: Pen, vehicle: Vehicle, box: Box) -> None:
    kind, _, paint = LOOKS[vehicle.look]
    dark = mix(paint, BLACK, 0.35)
    low, belt = 0.1, kind.belt
    pen.fill(box.at([(-1, 0, -WIDE), (1, 0, -WIDE), (1, 0, WIDE), (-1, 0, WIDE)]), (45, 45, 45))  # shadow
    pen.fill(box.side([(-1, low), (1, low), (1, belt - 0.06), (0.9, belt), (-1, belt)]), paint)
    end = box.end([(-WIDE, low), (WIDE, low), (WIDE, belt - 0.03), (-WIDE, belt - 0.03)])
    pen.fill(end, mix(paint, BLACK, 0.18))
    pen.fill(
        box.at([(-1, belt, -WIDE), (1, belt - 0.04, -WIDE), (1, belt - 0.04, WIDE), (-1, belt, WIDE)]),
        mix(paint, WHITE, 0.2),
    )
    pen.stroke(box.side([(-1, low), (1, low), (1, belt - 0.06), (-1, belt)]), 0.016, dark, closed=True)
    inner = WIDE * 0.86
    rear_foot, rear_top, front_top, front_foot = kind.cabin
    foot, top = (front_foot, front_top) if box.front else (rear_foot, rear_top)
    slope = [(*foot, -inner), (*top, -inner), (*top, inner), (*foot, inner)]
    pen.fill(box.at(slope), mix(paint, BLACK, 0.12))
    pen.fill(_window(box.at(slope)), GLASS if box.front or vehicle.film == "none" else BLACK)
    pen.fill(box.side(kind.cabin, inner), paint)
    roof = [(*rear_top, -inner), (*front_top, -inner), (*front_top, inner), (*rear_top, inner)]
    pen.fill(box.at(roof), mix(paint, WHITE, 0.3))
    draw_side(pen, box, vehicle.stripe, vehicle.sticker, belt)
    draw_windows(pen, box, vehicle.film, vehicle.mirror, kind.cabin, inner)
    if box.front:
        draw_front(pen, box, vehicle.lamp, vehicle.grille, belt)
        draw_screen(pen, vehicle.screen, box.at(slope))
    else:
        draw_back(pen, box, vehicle.tail, vehicle.trunk, belt)
    draw_wheels(pen, box, vehicle.rim)
    draw_roof(pen, box, vehicle.roof, rear_top, front_top, inner)


def _window(slope: np.ndarray) -> np.ndarray:
    """The glass within a (4, 2) outline of the windscreen or rear screen."""
    middle = slope.mean(0)
    return middle + (slope - middle) * 0.82
