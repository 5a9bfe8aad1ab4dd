"""Airliners in side view: twelve made-up variants that share one body and differ in small parts (no torch)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.data.mini.draw import BLACK, WHITE, Colour, Pen, Picture, ellipse, hue, mix, smooth
from benchmark.data.mini.scene import Scene, compose

STEEL = (168, 162, 158)
DARK_GLASS = (78, 54, 36)
NAVY = (120, 48, 24)
RED = (45, 40, 205)
HULL = [(-0.98, 0.1), (-0.7, 0.16), (0.0, 0.18), (0.64, 0.17), (0.87, 0.08), (0.97, -0.03)]
HULL += [(0.86, -0.14), (0.58, -0.19), (0.0, -0.19), (-0.5, -0.16), (-0.8, -0.02)]
FINS = {
    "swept": [(-0.46, 0.12), (-0.84, 0.52), (-1.02, 0.52), (-0.94, 0.08)],
    "straight": [(-0.6, 0.12), (-0.66, 0.5), (-0.96, 0.5), (-0.94, 0.08)],
    "tee": [(-0.54, 0.12), (-0.78, 0.5), (-0.98, 0.5), (-0.9, 0.08)],
}


@dataclass(frozen=True)
class Plane:
    """The local parts of one variant."""

    name: str
    engines: str = "one"  # below the wing: one, two; at the tail: rear; above it: propeller
    fin: str = "swept"  # swept, straight, tee
    winglet: bool = False
    windows: str = "dots"  # dots, wide, double
    nose: str = "round"  # round, black, probe
    stripe: str = "none"  # none, cheat (along the windows), belly
    band: bool = False


CLASSES: tuple[Plane, ...] = (
    Plane("Merlin 100"),
    Plane("Merlin 100-W", winglet=True, band=True),
    Plane("Merlin 200", engines="two", stripe="cheat"),
    Plane("Merlin 200 Combi", engines="two", windows="wide", winglet=True),
    Plane("Norden RJ/40", engines="rear", fin="tee"),
    Plane("Norden RJ/45", engines="rear", fin="tee", windows="wide", stripe="belly"),
    Plane("Norden RJ/60", engines="rear", band=True, nose="black"),
    Plane("Osprey DD-8", windows="double", stripe="belly"),
    Plane("Osprey DD-8 Super", windows="double", fin="straight", nose="black"),
    Plane("Pelle T/12", engines="propeller", fin="straight", stripe="cheat"),
    Plane("Pelle T/14", engines="propeller", fin="tee", nose="probe"),
    Plane("Quill X-1", nose="probe", windows="wide", band=True),
)


def draw(label: int, rng: np.random.Generator) -> Picture:
    """A picture of class ``label``; the same ``rng`` state gives the same scene whatever the label."""
    scene = Scene.draw(rng, saturation=(0.08, 0.6), turn=28)
    blue = rng.uniform(0.52, 0.66)
    palette = (
        hue(blue, rng.uniform(0.3, 0.65), rng.uniform(0.6, 0.9)),
        hue(blue, rng.uniform(0.05, 0.3), rng.uniform(0.75, 0.98)),
        hue(blue + rng.uniform(-0.5, 0.1), 0.2, rng.uniform(0.6, 0.95)),
    )
    return compose(scene, palette, _ground, lambda pen: _plane(pen, CLASSES[label], scene), _clouds)


def _ground(rng: np.random.Generator, pen: Pen) -> None:
    if rng.random() < 0.6:
        top = rng.uniform(-1.2, -0.45)
        field = hue(rng.uniform(0.1, 0.35), 0.35, rng.uniform(0.35, 0.6))
        hills = [(x, top + rng.uniform(0, 0.25)) for x in np.linspace(3, -3, 9)]
        pen.fill([(-3, -4), (3, -4), *hills], field)
        pen.fill([(-3, top - 0.3), (3, top - 0.3), (3, -4), (-3, -4)], hue(0.6, 0.06, rng.uniform(0.4, 0.6)))
        pen.stroke([(-3, top - 0.38), (3, top - 0.38)], 0.03, WHITE)


def _clouds(rng: np.random.Generator, pen: Pen) -> None:
    for _ in range(int(rng.integers(1, 4))):
        x, y, size = rng.uniform(-1.2, 1.2), rng.uniform(-0.75, 0.75), rng.uniform(0.08, 0.15)
        tone = mix(WHITE, (200, 180, 160), rng.uniform(0, 0.5))
        for k in range(3):
            pen.fill(ellipse(x + size * (k - 1), y - 0.3 * size * abs(k - 1), size, 0.5 * size), tone)


def _plane(pen: Pen, plane: Plane, scene: Scene) -> None:
    body, accent, sway = mix(scene.body, WHITE, 0.45), scene.second, scene.sway
    _fin(pen, plane, accent, body)
    far = mix(STEEL, BLACK, 0.3)
    pen.fill(
        [(0.12, 0.04), (-0.2, 0.36 + 0.03 * sway[0]), (-0.34, 0.36 + 0.03 * sway[0]), (-0.16, 0.04)], far
    )
    if plane.nose == "probe":
        pen.stroke([(0.9, -0.03), (1.2, -0.05)], 0.05, BLACK)
    hull = smooth(HULL, 4)
    pen.fill(hull, body)
    if plane.nose == "black":
        pen.fill(smooth([(0.86, 0.09), (0.97, -0.03), (0.86, -0.14), (0.83, -0.03)], 4), BLACK)
    if plane.stripe == "belly":
        pen.fill([(-0.56, -0.1), (0.8, -0.11), (0.62, -0.18), (0.0, -0.18), (-0.5, -0.15)], RED)
    elif plane.stripe == "cheat":
        pen.stroke([(-0.86, 0.06), (0.9, 0.0)], 0.08, NAVY)
    pen.stroke(hull, 0.016, mix(body, BLACK, 0.4), closed=True)
    _windows(pen, plane.windows)
    pen.fill([(0.68, 0.16), (0.76, 0.15), (0.87, 0.06), (0.7, 0.06)], DARK_GLASS)
    if plane.engines == "rear":
        _engine(pen, -0.56, 0.08, 0.34, accent)
    tip = -0.46 + 0.03 * sway[1]
    if plane.engines == "two":
        _engine(pen, -0.14, -0.4, 0.28, accent)
    if plane.engines in ("one", "two"):
        _engine(pen, 0.2, -0.27, 0.32, accent)
    pen.fill([(0.22, -0.06), (-0.3, tip), (-0.48, tip), (-0.2, -0.06)], STEEL)
    if plane.winglet:
        pen.fill([(-0.26, tip - 0.02), (-0.46, tip - 0.02), (-0.66, tip + 0.26), (-0.52, tip + 0.26)], RED)
    if plane.engines == "propeller":
        pen.fill(ellipse(0.12, -0.14, 0.2, 0.075), accent)
        pen.stroke([(0.34, 0.12), (0.34, -0.4)], 0.045, BLACK)
        pen.fill(ellipse(0.34, -0.14, 0.05), RED)


def _fin(pen: Pen, plane: Plane, accent: Colour, body: Colour) -> None:
    outline = np.array(FINS[plane.fin])
    pen.fill(outline, accent)
    if plane.band:
        front, back = outline[1] - outline[0], outline[2] - outline[3]
        low, high = 0.4, 0.75
        corners = [outline[0] + low * front, outline[0] + high * front]
        pen.fill([*corners, outline[3] + high * back, outline[3] + low * back], BLACK)
    wing, y = mix(body, BLACK, 0.3), 0.07
    if plane.fin == "tee":
        y = 0.52
        pen.fill([(-0.6, y + 0.02), (-0.98, y + 0.07), (-1.12, y + 0.0), (-0.84, y - 0.05)], wing)
    else:
        pen.fill([(-0.7, y + 0.02), (-1.0, y + 0.05), (-1.08, y - 0.01), (-0.86, y - 0.035)], wing)


def _windows(pen: Pen, kind: str) -> None:
    if kind == "wide":
        for x in np.linspace(-0.5, 0.46, 5):
            pen.fill([(x, 0.1), (x + 0.14, 0.1), (x + 0.14, -0.01), (x, -0.01)], DARK_GLASS)
        return
    for y in (0.11, -0.01) if kind == "double" else (0.05,):
        for x in np.linspace(-0.58, 0.56, 12):
            pen.fill(ellipse(x, y, 0.026, 0.034), DARK_GLASS)


def _engine(pen: Pen, x: float, y: float, length: float, colour: Colour) -> None:
    half = length / 2
    pen.fill(
        smooth([(x - half, y + 0.05), (x + half, y + 0.1), (x + half, y - 0.1), (x - half, y - 0.05)], 4),
        colour,
    )
    pen.fill(ellipse(x + half, y, 0.045, 0.1), BLACK)
