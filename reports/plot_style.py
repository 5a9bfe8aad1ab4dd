"""Create, style and save all figures, independently of the user's matplotlib settings.

No matplotlibrc file (working folder, MATPLOTLIBRC or home) and no MPLBACKEND is read, so a damaged one stops nothing.
Every figure uses matplotlib's defaults with the settings below. No date is saved: the same data give the same bytes.
Other modules import single artists only (lines, ticks, patches), inside functions that run under ``style``.

Text and axes of line figures are grey: readable on white and on black, because an SVG has no background.
"""

from __future__ import annotations

import io
import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np
    from matplotlib.figure import Figure
    from matplotlib.ft2font import FT2Font

GREY = "#808080"
# Okabe and Ito's colours for colour-blind readers; each is visible on white and on black.
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
DASHES = (0, (4, 1.6))  # line style of the baseline
_FONT = {"font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"]}  # part of matplotlib
# TrueType fonts are embedded, so text stays text. Pictures in the same axes keep their own pixels.
IMAGE_STYLE: Mapping[str, object] = {
    **_FONT,
    "pdf.fonttype": 42,
    "pdf.use14corefonts": False,
    "image.composite_image": False,
}
LINE_STYLE: Mapping[str, object] = {
    **_FONT,
    "svg.fonttype": "none",
    "svg.hashsalt": "dcal",
    "pdf.fonttype": 42,
    "font.size": 9,
    "text.parse_math": False,
    "text.color": GREY,
    "axes.edgecolor": GREY,
    "axes.labelcolor": GREY,
    "axes.titlecolor": GREY,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.5,
}
_METADATA: Mapping[str, Mapping[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None},
    "png": {},
}


@contextmanager
def style(settings: Mapping[str, object]) -> Iterator[None]:
    """Apply matplotlib's defaults and ``settings`` (LINE_STYLE or IMAGE_STYLE) in a context; also a decorator."""
    matplotlib = _matplotlib()
    with matplotlib.rc_context():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", matplotlib.MatplotlibDeprecationWarning)
            defaults = {
                name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"
            }
            matplotlib.rcParams.update({**defaults, **settings})
        yield


def new_figure(**options: object) -> Figure:
    """Create an empty figure; draw into it under the same ``style``. options: arguments of matplotlib's Figure."""
    _matplotlib()
    from matplotlib.figure import Figure

    return Figure(**options)


def render(figure: Figure, kind: str, settings: Mapping[str, object], **options: object) -> bytes:
    """Render a figure to the bytes of a file.

    kind: ``svg``, ``pdf`` or ``png``.
    settings: the same as the figure was created with.
    options: arguments of matplotlib's savefig.
    """
    stream = io.BytesIO()
    with style(settings):
        from matplotlib.text import Text

        for text in figure.findobj(Text):  # a text keeps the usetex setting of its creation
            text.set_usetex(False)
        figure.savefig(stream, format=kind, metadata=dict(_METADATA[kind]), **options)
    return _compact(stream.getvalue()) if kind == "svg" else stream.getvalue()


@cache
def colour_table(name: str) -> np.ndarray:
    """Colours of a matplotlib colour map, from first to last: (256, 3) float, 0 to 255."""
    import numpy as np

    return np.rint(_matplotlib().colormaps[name](np.arange(256))[:, :3] * 255)


@cache
def font(*, bold: bool, points: int) -> FT2Font:
    """Load the font of all figures, one point high at ``points`` dots per inch."""
    file = Path(_matplotlib().get_data_path(), "fonts", "ttf", f"DejaVuSans{'-Bold' if bold else ''}.ttf")
    from matplotlib.ft2font import FT2Font

    face = FT2Font(str(file))
    face.set_size(1, points)
    return face


def _matplotlib() -> ModuleType:
    if "matplotlib" not in sys.modules:
        with _without_user_settings():
            import matplotlib  # noqa: F401
    return sys.modules["matplotlib"]


@contextmanager
def _without_user_settings() -> Iterator[None]:
    """Import matplotlib inside this context, in the folder of its own defaults.

    On import, matplotlib reads the first matplotlibrc that it finds, starting in the working folder. It fails for a
    file that it cannot decode and for an unknown MPLBACKEND.
    """
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        folder: int | str = os.open(".", os.O_RDONLY)
    except OSError:  # a folder with permission to enter, but not to read
        folder = os.getcwd()
    os.chdir(Path(find_spec("matplotlib").origin).parent / "mpl-data")
    try:
        yield
    finally:
        os.chdir(folder)
        if isinstance(folder, int):
            os.close(folder)
        if backend is not None:
            os.environ["MPLBACKEND"] = backend


def _compact(svg: bytes) -> bytes:
    """Round the coordinates of paths to a tenth of a point and drop line breaks: half the size."""

    def round_path(path: re.Match[bytes]) -> bytes:
        short = re.sub(rb"-?\d+\.\d+", lambda number: b"%.5g" % round(float(number[0]), 1), path[1])
        return b' d="' + re.sub(rb"\s*([A-Za-z])\s*", rb"\1", short).strip() + b'"'

    return re.sub(rb' d="([^"]*)"', round_path, svg)
