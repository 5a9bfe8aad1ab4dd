"""Birds in side view: twelve made-up species that share one body and differ in small parts (no torch)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.data.mini.draw import BLACK, WHITE, Pen, Picture, ellipse, hue, mix, smooth
from benchmark.data.mini.scene import Scene, compose

ORANGE = (40, 140, 240)
RED = (50, 50, 215)
YELLOW = (60, 215, 245)


@dataclass(frozen=True)
class Bird:
    """The local parts of one species."""

    name: str
    beak: str = "cone"  # cone, needle, hook
    eye_ring: bool = False
    bars: int = 0
    tail: str = "plain"  # plain, white, fork
    crown: str = "none"  # none, cap, crest
    cheek: bool = False
    breast: str = "plain"  # plain, spots, band
    legs: str = "dark"  # dark, orange


CLASSES: tuple[Bird, ...] = (
    Bird("Plain_Hedgeling"),
    Bird("Ring_eyed_Hedgeling", eye_ring=True, bars=2, legs="orange"),
    Bird("Barwing_Hedgeling", bars=2, tail="white"),
    Bird("Black_capped_Thornbill", beak="needle", crown="cap"),
    Bird("White_tailed_Thornbill", beak="needle", tail="white", cheek=True),
    Bird("Spotted_Thornbill", beak="needle", breast="spots", eye_ring=True),
    Bird("Crested_Hookbeak", beak="hook", crown="crest", bars=1),
    Bird("Collared_Hookbeak", beak="hook", breast="band", legs="orange"),
    Bird("Fork_tailed_Hookbeak", beak="hook", tail="fork", cheek=True),
    Bird("Red_cheeked_Finchlet", cheek=True, crown="cap", bars=1),
    Bird("Crested_Finchlet", crown="crest", breast="spots", tail="fork"),
    Bird("Banded_Finchlet", breast="band", bars=3, eye_ring=True),
)


def draw(label: int, rng: np.random.Generator) -> Picture:
    """A picture of class ``label``; the same ``rng`` state gives the same scene whatever the label."""
    scene = Scene.draw(rng, saturation=(0.25, 0.75), turn=28)
    green = rng.uniform(0.12, 0.42)
    palette = (
        hue(green, 0.45, rng.uniform(0.35, 0.6)),
        hue(green + rng.uniform(-0.08, 0.08), 0.25, rng.uniform(0.6, 0.9)),
        hue(green + 0.1, 0.5, rng.uniform(0.2, 0.5)),
    )
    return compose(scene, palette, _branch, lambda pen: _bird(pen, CLASSES[label], scene), _leaves)


def _branch(rng: np.random.Generator, pen: Pen) -> None:
    bark = mix(hue(0.07, 0.45, 0.4), WHITE, rng.uniform(0, 0.35))
    y = -0.58 + rng.uniform(-0.04, 0.04)
    sag = rng.uniform(-0.12, 0.12)
    line = [(-2.4, y + sag), (-0.8, y + 0.02), (0.6, y), (2.4, y - sag)]
    pen.stroke(line, 0.13, mix(bark, BLACK, 0.35))
    pen.stroke([(x, y + 0.02) for x, y in line], 0.07, bark)


def _leaves(rng: np.random.Generator, pen: Pen) -> None:
    for _ in range(int(rng.integers(2, 6))):
        x, y, size = rng.uniform(-1.2, 1.2), rng.uniform(-0.8, 0.8), rng.uniform(0.07, 0.16)
        leaf = ellipse(x, y, size, size * 0.42, rng.uniform(0, 180))
        colour = hue(rng.uniform(0.17, 0.4), 0.6, rng.uniform(0.3, 0.7))
        pen.fill(leaf, colour)
        pen.stroke(leaf[[0, 14]], 0.012, mix(colour, WHITE, 0.3))


def _bird(pen: Pen, bird: Bird, scene: Scene) -> None:
    sway, body = scene.sway, scene.body
    dark, belly = mix(body, BLACK, 0.38), mix(body, WHITE, 0.45)
    legs = ORANGE if bird.legs == "orange" else mix(BLACK, WHITE, 0.2)
    for x in (-0.04, 0.14):
        pen.stroke([(x, -0.2), (x + 0.03 * sway[0], -0.42), (x + 0.02, -0.56)], 0.035, legs)
        pen.stroke([(x - 0.04, -0.57), (x + 0.11, -0.56)], 0.035, legs)
    _tail(pen, bird.tail, dark, 0.05 * sway[1])
    head_y = 0.34 + 0.03 * sway[2]
    body_outline = [(-0.55, 0.02), (-0.3, 0.22), (0.1, 0.3), (0.3, head_y + 0.14), (0.48, head_y + 0.17)]
    body_outline += [(0.62, head_y), (0.5, 0.06), (0.36, -0.16), (0.05, -0.3), (-0.3, -0.2)]
    pen.fill(smooth(body_outline), body)
    pen.fill(
        smooth([(0.52, 0.12), (0.36, -0.14), (0.05, -0.29), (-0.25, -0.2), (0.05, -0.12), (0.36, 0.08)]),
        belly,
    )
    _breast(pen, bird.breast)
    wing = [(-0.62, -0.02), (-0.25, 0.19), (0.12, 0.18), (0.24, 0.05), (0.08, -0.1), (-0.3, -0.1)]
    pen.fill(smooth(wing), mix(scene.second, BLACK, 0.25))
    pen.stroke([(-0.5, -0.03), (-0.1, 0.02), (0.15, 0.02)], 0.015, mix(scene.second, BLACK, 0.5))
    for bar in range(bird.bars):
        x = 0.1 - 0.15 * bar
        pen.stroke([(x, 0.17), (x - 0.08, 0.03), (x - 0.07, -0.07)], 0.045, WHITE)
    _head(pen, bird, head_y, dark)


def _tail(pen: Pen, kind: str, colour: tuple[float, float, float], lift: float) -> None:
    if kind == "fork":
        pen.fill(
            [(-0.4, 0.08), (-1.0, 0.14 + lift), (-0.72, -0.04), (-1.0, -0.22 + lift), (-0.4, -0.12)], colour
        )
        return
    pen.fill([(-0.4, 0.08), (-0.98, 0.02 + lift), (-1.0, -0.16 + lift), (-0.4, -0.12)], colour)
    if kind == "white":
        pen.fill(
            [(-0.84, 0.035 + lift), (-0.98, 0.02 + lift), (-1.0, -0.16 + lift), (-0.84, -0.15 + lift)], WHITE
        )


def _breast(pen: Pen, kind: str) -> None:
    if kind == "spots":
        for x, y in ((0.36, 0.0), (0.25, -0.12), (0.14, -0.22), (0.42, 0.1), (0.3, 0.02), (0.1, -0.16)):
            pen.fill(ellipse(x, y, 0.034), mix(BLACK, WHITE, 0.1))
    elif kind == "band":
        pen.stroke([(0.3, 0.17), (0.42, 0.1), (0.54, 0.12)], 0.07, BLACK)


def _head(pen: Pen, bird: Bird, y: float, dark: tuple[float, float, float]) -> None:
    if bird.crown == "cap":
        pen.fill(
            smooth([(0.27, y + 0.1), (0.36, y + 0.19), (0.5, y + 0.18), (0.6, y + 0.06), (0.44, y + 0.07)]),
            BLACK,
        )
    elif bird.crown == "crest":
        pen.fill([(0.56, y + 0.13), (0.4, y + 0.2), (0.12, y + 0.34), (0.26, y + 0.06)], dark)
    if bird.cheek:
        pen.fill(ellipse(0.41, y - 0.09, 0.075, 0.06), RED)
    if bird.beak == "cone":
        pen.fill([(0.58, y + 0.08), (0.78, y - 0.02), (0.58, y - 0.07)], mix(ORANGE, BLACK, 0.25))
    elif bird.beak == "needle":
        pen.fill([(0.58, y + 0.05), (1.02, y - 0.06), (0.58, y - 0.04)], mix(BLACK, WHITE, 0.15))
    else:
        pen.fill(
            smooth([(0.57, y + 0.09), (0.74, y + 0.06), (0.79, y - 0.13), (0.7, y - 0.04), (0.58, y - 0.06)]),
            mix(YELLOW, BLACK, 0.12),
        )
    if bird.eye_ring:
        pen.fill(ellipse(0.49, y + 0.045, 0.078), WHITE)
    pen.fill(ellipse(0.49, y + 0.045, 0.042), BLACK)
    pen.fill(ellipse(0.502, y + 0.06, 0.014), WHITE)
