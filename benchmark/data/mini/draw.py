"""What every generated picture is made with: poses, a pen in object coordinates, textures, light (no torch).

Object coordinates: x points to the object's front and spans about [-1, 1], y points up. Colours are BGR.
A canvas is (H, W, 4) uint8; its alpha marks the object, which gives the bounding box and the light's mask.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

Colour = tuple[float, float, float]
Points = np.ndarray | Sequence[tuple[float, float]]
_SHIFT = 4  # OpenCV's fixed-point coordinates: 4 bits after the point

WHITE: Colour = (238, 240, 242)
BLACK: Colour = (28, 26, 26)
_CIRCLE = np.stack([(np.cos(t), np.sin(t)) for t in np.linspace(0, 2 * np.pi, 28, endpoint=False)])


@dataclass(frozen=True)
class Picture:
    """image: (H, W, 3) uint8 BGR; box: x, y, width, height of the object in pixels, inside the image."""

    image: np.ndarray
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class Pose:
    """How the object lies in a picture; lengths are fractions of the picture's width."""

    angle: float
    mirror: bool
    length: float
    dx: float
    dy: float
    squeeze: float
    tilt: tuple[float, float]

    def matrix(self, width: int, height: int) -> np.ndarray:
        """3×3 homography from object coordinates to pixels."""
        half = self.length * width / 2
        c, s = np.cos(np.radians(self.angle)), np.sin(np.radians(self.angle))
        flip = np.diag([-1.0 if self.mirror else 1.0, 1.0, 1.0])
        tilt = np.array([[1, 0, 0], [0, self.squeeze, 0], [*self.tilt, 1]])
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        x, y = width * (0.5 + self.dx), height * (0.5 + self.dy)
        place = np.array([[half, 0, x], [0, -half, y], [0, 0, 1]])
        return place @ turn @ tilt @ flip


def draw_pose(rng: np.random.Generator, length: tuple[float, float], turn: float, shift: float) -> Pose:
    """A random pose; ``turn`` in degrees and ``shift`` are the largest rotation and displacement."""
    return Pose(
        angle=rng.uniform(-turn, turn),
        mirror=bool(rng.random() < 0.5),
        length=rng.uniform(*length),
        dx=rng.uniform(-shift, shift),
        dy=rng.uniform(-shift, shift),
        squeeze=rng.uniform(0.9, 1.1),
        tilt=(rng.uniform(-0.12, 0.12), rng.uniform(-0.12, 0.12)),
    )


def ellipse(x: float, y: float, rx: float, ry: float | None = None, angle: float = 0.0) -> np.ndarray:
    """Outline of an ellipse as (28, 2) points; ``angle`` in degrees."""
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return _CIRCLE * (rx, rx if ry is None else ry) @ np.array([[c, s], [-s, c]]) + (x, y)


def smooth(points: Points, steps: int = 5) -> np.ndarray:
    """A closed Catmull-Rom curve through ``points``: (len(points) · steps, 2)."""
    p1 = np.asarray(points, float)
    order = np.arange(len(p1))
    p0, p2, p3 = p1[order - 1], p1[(order + 1) % len(p1)], p1[(order + 2) % len(p1)]
    t = np.arange(steps)[:, None, None] / steps
    curve = 2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * (p1 - p2) + p3 - p0) * t**3
    return (curve / 2).transpose(1, 0, 2).reshape(-1, 2)


