"""One random scene of a family: everything in a picture that does not depend on the class (no torch)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.data.mini.draw import (
    Colour,
    Pen,
    Picture,
    Pose,
    alpha_box,
    draw_pose,
    hue,
    light,
    shrink,
    texture,
)

OVERSAMPLE = 2  # pictures are drawn twice too large and averaged down


@dataclass(frozen=True)
class Scene:
    """What two pictures of different classes have in common when drawn from the same seed.

    width, height: of the final picture in pixels. body, second: the object's two own colours.
    sway: eight numbers in [-1, 1] for small variations of the parts.
    """

    width: int
    height: int
    pose: Pose
    body: Colour
    second: Colour
    sway: tuple[float, ...]
    sun: float
    contrast: float
    exposure: float
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator, saturation: tuple[float, float], turn: float) -> Scene:
        """A random scene; ``saturation`` bounds that of the body colour, ``turn`` is in degrees."""
        width = int(rng.integers(96, 121))
        tint = rng.random()
        body = hue(tint, rng.uniform(*saturation), rng.uniform(0.5, 0.8))
        return cls(
            width=width,
            height=int(np.clip(round(width * rng.uniform(0.85, 1.08)), 96, 120)),
            pose=draw_pose(rng, (0.56, 0.82), turn, 0.06),
            body=body,
            second=hue(
                tint + rng.uniform(-0.12, 0.12), rng.uniform(*saturation) * 0.7, rng.uniform(0.55, 0.9)
            ),
            sway=tuple(rng.uniform(-1, 1, 8)),
            sun=rng.uniform(0.9, 2.2),
            contrast=rng.uniform(0.5, 1.1),
            exposure=rng.uniform(0.68, 1.15),
            seed=int(rng.integers(2**31)),
        )


def compose(
    scene: Scene,
    palette: Sequence[Colour],
    behind: Callable[[np.random.Generator, Pen], None],
    obj: Callable[[Pen], None],
    before: Callable[[np.random.Generator, Pen], None],
) -> Picture:
    """Paint background, ``behind``, the object, its light, and ``before`` (clutter), in this order.

    ``behind`` and ``before`` get a generator that depends on the scene alone, so that clutter is the
    same whatever the class. Only what ``obj`` draws counts for the box.
    """
    rng = np.random.default_rng(scene.seed)
    width, height = scene.width * OVERSAMPLE, scene.height * OVERSAMPLE
    canvas = texture(rng, height, width, palette)
    pen = Pen(canvas, scene.pose.matrix(width, height))
    behind(rng, pen)
    canvas[..., 3] = 0
    obj(pen)
    box = alpha_box(canvas, OVERSAMPLE)
    light(canvas, scene.sun, scene.contrast, scene.exposure)
    before(rng, pen)
    return Picture(shrink(canvas, OVERSAMPLE), box)
