"""A figure into its files: PNG at print size, PDF with text as text, and a small copy for a page."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.atomic import explained, write_file
from reports import plot_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
