"""A figure into its files: PNG at print size, PDF with text as text, and a small copy for a page."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import IO, TYPE_CHECKING

from benchmark.atomic import explained, write_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 220
PAGE_WIDTH = 1600  # pixels: a page's column on a screen of twice the usual density
# TrueType fonts are embedded as they are: text stays text. Pictures in the same axes keep their own pixels.
SETTINGS = {"pdf.fonttype": 42, "pdf.use14corefonts": False, "image.composite_image": False}


def save(figure: Figure, stem: Path) -> tuple[Path, Path]:
    """Write ``stem``.png and ``stem``.pdf, each whole or not at all. Raises RunError where that is not possible."""
    from matplotlib import rc_context

    paths = tuple(stem.with_name(f"{stem.name}.{kind}") for kind in ("png", "pdf"))
    with explained(paths[0]):
        stem.parent.mkdir(parents=True, exist_ok=True)
    # Without a date the same figure is the same file; harder compression saves a tenth and takes twice the time.
    how = ({"pil_kwargs": {"compress_level": 4}}, {"metadata": {"CreationDate": None}})
    with rc_context(SETTINGS), warnings.catch_warnings():
        # A letter that the font has not is drawn as a box, which says enough.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        for path, options in zip(paths, how, strict=True):
            write_file(path, lambda stream, path=path, options=options: _write(figure, stream, path, options))
    return paths


def _write(figure: Figure, stream: IO[bytes], path: Path, options: dict[str, object]) -> None:
    figure.savefig(stream, format=path.suffix[1:], dpi=DPI, **options)


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
