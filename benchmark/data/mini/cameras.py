"""Cameras of the generated sets and the pictures that they take (no torch)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np

from benchmark.data.mini.draw import Colour, Pen, Picture, alpha_box, draw_pose, hue, light, shrink, texture
from benchmark.data.mini.shapes import Colours, Flat, Part, View, draw_parts, parse_shapes, read_toml

OVERSAMPLE = 2  # pictures are drawn twice too large and averaged down
HOURS = {  # gains of blue, green and red at a time of day
    "morning": (0.98, 0.84, 0.74),
    "noon": (1.0, 1.0, 1.0),
    "afternoon": (0.68, 0.86, 1.0),
}
GROUNDS = ("ground", "wall", "detail")  # colours of a place
ColourRow = str | Sequence[Sequence[float]]  # "#rrggbb", or ranges of hue, saturation and value


@dataclass(frozen=True)
class Scene:
    """Bounds that the pictures of a set are drawn from.

    size: of height and width in pixels. length: of the subject's two object units, as a share of the longer side.
    turn: largest rotation in degrees. light: of the shading; level: of the exposure.
    """

    size: tuple[tuple[int, int], tuple[int, int]]
    length: tuple[float, float]
    turn: float
    light: tuple[float, float]
    level: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True)
class Camera:
    """One camera of a set.

    number: the official one; 0: it follows its subject, others stay where they are. place: a row of places.toml.
    cast: gains of blue, green and red. yaw, spread: mean and standard deviation of the direction from which it sees
    its subjects, in degrees (0 their front, 90 a side, 180 their back). above: degrees it looks down. blur: pixels.
    """

    number: int
    place: str
    cast: Colour = (1.0, 1.0, 1.0)
    contrast: float = 1.0
    yaw: float = 90.0
    spread: float = 0.0
    above: float = 0.0
    blur: float = 0.0

    def at(self, hour: str) -> Camera:
        """This camera at a time of day."""
        return replace(self, cast=tuple(a * b for a, b in zip(self.cast, HOURS[hour], strict=True)))


def draw_colour(rng: np.random.Generator, row: ColourRow) -> Colour:
    """BGR colour of a row; without ranges nothing is drawn from ``rng``."""
    if isinstance(row, str):
        red, green, blue = bytes.fromhex(row.removeprefix("#"))
        return float(blue), float(green), float(red)
    return hue(*(rng.uniform(low, high) for low, high in row))


@cache
def _shapes(section: str, name: str) -> tuple[Flat, ...]:
    return parse_shapes(read_toml("places.toml")[section][name])


def photograph(
    scene: Scene,
    camera: Camera,
    rng: np.random.Generator,
    figure: Mapping[str, ColourRow],
    parts: Sequence[Part],
) -> Picture:
    """A picture of a subject; the same ``rng`` state gives the same scene whatever its ``parts``.

    figure: colours of the subject by name, fixed or drawn for each picture. parts: none leave the place empty.
    """
    height, width = (int(rng.integers(low, high + 1)) for low, high in scene.size)
    place = read_toml("places.toml")["places"][camera.place]
    longer = max(height, width) / width
    height, width = height * OVERSAMPLE, width * OVERSAMPLE
    pose = draw_pose(rng, tuple(longer * share for share in scene.length), scene.turn, 0.05)
    yaw = abs((rng.normal(camera.yaw, camera.spread) + 180) % 360 - 180)
    view = View(yaw, camera.above + (camera.above > 0) * rng.uniform(-4, 4), tuple(rng.uniform(-1, 1, 2)))
    colours = {"tone": hue(rng.random(), 0.5, rng.uniform(0.3, 0.7))}
    rows = {**{name: place[name] for name in GROUNDS}, **figure, **read_toml("places.toml")["paints"]}
    colours |= {name: draw_colour(rng, row) for name, row in rows.items()}
    canvas = texture(rng, height, width, [colours[name] for name in GROUNDS])
    # A fixed camera sees its place from the same position: no rotation, the subject walks about in it.
    dx, dy = rng.uniform(-0.12, 0.12), rng.uniform(-0.03, 0.03)
    fixed = replace(pose, angle=0, mirror=False, dx=dx, dy=dy, squeeze=1, tilt=(0, 0))
    pen = Pen(canvas, (fixed if camera.number else pose).matrix(width, height))
    for pattern in place["patterns"]:
        _draw(pen, _shapes("patterns", pattern), colours)
    canvas[..., 3] = 0
    draw_parts(Pen(canvas, pose.matrix(width, height)), parts, view, colours)
    box = alpha_box(canvas, OVERSAMPLE)
    light(canvas, rng.uniform(0.7, 2.4), rng.uniform(*scene.light), rng.uniform(*scene.level))
    for _ in range(rng.poisson(place.get("mean", 0.25))):
        spot = rng.uniform(-1, 1, 2) * place.get("spread", (0.7, 0.1))
        clutter = {**colours, "tone": hue(rng.random(), 0.55, rng.uniform(0.3, 0.7))}
        _draw(pen, _shapes("clutter", place["clutter"]), clutter, spot)
    return Picture(_expose(shrink(canvas, OVERSAMPLE), camera, rng), box)


def _draw(pen: Pen, shapes: Sequence[Flat], colours: Colours, spot: np.ndarray | float = 0.0) -> None:
    for shape in shapes:
        shape.draw(pen, shape.outlines + spot, colours)


def _expose(image: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Contrast about grey, colour cast, blur and sensor noise of a camera. image and result: (H, W, 3) uint8."""
    level = np.float32(rng.uniform(0.84, 1.14))
    gains = np.float32(camera.cast) * level * np.float32(rng.uniform(0.96, 1.04, 3))
    exposed = ((image.astype(np.float32) - 128) * np.float32(camera.contrast) + 128) * gains
    sigma = camera.blur * rng.uniform(0.4, 1.5)
    if sigma > 0.25:  # below, the kernel is a single pixel in effect
        exposed = cv2.GaussianBlur(exposed, (0, 0), sigma)
    exposed += rng.normal(0, 3, (*image.shape[:2], 1)).astype(np.float32)
    return np.clip(exposed, 0, 255).astype(np.uint8)