class Pen:
    """Draws filled outlines and strokes, given in object coordinates, onto a canvas."""

    def __init__(self, canvas: np.ndarray, matrix: np.ndarray) -> None:
        self.canvas = canvas
        self.matrix = matrix
        self.unit = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))  # pixels per object unit

    def pixels(self, points: Points) -> np.ndarray:
        """(…, 2) pixel coordinates of object points."""
        p = np.asarray(points, float) @ self.matrix[:, :2].T + self.matrix[:, 2]
        return p[..., :2] / p[..., 2:]

    def _fixed(self, points: Points) -> list[np.ndarray]:
        fixed = np.rint((self.pixels(points) - 0.5) * (1 << _SHIFT)).astype(np.int32)
        return [fixed] if fixed.ndim == 2 else list(fixed)

    def fill(self, points: Points, colour: Colour) -> None:
        """Fill a closed outline, (n, 2), or several, (m, n, 2)."""
        for outline in self._fixed(
            points
        ):  # one by one: where outlines of one call overlap, OpenCV leaves holes
            cv2.fillPoly(self.canvas, [outline], (*colour, 255), cv2.LINE_AA, _SHIFT)

    def stroke(self, points: Points, width: float, colour: Colour, closed: bool = False) -> None:
        """Draw a line, (n, 2), or several, (m, n, 2), ``width`` object units thick, at least one pixel."""
        thick = max(1, round(width * self.unit))
        cv2.polylines(self.canvas, self._fixed(points), closed, (*colour, 255), thick, cv2.LINE_AA, _SHIFT)


def hue(h: float, s: float, v: float) -> Colour:
    """BGR colour of hue, saturation and value in [0, 1]."""
    r, g, b = colorsys.hsv_to_rgb(h % 1.0, min(1.0, s), min(1.0, v))
    return 255 * b, 255 * g, 255 * r


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """``share`` of b in a."""
    return tuple(x + share * (y - x) for x, y in zip(a, b, strict=True))  # type: ignore[return-value]


def noise(rng: np.random.Generator, height: int, width: int, cells: int) -> np.ndarray:
    """(H, W) float32 smooth noise in [0, 1] with ``cells`` cells across."""
    grid = rng.random((cells, cells), dtype=np.float32)
    return np.clip(cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def texture(rng: np.random.Generator, height: int, width: int, colours: Sequence[Colour]) -> np.ndarray:
    """(H, W, 4) canvas of soft noise in three colours with grain, alpha 0."""
    a, b, c = (np.float32(x) for x in colours)
    coarse = noise(rng, height, width, int(rng.integers(3, 6)))[..., None]
    fine = noise(rng, height, width, int(rng.integers(9, 20)))[..., None]
    image = a + (b - a) * coarse + (c - a) * (0.45 * fine * fine)
    image += rng.normal(0, 3, (height, width, 1)).astype(np.float32)
    canvas = np.zeros((height, width, 4), np.uint8)
    canvas[..., :3] = np.clip(image, 0, 255)
    return canvas


def light(canvas: np.ndarray, direction: float, strength: float, level: float) -> None:
    """Shade the object from one side (``direction`` in radians, π/2 = from above) and set the exposure."""
    height, width = canvas.shape[:2]
    y, x = np.ogrid[:height, :width]
    ramp = ((x / width - 0.5) * np.cos(direction) - (y / height - 0.5) * np.sin(direction)).astype(np.float32)
    gain = 1 + ramp * (canvas[..., 3] / np.float32(255)) * (2 * strength)
    canvas[..., :3] = np.clip(canvas[..., :3] * (gain * np.float32(level))[..., None], 0, 255)


def alpha_box(canvas: np.ndarray, scale: int) -> tuple[int, int, int, int]:
    """Box of the object in a canvas drawn ``scale`` times too large, in pixels of the final picture."""
    x, y, w, h = cv2.boundingRect((canvas[..., 3] > 127).astype(np.uint8))
    x0, y0 = x // scale, y // scale
    return x0, y0, -(-(x + w) // scale) - x0, -(-(y + h) // scale) - y0


def shrink(canvas: np.ndarray, scale: int) -> np.ndarray:
    """The finished BGR picture of a canvas drawn ``scale`` times too large."""
    height, width = canvas.shape[0] // scale, canvas.shape[1] // scale
    return cv2.resize(np.ascontiguousarray(canvas[..., :3]), (width, height), interpolation=cv2.INTER_AREA)
