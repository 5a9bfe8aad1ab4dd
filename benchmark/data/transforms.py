"""The views of an image that a network sees, on uint8 arrays and reproducible (no torch)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from benchmark.errors import DataError, SettingsError

BANNER = 20  # rows of copyright text below every FGVC-Aircraft image


@dataclass(frozen=True)
class ViewSettings:
    """How images become network input; sizes are (height, width) in pixels.

    resize: size before cropping; crop: size of the network's input.
    flip: probability of a horizontal flip in training.
    test_crop: ``center`` cuts the middle out of the resized image, ``whole`` resizes all of it to ``crop``.
    interpolation: ``area`` or ``bicubic``, see ``resize``. pad: black pixels added on every side in training, after
    resizing.

    Raises SettingsError for sizes below 1, a crop larger than the resize, and values out of range.
    """

    resize: tuple[int, int] = (550, 550)
    crop: tuple[int, int] = (448, 448)
    flip: float = 0.5
    test_crop: str = "center"
    interpolation: str = "area"
    pad: int = 0

    def __post_init__(self) -> None:
        if min(*self.resize, *self.crop) < 1:
            raise SettingsError(
                f"resize {self.resize} and crop {self.crop}: expected 1 pixel and more a side"
            )
        if self.pad < 0:
            raise SettingsError(f"pad is {self.pad}, expected 0 pixels and more")
        if any(crop > size + 2 * self.pad for crop, size in zip(self.crop, self.resize, strict=True)):
            raise SettingsError(
                f"crop {self.crop} is larger than resize {self.resize} with {self.pad} pixels of padding: expected it "
                f"to fit on both axes; lower crop or raise resize"
            )
        if not 0 <= self.flip <= 1:
            raise SettingsError(f"flip is {self.flip}, expected a probability from 0 to 1")
        if self.test_crop not in ("center", "whole"):
            raise SettingsError(f"test_crop is {self.test_crop!r}, expected 'center' or 'whole'")
        if self.interpolation not in ("area", "bicubic"):
            raise SettingsError(f"interpolation is {self.interpolation!r}, expected 'area' or 'bicubic'")


def view_rng(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random numbers of one view: a function of its three non-negative arguments alone.

    Counter-based (Philox: the key is seed and epoch, the upper counter word the image's index), so it is
    the same whichever worker asks, in whichever order, and after a resume.
    """
    return np.random.Generator(np.random.Philox(key=(seed, epoch), counter=(0, 0, 0, index)))


def train_view(image: np.ndarray, view: ViewSettings, rng: np.random.Generator) -> np.ndarray:
    """Resize, pad, random crop, horizontal flip: uint8 (H, W, 3) to uint8 (*view.crop, 3), contiguous.

    Draws the crop's top, then its left, then the flip, each once whatever the settings.
    """
    (height, width), (h, w) = view.resize, view.crop
    top = int(rng.integers(height + 2 * view.pad - h + 1))
    left = int(rng.integers(width + 2 * view.pad - w + 1))
    flipped = rng.random() < view.flip
    whole = resize(image, view.resize, view.interpolation)
    if view.pad:
        whole = np.pad(whole, ((view.pad, view.pad), (view.pad, view.pad), (0, 0)))
    part = whole[top : top + h, left : left + w]
    return cv2.flip(part, 1) if flipped else part.copy()  # numpy takes forty times as long to copy backwards


def test_view(image: np.ndarray, view: ViewSettings) -> np.ndarray:
    """The one view used in evaluation: uint8 (H, W, 3) to uint8 (*view.crop, 3), contiguous."""
    if view.test_crop == "whole" or view.crop == view.resize:
        return resize(image, view.crop, view.interpolation)
    (height, width), (h, w) = view.resize, view.crop
    top, left = (height - h) // 2, (width - w) // 2
    return resize(image, view.resize, view.interpolation)[top : top + h, left : left + w].copy()


test_view.__test__ = False  # pytest would collect it wherever a test file imports it


def resize(image: np.ndarray, size: tuple[int, int], interpolation: str = "area") -> np.ndarray:
    """The image at ``size`` (height, width), a new contiguous array.

    ``area``: area averages on axes that shrink, bilinear on those that grow. Axes that go different ways are resized
    one after the other, the shrinking one first: OpenCV's area mode does not average once one axis grows.
    ``bicubic``: Pillow's, which widens its kernel where an axis shrinks: what published Re-ID code uses.
    """
    height, width = image.shape[:2]
    h, w = size
    if (h, w) == (height, width):
        return image.copy()
    if interpolation == "bicubic":
        return np.array(Image.fromarray(image).resize((w, h), Image.Resampling.BICUBIC))
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


# --- Random erasing (Zhong et al., AAAI 2020), the form Re-ID recipes use: a box of per-pixel noise ---

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
