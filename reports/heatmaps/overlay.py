"""Values of patches over the picture they belong to, and outlines around patches. Patch (r, c) of R × C covers the rows
r·h/R to (r+1)·h/R and the columns c·w/C to (c+1)·w/C of the picture.
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

COLOURS = "inferno"  # dark to bright in print as well
SHARE = 0.62  # of the colour; the rest is the grey picture
FINEST = 256  # pixels that the shorter side is drawn with at least
Scale = tuple[float, float]
Segment = tuple[tuple[float, float], tuple[float, float]]


def upsample(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(R, C) to (h, w), linear between the patches' centres and constant outside of the outermost ones."""
    rows, columns = (_weights(cells, pixels) for cells, pixels in zip(values.shape, size, strict=True))
    return rows @ values.astype(np.float64) @ columns.T


@cache
def _weights(cells: int, pixels: int) -> np.ndarray:
    """(pixels, cells): how much of each cell's value a pixel gets, rows summing to 1."""
    centre = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
    below = np.minimum(centre.astype(int), max(cells - 2, 0))
    weights = np.zeros((pixels, cells))
    at = np.arange(pixels)
    weights[at, below] = 1 - (centre - below)
    if cells > 1:
        weights[at, below + 1] = centre - below
    return weights


def overlay(picture: np.ndarray, values: np.ndarray, scale: Scale) -> np.ndarray:
    """The values in colour over the picture in grey, uint8 RGB, an integer multiple of the picture's size.

    picture: uint8 (h, w, 3); values: (R, C); scale: values of the first and last colour.
    """
    height, width = picture.shape[:2]
    times = max(1, -(-FINEST // min(height, width)))
    size = (height * times, width * times)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).repeat(times, axis=0).repeat(times, axis=1)
    return _blend(coloured(upsample(values, size), scale), grey)


def coloured(values: np.ndarray, scale: Scale) -> np.ndarray:
    """Values to uint8 RGB, (…, 3)."""
    low, high = scale
    share = (values - low) / (high - low) if high > low else np.zeros_like(values)
    return plot_style.colour_table(COLOURS)[np.clip(np.rint(share * 255), 0, 255).astype(int)]


def colour_bar() -> np.ndarray:
    """(256, 1, 3) uint8, the first colour at the bottom, over the grey of a middling picture as in the overlays."""
    return _blend(plot_style.colour_table(COLOURS)[::-1][:, None], np.full((256, 1), 128, np.uint8))


def _blend(colours: np.ndarray, grey: np.ndarray) -> np.ndarray:
    mixed = SHARE * colours + (1 - SHARE) * grey[..., None]
    return np.rint(mixed).astype(np.uint8)


def mask_of(selected: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """(R, C) bool from indices into the patches."""
    mask = np.zeros(grid, bool)
    mask.flat[np.asarray(selected)] = True
    return mask


def outlines(mask: np.ndarray, size: tuple[int, int]) -> list[Segment]:
    """Edges between selected patches and the rest, as ((x, y), (x, y)) in the picture's pixels."""
    high, wide = size[0] / mask.shape[0], size[1] / mask.shape[1]
    framed = np.pad(mask, 1)
    across = np.argwhere(framed[1:, 1:-1] != framed[:-1, 1:-1])
    down = np.argwhere(framed[1:-1, 1:] != framed[1:-1, :-1])
    return [((c * wide, r * high), ((c + 1) * wide, r * high)) for r, c in across] + [
        ((c * wide, r * high), (c * wide, (r + 1) * high)) for r, c in down
    ]


def dimmed(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The picture with everything but the selected patches darkened."""
    height, width = picture.shape[:2]
    rows = (np.arange(height) + 0.5) * mask.shape[0] / height
    columns = (np.arange(width) + 0.5) * mask.shape[1] / width
    shown = mask[rows.astype(int)][:, columns.astype(int)]
    return np.where(shown[..., None], picture, np.rint(picture * 0.4)).astype(np.uint8)


# --- A figure into its files: PNG at print size, PDF with text as text, and a small copy for a page ---

DPI = 220
PAGE_WIDTH = 1600  # pixels: a page's column on a screen of twice the usual density
# Harder compression saves a tenth and takes twice the time.
_OPTIONS = {"png": {"pil_kwargs": {"compress_level": 4}}, "pdf": {}}


def save(figure: Figure, stem: Path) -> tuple[Path, Path]:
    """Write ``stem``.png and ``stem``.pdf, each whole or not at all. Raises RunError where that is not possible."""
    paths = {kind: stem.with_name(f"{stem.name}.{kind}") for kind in _OPTIONS}
    with explained(paths["png"]):
        stem.parent.mkdir(parents=True, exist_ok=True)
    for kind, path in paths.items():
        with warnings.catch_warnings():
            # A letter that the font has not is drawn as a box, which says enough.
            warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
            content = plot_style.saved(figure, kind, plot_style.PICTURES, dpi=DPI, **_OPTIONS[kind])
        write_file(path, lambda stream, content=content: stream.write(content))
    return paths["png"], paths["pdf"]


def page_copy(png: Path) -> Path:
    """Write a WebP beside it, no wider than a page shows and a ninth of its bytes. Raises RunError as ``save``."""
    from PIL import Image

    with Image.open(png) as image:
        shown = image.convert("RGB")
    if shown.width > PAGE_WIDTH:
        height = round(shown.height * PAGE_WIDTH / shown.width)
        shown = shown.resize((PAGE_WIDTH, height), Image.Resampling.BICUBIC)
    path = png.with_suffix(".webp")
    write_file(path, lambda stream: shown.save(stream, "webp", quality=88, method=2))
    return path
