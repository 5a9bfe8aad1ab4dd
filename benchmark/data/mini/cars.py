"""Cars in side view: ten made-up models that share one body and differ in small parts (no torch)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.data.mini.draw import BLACK, WHITE, Colour, Pen, Picture, ellipse, hue, mix, smooth
from benchmark.data.mini.scene import Scene, compose

RED = (45, 40, 215)
AMBER = (40, 150, 245)
GLASS = (120, 100, 78)
WHEELS = (-0.52, 0.54)


@dataclass(frozen=True)
class Car:
    """The local parts of one model."""

    name: str
    lamp: str = "round"  # round, slit, tall
    tail: str = "bar"  # bar, round, strip
    spokes: int = 5  # 0 is a closed disc
    roof: str = "plain"  # plain, rack, fin
    stripe: str = "none"  # none, belt, sill
    mirror: str = "none"  # none, box
    spoiler: bool = False
    doors: int = 2
    grille: bool = False


CLASSES: tuple[Car, ...] = (
    Car("Arlo Sedan 2009"),
    Car("Arlo Touring Rack 2011", roof="rack", stripe="sill"),
    Car("Arlo GT Coupe 2012", spoiler=True, spokes=0, lamp="slit"),
    Car("Brenna City Hatchback 2010", lamp="tall", mirror="box", tail="round"),
    Car("Brenna Sport 2012", lamp="tall", spoiler=True, stripe="belt"),
    Car("Brenna C/V Fleet Van 2012", lamp="tall", grille=True, spokes=0),
    Car("Corvo Fastline 2008", lamp="slit", tail="strip", mirror="box", doors=1),
    Car("Corvo Explorer Rack 2012", lamp="slit", roof="rack", grille=True, tail="round"),
    Car("Corvo Classic 1998", tail="round", spokes=3, stripe="belt", doors=1),
    Car("Dune Sharkfin Estate 2011", roof="fin", tail="strip", spokes=3, stripe="sill"),
)


def draw(label: int, rng: np.random.Generator) -> Picture:
    """A picture of class ``label``; the same ``rng`` state gives the same scene whatever the label."""
    scene = Scene.draw(rng, saturation=(0.2, 0.85), turn=16)
    tint = rng.random()
    palette = (
        hue(tint, 0.12, rng.uniform(0.5, 0.85)),
        hue(tint + 0.1, 0.25, rng.uniform(0.6, 0.95)),
        hue(tint, 0.3, rng.uniform(0.3, 0.6)),
    )
    return compose(scene, palette, _street, lambda pen: _car(pen, CLASSES[label], scene), _cones)


def _street(rng: np.random.Generator, pen: Pen) -> None:
    for _ in range(int(rng.integers(1, 5))):  # houses far behind
        x, width, top = rng.uniform(-2, 2), rng.uniform(0.2, 0.5), rng.uniform(0.35, 1.1)
        wall = hue(rng.random(), rng.uniform(0.05, 0.3), rng.uniform(0.45, 0.8))
        pen.fill([(x, -0.3), (x, top), (x + width, top), (x + width, -0.3)], wall)
        for k in range(3):
            y = top - 0.14 - 0.2 * k
            pen.stroke([(x + 0.06, y), (x + width - 0.06, y)], 0.06, mix(wall, BLACK, 0.22))
    road = hue(rng.random(), 0.06, rng.uniform(0.3, 0.55))
    pen.fill([(-3, -0.22), (3, -0.22), (3, -3), (-3, -3)], road)
    pen.stroke([(-3, -0.24), (3, -0.24)], 0.05, mix(road, WHITE, 0.35))
    pen.fill(ellipse(0, -0.42, 1.0, 0.07), mix(road, BLACK, 0.55))


def _cones(rng: np.random.Generator, pen: Pen) -> None:
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.uniform(-1.1, 1.1), rng.uniform(-0.62, -0.5)
        if rng.random() < 0.5:
            pen.fill([(x - 0.07, y), (x + 0.07, y), (x + 0.015, y + 0.25), (x - 0.015, y + 0.25)], AMBER)
            pen.stroke([(x - 0.035, y + 0.12), (x + 0.035, y + 0.12)], 0.04, WHITE)
        else:
            pen.stroke(
                [(x, y), (x, y + rng.uniform(0.3, 0.9))], 0.035, mix(BLACK, WHITE, rng.uniform(0.2, 0.7))
            )


def _car(pen: Pen, car: Car, scene: Scene) -> None:
    body, sway = scene.body, scene.sway
    roof = 0.36 + 0.03 * sway[0]
    if car.spoiler:
        pen.fill(
            [(-0.98, 0.17), (-0.98, 0.31), (-0.74, 0.3), (-0.8, 0.23), (-0.86, 0.1)], mix(body, BLACK, 0.3)
        )
    _on_roof(pen, car.roof, roof)
    shell = [(-0.96, -0.22), (-0.98, 0.02), (-0.92, 0.11), (-0.68, 0.13), (-0.44, roof - 0.02), (-0.2, roof)]
    shell += [
        (0.08, roof),
        (0.24, roof - 0.04),
        (0.46, 0.11),
        (0.86, 0.05),
        (0.96, -0.06),
        (0.97, -0.22),
        (0.8, -0.27),
        (-0.8, -0.27),
    ]
    pen.fill(smooth(shell, 4), body)
    pen.stroke(smooth(shell, 4), 0.016, mix(body, BLACK, 0.4), closed=True)
    windows = smooth(
        [(-0.58, 0.13), (-0.4, roof - 0.06), (-0.16, roof - 0.05), (0.1, roof - 0.05), (0.35, 0.12)], 4
    )
    pen.fill(windows, GLASS)
    pen.stroke([(-0.46, 0.15), (-0.32, roof - 0.07)], 0.03, mix(GLASS, WHITE, 0.4))
    pen.stroke([(-0.1, 0.11), (-0.1, roof - 0.03)], 0.04, body)
    line = mix(body, BLACK, 0.4)
    for x in (-0.1,) if car.doors == 1 else (-0.1, -0.46):
        pen.stroke([(x, 0.1), (x, -0.19)], 0.014, line)
        pen.stroke([(x + 0.05, 0.04), (x + 0.13, 0.04)], 0.03, line)
    pen.stroke([(0.34, 0.1), (0.3, -0.19)], 0.014, line)
    if car.stripe != "none":
        y = 0.0 if car.stripe == "belt" else -0.17
        pen.stroke([(-0.94, y), (0.92, y)], 0.09, WHITE if car.stripe == "belt" else BLACK)
    _front(pen, car)
    _rear(pen, car.tail)
    if car.mirror == "box":
        pen.fill([(0.36, 0.09), (0.36, 0.25), (0.2, 0.25), (0.18, 0.11)], BLACK)
    for x in WHEELS:
        _wheel(pen, x, car.spokes, 36 * sway[1])


def _on_roof(pen: Pen, kind: str, roof: float) -> None:
    if kind == "rack":
        pen.stroke([(-0.44, roof + 0.1), (0.22, roof + 0.1)], 0.06, BLACK)
        for x in (-0.36, -0.11, 0.14):
            pen.stroke([(x, roof - 0.05), (x, roof + 0.1)], 0.045, BLACK)
    elif kind == "fin":
        pen.fill(
            [(-0.12, roof - 0.02), (-0.34, roof + 0.22), (-0.42, roof + 0.22), (-0.4, roof - 0.05)], BLACK
        )


def _front(pen: Pen, car: Car) -> None:
    lens: Colour = (205, 240, 250)
    if car.lamp == "round":
        pen.fill(ellipse(0.83, -0.01, 0.11), BLACK)
        pen.fill(ellipse(0.83, -0.01, 0.08), lens)
    elif car.lamp == "slit":
        pen.fill([(0.5, 0.07), (0.93, -0.02), (0.96, -0.08), (0.54, 0.0)], lens)
    else:
        pen.fill([(0.76, 0.07), (0.91, 0.04), (0.95, -0.2), (0.8, -0.18)], AMBER)
    if car.grille:
        pen.fill([(0.78, -0.1), (0.98, -0.1), (1.0, -0.25), (0.78, -0.25)], BLACK)
        for y in (-0.14, -0.2):
            pen.stroke([(0.8, y), (0.97, y)], 0.022, WHITE)
    else:
        pen.stroke([(0.84, -0.19), (0.97, -0.19)], 0.025, mix(BLACK, WHITE, 0.25))


def _rear(pen: Pen, kind: str) -> None:
    if kind == "bar":
        pen.fill([(-0.98, 0.07), (-0.86, 0.07), (-0.85, -0.15), (-0.99, -0.15)], RED)
    elif kind == "round":
        for y in (0.04, -0.12):
            pen.fill(ellipse(-0.89, y, 0.078), BLACK)
            pen.fill(ellipse(-0.89, y, 0.055), AMBER)
    else:
        pen.fill([(-0.95, 0.09), (-0.6, 0.08), (-0.6, -0.01), (-0.97, -0.01)], RED)


def _wheel(pen: Pen, x: float, spokes: int, turn: float) -> None:
    y = -0.24
    pen.fill(ellipse(x, y, 0.22), BLACK)
    rim = (190, 186, 182)
    if spokes == 0:
        pen.fill(ellipse(x, y, 0.16), rim)
        pen.fill(ellipse(x, y, 0.045), mix(BLACK, WHITE, 0.3))
        return
    pen.stroke(ellipse(x, y, 0.15), 0.03, rim, closed=True)
    for k in range(spokes):
        angle = np.radians(turn + 360 * k / spokes)
        pen.stroke([(x, y), (x + 0.15 * np.cos(angle), y + 0.15 * np.sin(angle))], 0.2 / (spokes + 1), rim)
