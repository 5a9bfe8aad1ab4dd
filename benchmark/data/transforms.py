"""Views of an image for the network, on uint8 arrays and reproducible (no torch)."""

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
    """Settings of the views; sizes are (height, width) in pixels.

    resize: size before cropping.
    crop: size of the network's input.
    flip: probability of a horizontal flip in training.
    test_crop: ``center`` cuts out the middle of the resized image, ``whole`` resizes all of it to ``crop``.
    interpolation: ``area`` or ``bicubic``, see ``resize``.
    pad: black pixels added on every side in training, after resizing.

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
    """Random numbers of one view: they depend only on the three non-negative arguments.

    Counter-based (Philox: the key is seed and epoch, the upper counter word the image's index), so they are the same in
    any worker, in any order, and after a resume.
    """
    return np.random.Generator(np.random.Philox(key=(seed, epoch), counter=(0, 0, 0, index)))


def train_view(image: np.ndarray, view: ViewSettings, rng: np.random.Generator) -> np.ndarray:
    """Training view: resize, pad, random crop, horizontal flip. uint8 (H, W, 3) to uint8 (*view.crop, 3), contiguous.

    Draws the crop's top, its left and the flip, once each for all settings.
    """
    (height, width), (h, w) = view.resize, view.crop
    top = int(rng.integers(height + 2 * view.pad - h + 1))
    left = int(rng.integers(width + 2 * view.pad - w + 1))
    flipped = rng.random() < view.flip
    resized = resize(image, view.resize, view.interpolation)
    if view.pad:
        resized = np.pad(resized, ((view.pad, view.pad), (view.pad, view.pad), (0, 0)))
    crop = resized[top : top + h, left : left + w]
    return cv2.flip(crop, 1) if flipped else crop.copy()  # numpy's reversed copy takes forty times as long


def test_view(image: np.ndarray, view: ViewSettings) -> np.ndarray:
    """Evaluation view: uint8 (H, W, 3) to uint8 (*view.crop, 3), contiguous."""
    if view.test_crop == "whole" or view.crop == view.resize:
        return resize(image, view.crop, view.interpolation)
    (height, width), (h, w) = view.resize, view.crop
    top, left = (height - h) // 2, (width - w) // 2
    return resize(image, view.resize, view.interpolation)[top : top + h, left : left + w].copy()


test_view.__test__ = False  # otherwise pytest collects it in every test file that imports it


def resize(image: np.ndarray, size: tuple[int, int], interpolation: str = "area") -> np.ndarray:
    """Resize an image to ``size`` (height, width); returns a new contiguous array.

    ``area``: area average on axes that shrink, bilinear on axes that grow. If one shrinks and the other grows, they are
    resized one after the other, the shrinking one first: OpenCV's area mode does not average if one axis grows.
    ``bicubic``: Pillow's, whose kernel widens for shrinking axes, as in published Re-ID code.
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
    """The image without its bottom 20 rows (a view). Raises DataError if it is no taller than that."""
    if image.shape[0] <= BANNER:
        raise DataError(
            f"found an image {image.shape[0]} px high, expected more than the {BANNER} px of the banner; "
            f"use drop_banner for FGVC-Aircraft only"
        )
    return image[:-BANNER]


# --- Random erasing (Zhong et al., AAAI 2020) with per-pixel noise, as in Re-ID recipes ---

AREA = (0.02, 1 / 3)  # share of the picture's area
ASPECT = (0.3, 1 / 0.3)  # height to width
ATTEMPTS = 10  # draws of a box, until one fits


@dataclass(frozen=True)
class Erasure:
    """A box with noise for random erasing.

    top, left: in pixels.
    noise: (3, height, width) float32, standard normal. It replaces the *normalised* picture on the device: only two
        thirds of the values of a normal variable fit into the range of a uint8 picture.
    """

    top: int
    left: int
    noise: np.ndarray


def random_erasing(size: tuple[int, int], probability: float, rng: np.random.Generator) -> Erasure | None:
    """Draw a box for a picture of ``size`` (height, width); None with 1 − probability, or if none fits.

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
