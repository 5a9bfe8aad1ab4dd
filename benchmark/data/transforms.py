"""The views of an image that a fine-grained classifier sees, on uint8 arrays and reproducible (no torch)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from benchmark.errors import DataError, SettingsError

BANNER = 20  # rows of copyright text below every FGVC-Aircraft image


@dataclass(frozen=True)
class ViewSettings:
    """How images become network input; sizes are (height, width) in pixels.

    resize: size before cropping; crop: size of the network's input.
    flip: probability of a horizontal flip in training.
    test_crop: ``center`` cuts the middle out of the resized image, ``whole`` resizes all of it to ``crop``.

    Raises SettingsError for sizes below 1, a crop larger than the resize, and values out of range.
    """

    resize: tuple[int, int] = (550, 550)
    crop: tuple[int, int] = (448, 448)
    flip: float = 0.5
    test_crop: str = "center"

    def __post_init__(self) -> None:
        if min(*self.resize, *self.crop) < 1:
            raise SettingsError(
                f"resize {self.resize} and crop {self.crop}: expected 1 pixel and more a side"
            )
        if self.crop[0] > self.resize[0] or self.crop[1] > self.resize[1]:
            raise SettingsError(
                f"crop {self.crop} is larger than resize {self.resize}: expected it to fit on both axes; "
                f"lower crop or raise resize"
            )
        if not 0 <= self.flip <= 1:
            raise SettingsError(f"flip is {self.flip}, expected a probability from 0 to 1")
        if self.test_crop not in ("center", "whole"):
            raise SettingsError(f"test_crop is {self.test_crop!r}, expected 'center' or 'whole'")


def view_rng(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random numbers of one view: a function of its three non-negative arguments alone.

    Counter-based (Philox: the key is seed and epoch, the upper counter word the image's index), so it is
    the same whichever worker asks, in whichever order, and after a resume.
    """
    return np.random.Generator(np.random.Philox(key=(seed, epoch), counter=(0, 0, 0, index)))


def train_view(image: np.ndarray, view: ViewSettings, rng: np.random.Generator) -> np.ndarray:
    """Resize, random crop, horizontal flip: uint8 (H, W, 3) to uint8 (*view.crop, 3), contiguous.

    Draws the crop's top, then its left, then the flip, each once whatever the settings.
    """
    (height, width), (h, w) = view.resize, view.crop
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    flipped = rng.random() < view.flip
    part = resize(image, view.resize)[top : top + h, left : left + w]
    return (part[:, ::-1] if flipped else part).copy()


def test_view(image: np.ndarray, view: ViewSettings) -> np.ndarray:
    """The one view used in evaluation: uint8 (H, W, 3) to uint8 (*view.crop, 3), contiguous."""
    if view.test_crop == "whole":
        return resize(image, view.crop)
    (height, width), (h, w) = view.resize, view.crop
    top, left = (height - h) // 2, (width - w) // 2
    return resize(image, view.resize)[top : top + h, left : left + w].copy()


test_view.__test__ = False  # pytest would collect it wherever a test file imports it


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The image at ``size`` (height, width): area averages on axes that shrink, bilinear on those that grow.

    Returns a new contiguous array. Axes that go different ways are resized one after the other, the
    shrinking one first: OpenCV's area mode does not average once one axis grows.
    """
    height, width = image.shape[:2]
    h, w = size
    if (h, w) == (height, width):
        return image.copy()
    smaller = (min(h, height), min(w, width))
    if smaller != (height, width):
        image = cv2.resize(image, smaller[::-1], interpolation=cv2.INTER_AREA)
    if smaller != (h, w):
        image = cv2.resize(image, (w, h), interpolation=cv2.INTER_LINEAR)
    return image


def drop_banner(image: np.ndarray) -> np.ndarray:
    """The image without its bottom 20 rows (a view); raises DataError if it is no taller than these."""
    if image.shape[0] <= BANNER:
        raise DataError(
            f"found an image {image.shape[0]} px high, expected more than the {BANNER} px of the banner; "
            f"use drop_banner for FGVC-Aircraft only"
        )
    return image[:-BANNER]
