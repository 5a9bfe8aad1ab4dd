"""Bounding boxes of CUB-200-2011: reading, checking against the pictures, and mapping to the test view (no torch).

Source of the layout: ``bounding_boxes.txt`` of the official archive, with lines ``<image id> <x> <y> <width> <height>``
in pixels of the official pictures, from their top left corner.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmark.data.images import read_image
from benchmark.data.readers.cub import ADVICE
from benchmark.data.splits import first_items, numbered_lines, refuse
from benchmark.data.transforms import ViewSettings
from benchmark.errors import DataError

FILE = "bounding_boxes.txt"
TOLERANCE = 2.0  # pixels by which a box may stick out of its picture, by rounding
MAX_CLIPPED = 0.05  # share of the boxes that may stick out; in copies scaled from 500 to 384 pixels 0.1 % do
MAX_SHOWN = 3

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Boxes:
    """Boxes in pixels of the pictures at hand, clipped to them.

    boxes: by file, as in ``Split.files``.
    sizes: (height, width) of each picture.
    scale: of the scaled pictures.
    scaled: number of pictures whose boxes were scaled down by ``scale``.
    clipped: number of boxes that stuck out by more than TOLERANCE pixels nevertheless.
    """

    boxes: dict[str, Box]
    sizes: dict[str, tuple[int, int]]
    scale: float = 1.0
    scaled: int = 0
    clipped: int = 0


def has_boxes(root: Path) -> bool:
    """Whether the folder of the dataset has a list of boxes."""
    return (root / FILE).is_file()


def load_boxes(root: Path, official_side: int | None = None) -> Boxes:
    """Load the boxes of all pictures of the dataset at ``root``.

    official_side: longest side of the official pictures (500), if the pictures at hand are smaller copies. Pictures
        whose longest side is the largest one here then count as scaled down from it, all others as not scaled.

    Raises Contradictions for lines that are malformed or repeated and ids in only one list. Raises DataError for a
    missing list or unreadable picture, for boxes that stick out of their pictures without official_side, and for more
    than ``MAX_CLIPPED`` of them with it.
    """
    official = read_list(root)
    sizes = {file: _size(root / file) for file in official}
    largest = max(max(size) for size in sizes.values())
    if official_side is None:
        _require_inside(root, official, sizes, largest)
    elif official_side < largest:
        raise DataError(
            f"{root}: BOX_SIDE={official_side} is said to be the longest side of the official pictures, but pictures "
            f"here have up to {largest} pixels; expected at least that"
        )
    scale = largest / official_side if official_side else 1.0
    boxes, scaled, clipped = {}, 0, 0
    for file, box in official.items():
        height, width = sizes[file]
        if scale != 1 and max(height, width) == largest:
            box, scaled = tuple(scale * value for value in box), scaled + 1
        clipped += _overhang(box, sizes[file]) > TOLERANCE
        left, top, right, bottom = box
        boxes[file] = (
            min(max(left, 0.0), width),
            min(max(top, 0.0), height),
            max(min(right, width), 0.0),
            max(min(bottom, height), 0.0),
        )
    if clipped > MAX_CLIPPED * len(boxes):
        raise DataError(
            f"{root}: with BOX_SIDE={official_side} {clipped:,} of {len(boxes):,} boxes of {FILE} still stick out of "
            f"their pictures, expected at most {MAX_CLIPPED:.0%}; the longest side of CUB's official pictures is 500"
        )
    return Boxes(boxes, sizes, scale, scaled, clipped)


def read_list(root: Path) -> dict[str, Box]:
    """Read the list: file → box in official pixels. Raises as ``load_boxes``; reads no picture."""
    if not has_boxes(root):
        raise DataError(f"{root / FILE}: no such list; expected the official one there. {ADVICE}")
    images = {
        head: rest.strip()
        for head, _, rest in (line.partition(" ") for _, line in numbered_lines(root / "images.txt"))
    }
    problems: list[str] = []
    boxes: dict[str, Box] = {}
    lines: dict[str, int] = {}
    for number, line in numbered_lines(root / FILE):
        head, *values = line.split()
        box = _parse_box(values)
        if not head.isdecimal() or box is None:
            problems.append(
                f"{FILE}, line {number}: found {line[:80]!r}, expected '<id> <x> <y> <width> <height>' with a positive "
                "width and height"
            )
        elif head in lines:
            problems.append(
                f"{FILE}, line {number}: id {head} is on line {lines[head]} already, expected once"
            )
        elif head not in images:
            problems.append(f"{FILE}, line {number}: image {head} is in {FILE} but not in images.txt")
        else:
            boxes[f"images/{images[head]}"] = box
        lines.setdefault(head, number)
    problems += [f"image {head} is in images.txt but not in {FILE}" for head in images if head not in lines]
    refuse(f"CUB-200-2011 at {root}", problems, ADVICE)
    return boxes


def view_box(box: Box, size: tuple[int, int], view: ViewSettings) -> Box:
    """The visible part of a box in the test view, in pixels of the view; without extent if it is not visible.

    size: (height, width) of the picture.
    """
    is_whole = view.test_crop == "whole"
    height, width = view.crop if is_whole else view.resize
    top, left = (0, 0) if is_whole else ((height - view.crop[0]) // 2, (width - view.crop[1]) // 2)
    x_scale, y_scale = width / size[1], height / size[0]

    def clip(value: float, limit: int) -> float:
        return min(max(value, 0.0), float(limit))

    return (
        clip(box[0] * x_scale - left, view.crop[1]),
        clip(box[1] * y_scale - top, view.crop[0]),
        clip(box[2] * x_scale - left, view.crop[1]),
        clip(box[3] * y_scale - top, view.crop[0]),
    )


def patch_coverage(box: Box, size: tuple[int, int], grid: tuple[int, int]) -> np.ndarray:
    """Share of each patch's area inside the box, (R, C). box: in pixels of the view. size: (h, w) of the view."""
    rows = _overlap(box[1], box[3], size[0], grid[0])
    columns = _overlap(box[0], box[2], size[1], grid[1])
    return rows[:, None] * columns[None, :]


