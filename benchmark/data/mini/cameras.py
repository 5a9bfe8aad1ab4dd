"""What a surveillance camera does to a picture: place, viewpoint, light, colour cast, blur (no torch)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np

from benchmark.data.mini.backdrops import paint_backdrop, paint_occluder
from benchmark.data.mini.draw import Colour, Pen, Pose, draw_pose, light, shrink, texture
from benchmark.data.mini.scene import OVERSAMPLE

HOURS = {  # what the time of day does: gains of blue, green and red
    "morning": (0.98, 0.84, 0.74),
    "noon": (1.0, 1.0, 1.0),
    "afternoon": (0.68, 0.86, 1.0),
}


@dataclass(frozen=True)
class Place:
    """A background in three colours, its pattern, and what stands in the way now and then."""

    ground: Colour
    wall: Colour
    detail: Colour
    pattern: str
    occluder: str


@dataclass(frozen=True)
class Camera:
    """One camera of a set.

    number: the official one. cast: gains of blue, green and red. yaw, spread: degrees from which it tends to see
    its subjects (0 their front, 90 a side, 180 their back). above: degrees it looks down. blur: pixels.
    """

    number: int
    place: Place
    cast: Colour
    contrast: float
    yaw: float
    spread: float
    above: float
    blur: float

    def at(self, hour: str) -> Camera:
        """This camera at a time of day."""
        return replace(self, cast=tuple(a * b for a, b in zip(self.cast, HOURS[hour], strict=True)))


@dataclass(frozen=True)
class View:
    """How a subject stands before a camera: yaw in [0, 180], above in degrees; sway: eight numbers in [-1, 1]."""

    yaw: float
    above: float
    sway: tuple[float, ...]


def photograph(
    camera: Camera,
    rng: np.random.Generator,
    size: tuple[int, int],
    length: tuple[float, float],
    turn: float,
    subject: Callable[[Pen, View], None] | None,
) -> np.ndarray:
    """A (H, W, 3) uint8 BGR picture; the same ``rng`` state gives the same scene whatever the subject.

    size: (H, W). length: bounds of the subject's length, two object units, as a share of the width. turn: largest
    rotation in degrees. subject: draws it; None leaves the place empty.
    """
    height, width = size[0] * OVERSAMPLE, size[1] * OVERSAMPLE
    pose = draw_pose(rng, length, turn, 0.05)
    yaw = abs((rng.normal(camera.yaw, camera.spread) + 180) % 360 - 180)
    view = View(yaw, camera.above + rng.uniform(-4, 4), tuple(rng.uniform(-1, 1, 8)))
    place = camera.place
    canvas = texture(rng, height, width, (place.ground, place.wall, place.detail))
    # The place is seen from the camera's fixed position: no rotation, the subject walks about in it.
    fixed = Pose(0, False, sum(length) / 2, rng.uniform(-0.12, 0.12), rng.uniform(-0.03, 0.03), 1, (0, 0))
    pen = Pen(canvas, fixed.matrix(width, height))
    paint_backdrop(pen, place.pattern, place.ground, place.wall, place.detail, rng.random())
    canvas[..., 3] = 0
    if subject is not None:
        subject(Pen(canvas, pose.matrix(width, height)), view)
    light(canvas, rng.uniform(0.7, 2.4), rng.uniform(0.1, 0.5), 1.0)
    paint_occluder(rng, pen, place.occluder)
    return _expose(shrink(canvas, OVERSAMPLE), camera, rng)


def _expose(image: np.ndarray, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """Contrast about grey, colour cast, blur, sensor noise."""
    level = np.float32(rng.uniform(0.84, 1.14))
    gains = np.float32(camera.cast) * level * np.float32(rng.uniform(0.96, 1.04, 3))
    exposed = ((image.astype(np.float32) - 128) * np.float32(camera.contrast) + 128) * gains
    sigma = camera.blur * rng.uniform(0.4, 1.5)
    if sigma > 0.25:  # below, the kernel is a single pixel in effect
        exposed = cv2.GaussianBlur(exposed, (0, 0), sigma)
    exposed += rng.normal(0, 3, (*image.shape[:2], 1)).astype(np.float32)
    return np.clip(exposed, 0, 255).astype(np.uint8)
