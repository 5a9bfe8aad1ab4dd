"""Corruptions of test pictures, on uint8 arrays and reproducible: noise, blur, JPEG, occlusion (no torch).

Kinds follow Hendrycks and Dietterich, *Benchmarking Neural Network Robustness* (2019); levels are in physical units
instead of five severities. They are applied to the network's input, after resizing and cropping: a level has the same
meaning on every dataset with the same input size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from benchmark.config.parse import entries
from benchmark.data.transforms import view_rng
from benchmark.errors import SettingsError

GREY = 128
_EXAMPLE = 'expected kinds and levels like "noise=0.05,0.1 blur=2 jpeg=10 occlude=0.3"'


@dataclass(frozen=True)
class Corruption:
    """A corruption of one kind and level. Called with a picture, uint8 (h, w, 3), and its position in the test split.

    Random numbers depend only on kind and position: all models see the same pictures, and two levels of a kind have the
    same noise.
    """

    kind: str
    level: float

    def __call__(self, image: np.ndarray, index: int) -> np.ndarray:
        place = list(KINDS).index(self.kind)
        return KINDS[self.kind].apply(image, self.level, view_rng(place, 0, index))

    @property
    def text(self) -> str:
        """``noise=0.1``."""
        return f"{self.kind}={self.level:g}"


@dataclass(frozen=True)
class Kind:
    """A kind of corruption.

    unit: of the level, as text.
    minimum, maximum: of the level. With ``whole``, levels are whole numbers and may be equal to the minimum.
    """

    unit: str
    apply: Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
    minimum: float
    maximum: float
    whole: bool = False

    def allows(self, level: object) -> bool:
        """Whether ``level`` is a valid level of this kind."""
        if isinstance(level, bool) or not isinstance(level, int if self.whole else (int, float)):
            return False
        return self.minimum <= level <= self.maximum if self.whole else self.minimum < level <= self.maximum

    @property
    def expected(self) -> str:
        """The valid levels, as text."""
        if self.whole:
            return f"a whole number from {self.minimum:g} to {self.maximum:g}"
        return f"a number above {self.minimum:g}, up to {self.maximum:g}"


def noise(image: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise on every value, of standard deviation ``level`` · 255, rounded and clipped to 0 … 255."""
    noisy = image + rng.standard_normal(image.shape) * (level * 255)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def blur(image: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian blur of standard deviation ``level`` pixels, cut off after three of them; mirrored at the border."""
    size = 2 * math.ceil(3 * level) + 1
    return cv2.GaussianBlur(image, (size, size), level, borderType=cv2.BORDER_REFLECT_101)


def jpeg(image: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Compression as a JPEG of quality ``level``, 1 to 100 on libjpeg's scale."""
    _, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, int(level)]
    )
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def occlude(image: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """A grey box at a random position that covers the share ``level`` of the picture.

    It has the picture's proportions, so that any share fits into a tall picture, too.
    """
    height, width = image.shape[:2]
    h, w = (max(1, round(side * math.sqrt(level))) for side in (height, width))
    vertical, horizontal = rng.random(2)
    top, left = int(vertical * (height - h + 1)), int(horizontal * (width - w + 1))
    occluded = image.copy()
    occluded[top : top + h, left : left + w] = GREY
    return occluded


KINDS: dict[str, Kind] = {
    "noise": Kind("standard deviation of Gaussian noise, as a share of 255", noise, 0, 1),
    "blur": Kind("standard deviation of a Gaussian, in pixels of the input", blur, 0, 50),
    "jpeg": Kind("quality of JPEG compression", jpeg, 1, 100, whole=True),
    "occlude": Kind("share of the picture under one grey box", occlude, 0, 1),
}


def parse(text: str) -> tuple[Corruption, ...]:
    """Parse ``"noise=0.05,0.1 jpeg=10"`` to corruptions in this order.

    Raises SettingsError for an unknown kind, an invalid level, a repeated one, and for none.
    """
    corruptions: list[Corruption] = []
    for kind, value in entries(text, "--corrupt", "kind=level, e.g. noise=0.1"):
        if kind not in KINDS:
            raise SettingsError(f"--corrupt: unknown kind {kind!r} of {', '.join(KINDS)}; {_EXAMPLE}")
        for level in value if isinstance(value, list) else [value]:
            if not KINDS[kind].allows(level):
                raise SettingsError(
                    f"--corrupt: {kind}={level} is no {KINDS[kind].unit}: expected {KINDS[kind].expected}"
                )
            if (corruption := Corruption(kind, float(level))) in corruptions:
                raise SettingsError(f"--corrupt: {corruption.text} stands twice; {_EXAMPLE}")
            corruptions.append(corruption)
    if not corruptions:
        raise SettingsError(f"--corrupt is empty: {_EXAMPLE}")
    return tuple(corruptions)