def _overlap(low: float, high: float, pixels: int, cells: int) -> np.ndarray:
    edges = np.linspace(0, pixels, cells + 1)
    return np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, None) * cells / pixels


def _parse_box(values: list[str]) -> Box | None:
    try:
        x, y, width, height = map(float, values)
    except ValueError:
        return None
    if not all(map(math.isfinite, (x, y, width, height))) or min(width, height) <= 0:
        return None
    return x, y, x + width, y + height


def _size(path: Path) -> tuple[int, int]:
    """(height, width) from the header of a file. EXIF orientation does not count, as in images.read_image."""
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, Image.DecompressionBombError) as error:
        read_image(path)  # raises the reason; for a file that decodes nevertheless, the error below
        raise DataError(
            f"{path}: its size cannot be read ({error}), expected an image; fetch this file again"
        ) from error


def _overhang(box: Box, size: tuple[int, int]) -> float:
    """Number of pixels by which a box sticks out of its picture."""
    return max(-box[0], -box[1], box[2] - size[1], box[3] - size[0])


def _require_inside(
    root: Path, boxes: dict[str, Box], sizes: dict[str, tuple[int, int]], largest: int
) -> None:
    files = [file for file, box in boxes.items() if _overhang(box, sizes[file]) > TOLERANCE]
    if files:
        raise DataError(
            f"{root}: {len(files):,} of {len(boxes):,} boxes of {FILE} stick out of their pictures, expected none: "
            f"{', '.join(first_items(files, MAX_SHOWN))}. The boxes are in pixels of the official pictures, of 500 on "
            f"the longest side, and those here have {largest} at most. If they are smaller copies, say so by "
            "BOX_SIDE=500 (--box-side 500), the longest side of the official pictures: pictures of the largest size "
            "here are taken as scaled down from it, smaller ones as unscaled, and boxes that still stick out are cut "
            "and counted"
        )
