"""Random erasing (Zhong et al., AAAI 2020), the form Re-ID recipes use: a box of per-pixel noise (no torch)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

AREA = (0.02, 1 / 3)  # share of the picture
ASPECT = (0.3, 1 / 0.3)  # height to width
ATTEMPTS = 10  # a box that does not fit is drawn again


@dataclass(frozen=True)
class Erasure:
    """A box, in pixels, and the standard normal noise (3, height, width), float32, that replaces the *normalised*
    picture in it: two thirds of a normal variable fit into the range of a uint8 picture, so it is added on the device.
    """

    top: int
    left: int
    noise: np.ndarray


def random_erasing(size: tuple[int, int], probability: float, rng: np.random.Generator) -> Erasure | None:
    """A random box for a picture of ``size`` (height, width), or None: with 1 − probability, or where none fits.

    Area uniform, aspect log-uniform; the box is smaller than the picture on both axes.
    """
    height, width = size
    if rng.random() >= probability:
        return None
    for _ in range(ATTEMPTS):
        area = rng.uniform(*AREA) * height * width
        aspect = math.exp(rng.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
        h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < h < height and 0 < w < width:
            top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
            return Erasure(top, left, rng.standard_normal((3, h, w), dtype=np.float32))
    return None
