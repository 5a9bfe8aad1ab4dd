"""Test pictures made worse, on uint8 arrays and reproducible: noise, blur, JPEG, occlusion (no torch).

Kinds and their meaning follow Hendrycks and Dietterich, *Benchmarking Neural Network Robustness* (2019); the levels are
in units of their own instead of five severities. They are applied to what the network is shown, after resizing and
cropping: the same level means the same on every dataset of one input size.
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
    """One kind at one level. Called with a picture, uint8 (h, w, 3), and its place in the test split; returns another.

    What is drawn depends on the kind and the place alone: every model sees the same, and two levels of one kind differ
    in nothing else.
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
    """unit: of the level, in words. Levels go up to ``most``, from ``least`` in whole numbers, else from above it."""

    unit: str
    apply: Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
    least: float
    most: float
    whole: bool = False

    def allows(self, level: object) -> bool:
        """Whether ``level`` is a level of this kind."""
        if isinstance(level, bool) or not isinstance(level, int if self.whole else (int, float)):
            return False
        return self.least <= level <= self.most if self.whole else self.least < level <= self.most

    @property
    def expected(self) -> str:
        """The levels there are, in words."""
        if self.whole:
            return f"a whole number from {self.least:g} to {self.most:g}"
        return f"a number above {self.least:g}, up to {self.most:g}"


def noise(image: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise on every value, of standard deviation ``level`` · 255, rounded and cut to 0 … 255."""
    noisy = image + rng.standard_normal(image.shape) * (level * 255)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def blur(image: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Gaussian blur of standard deviation ``level`` pixels, cut off behind three of them; mirrored at the border."""
    size = 2 * math.ceil(3 * level) + 1
    return cv2.GaussianBlur(image, (size, size), level, borderType=cv2.BORDER_REFLECT_101)


def jpeg(image: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """Written as a JPEG of quality ``level`` by libjpeg's scale, 1 to 100, and read again."""
    _, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, int(level)]
    )
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def occlude(image: np.ndarray, level: float, rng: np.random.Generator) -> np.ndarray:
    """One grey box of the picture's proportions, which covers the share ``level`` of it, anywhere inside.

    Of its proportions and not square, so that any share fits into a tall picture of a person, too.
    """
    height, width = image.shape[:2]
    h, w = (max(1, round(side * math.sqrt(level))) for side in (height, width))
    down, right = rng.random(2)
    top, left = int(down * (height - h + 1)), int(right * (width - w + 1))
    covered = image.copy()
    covered[top : top + h, left : left + w] = GREY
    return covered


KINDS: dict[str, Kind] = {
    "noise": Kind("standard deviation of Gaussian noise, as a share of 255", noise, 0, 1),
    "blur": Kind("standard deviation of a Gaussian, in pixels of the input", blur, 0, 50),
    "jpeg": Kind("quality of JPEG compression", jpeg, 1, 100, whole=True),
    "occlude": Kind("share of the picture under one grey box", occlude, 0, 1),
}


def parse(text: str) -> tuple[Corruption, ...]:
    """``"noise=0.05,0.1 jpeg=10"`` to corruptions, in this order.

    Raises SettingsError for an unknown kind, a level that it does not have, one that stands twice, and for none.
    """
    found: list[Corruption] = []
    for kind, value in entries(text, "--corrupt", "kind=level, e.g. noise=0.1"):
        if kind not in KINDS:
            raise SettingsError(f"--corrupt: unknown kind {kind!r} of {', '.join(KINDS)}; {_EXAMPLE}")
        for level in value if isinstance(value, list) else [value]:
            if not KINDS[kind].allows(level):
                raise SettingsError(
                    f"--corrupt: {kind}={level} is no {KINDS[kind].unit}: expected {KINDS[kind].expected}"
                )
            if (asked := Corruption(kind, float(level))) in found:
                raise SettingsError(f"--corrupt: {asked.text} stands twice; {_EXAMPLE}")
            found.append(asked)
    if not found:
        raise SettingsError(f"--corrupt is empty: {_EXAMPLE}")
    return tuple(found)
