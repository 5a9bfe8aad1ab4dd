"""Overlays of patch values on a picture, outlines of patches, and files of figures.

Patch (r, c) of R × C covers the rows r·h/R to (r+1)·h/R and the columns c·w/C to (c+1)·w/C of the picture.
"""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from benchmark.atomic import explained, write_file
from reports import plot_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOUR_MAP = "inferno"  # dark to bright, in grey print as well
OPACITY = 0.62  # of the colour over the grey picture
MIN_SIDE = 256  # pixels of an overlay's shorter side
Scale = tuple[float, float]
Segment = tuple[tuple[float, float], tuple[float, float]]


def upsample(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Upsample (R, C) to (h, w): linear between the centres of patches, constant outside of the outermost centres."""
    rows, columns = (_weights(cells, pixels) for cells, pixels in zip(values.shape, size, strict=True))
    return rows @ values.astype(np.float64) @ columns.T


@cache
def _weights(cells: int, pixels: int) -> np.ndarray:
    """Compute the weights of linear interpolation: (pixels, cells), rows sum to 1."""
    position = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
    lower = np.minimum(position.astype(int), max(cells - 2, 0))
    weights = np.zeros((pixels, cells))
    index = np.arange(pixels)
    weights[index, lower] = 1 - (position - lower)
    if cells > 1:
        weights[index, lower + 1] = position - lower
    return weights


def overlay(picture: np.ndarray, values: np.ndarray, scale: Scale) -> np.ndarray:
    """Blend values in colour with the grey picture: uint8 RGB, an integer multiple of the picture's size.

    picture: uint8 (h, w, 3).
    values: (R, C).
    scale: values of the first and last colour.
    """
    height, width = picture.shape[:2]
    factor = max(1, -(-MIN_SIDE // min(height, width)))
    size = (height * factor, width * factor)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).repeat(factor, axis=0).repeat(factor, axis=1)
    return _blend(to_colours(upsample(values, size), scale), grey)


def to_colours(values: np.ndarray, scale: Scale) -> np.ndarray:
    """Map values to the colours of the colour map: float RGB in 0 to 255, (…, 3)."""
    low, high = scale
    share = (values - low) / (high - low) if high > low else np.zeros_like(values)
    return plot_style.colour_table(COLOUR_MAP)[np.clip(np.rint(share * 255), 0, 255).astype(int)]


def colour_bar() -> np.ndarray:
    """Draw a colour bar over medium grey, as in the overlays: uint8 (256, 1, 3), first colour at the bottom."""
    return _blend(plot_style.colour_table(COLOUR_MAP)[::-1][:, None], np.full((256, 1), 128, np.uint8))


def _blend(colours: np.ndarray, grey: np.ndarray) -> np.ndarray:
    mixed = OPACITY * colours + (1 - OPACITY) * grey[..., None]
    return np.rint(mixed).astype(np.uint8)


def patch_mask(selected: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Convert indices of patches to a mask: bool (R, C)."""
    mask = np.zeros(grid, bool)
    mask.flat[np.asarray(selected)] = True
    return mask


def outlines(mask: np.ndarray, size: tuple[int, int]) -> list[Segment]:
    """List the edges between selected patches and the rest as ((x, y), (x, y)) in pixels of the picture."""
    height, width = size[0] / mask.shape[0], size[1] / mask.shape[1]
    padded = np.pad(mask, 1)
    horizontal = np.argwhere(padded[1:, 1:-1] != padded[:-1, 1:-1])
    vertical = np.argwhere(padded[1:-1, 1:] != padded[1:-1, :-1])
    return [((c * width, r * height), ((c + 1) * width, r * height)) for r, c in horizontal] + [
        ((c * width, r * height), (c * width, (r + 1) * height)) for r, c in vertical
    ]


def dim_unselected(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Darken everything but the selected patches."""
    height, width = picture.shape[:2]
    rows = (np.arange(height) + 0.5) * mask.shape[0] / height
    columns = (np.arange(width) + 0.5) * mask.shape[1] / width
    selected = mask[rows.astype(int)][:, columns.astype(int)]
    return np.where(selected[..., None], picture, np.rint(picture * 0.4)).astype(np.uint8)


# --- Files of a figure: PNG at print size, PDF with text, and a small copy for a page ---

DPI = 220
PAGE_WIDTH = 1600  # pixels: the width of a page on a screen of double density
# Stronger compression saves a tenth of the bytes and takes twice the time.
_OPTIONS = {"png": {"pil_kwargs": {"compress_level": 4}}, "pdf": {}}


def save(figure: Figure, stem: Path) -> tuple[Path, Path]:
    """Write ``stem``.png and ``stem``.pdf, each complete or not at all. Raises RunError if writing fails."""
    paths = {kind: stem.with_name(f"{stem.name}.{kind}") for kind in _OPTIONS}
    with explained(paths["png"]):
        stem.parent.mkdir(parents=True, exist_ok=True)
    for kind, path in paths.items():
        with warnings.catch_warnings():
            # A letter that the font lacks is drawn as a box; no warning is needed.
            warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
            content = plot_style.render(figure, kind, plot_style.IMAGE_STYLE, dpi=DPI, **_OPTIONS[kind])
        write_file(path, lambda stream, content=content: stream.write(content))
    return paths["png"], paths["pdf"]


def page_copy(png: Path) -> Path:
    """Write a WebP of page width, with a ninth of the bytes, next to the PNG. Raises RunError as ``save``."""
    from PIL import Image

    with Image.open(png) as image:
        small = image.convert("RGB")
    if small.width > PAGE_WIDTH:
        height = round(small.height * PAGE_WIDTH / small.width)
        small = small.resize((PAGE_WIDTH, height), Image.Resampling.BICUBIC)
    path = png.with_suffix(".webp")
    write_file(path, lambda stream: small.save(stream, "webp", quality=88, method=2))
    return path
