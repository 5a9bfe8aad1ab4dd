"""The one place where figures are made, styled and saved, whatever settings of matplotlib a user has.

Neither a matplotlibrc (of the working folder, MATPLOTLIBRC or the user's own) nor MPLBACKEND is read, so that a damaged
one stops nothing, and in every figure matplotlib's defaults count, with the few settings below. No date is saved: the
same data give the same bytes. Other modules import single artists alone (lines, ticks, patches), inside functions that
run under ``style``.

Text and axes of line figures are of one grey that is readable on white and on black, for an SVG has no background of
its own.
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
# Okabe and Ito's, which colour-blind people tell apart; each stands out on white and on black.
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
DASHES = (0, (4, 1.6))  # the baseline's
_FONT = {"font.family": "sans-serif", "font.sans-serif": ["DejaVu Sans"]}  # matplotlib brings it along
# TrueType fonts are embedded as they are: text stays text. Pictures in the same axes keep their own pixels.
PICTURES: Mapping[str, object] = {
    **_FONT,
    "pdf.fonttype": 42,
    "pdf.use14corefonts": False,
    "image.composite_image": False,
}
LINES: Mapping[str, object] = {
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
_WITHOUT_DATE: Mapping[str, Mapping[str, None]] = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None},
    "png": {},
}


@contextmanager
def style(settings: Mapping[str, object]) -> Iterator[None]:
    """Make figures by matplotlib's defaults and ``settings``, LINES or PICTURES, while it lasts; also a decorator."""
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
    """An empty figure, to be filled under the same ``style``. options: of matplotlib's Figure."""
    _matplotlib()
    from matplotlib.figure import Figure

    return Figure(**options)


def saved(figure: Figure, kind: str, settings: Mapping[str, object], **options: object) -> bytes:
    """The figure as ``svg``, ``pdf`` or ``png``. settings: those it was made with. options: of matplotlib's savefig."""
    stream = io.BytesIO()
    with style(settings):
        from matplotlib.text import Text

        for text in figure.findobj(Text):  # a text keeps what counted where it was made, maybe elsewhere
            text.set_usetex(False)
        figure.savefig(stream, format=kind, metadata=dict(_WITHOUT_DATE[kind]), **options)
    return _compact(stream.getvalue()) if kind == "svg" else stream.getvalue()


@cache
def colour_table(name: str) -> np.ndarray:
    """(256, 3) float, 0 to 255: a colour map of matplotlib's, its first colour first."""
    import numpy as np

    return np.rint(_matplotlib().colormaps[name](np.arange(256))[:, :3] * 255)


@cache
def font(*, bold: bool, points: int) -> FT2Font:
    """The font that text is drawn in, one point high at ``points`` dots an inch."""
    file = Path(_matplotlib().get_data_path(), "fonts", "ttf", f"DejaVuSans{'-Bold' if bold else ''}.ttf")
    from matplotlib.ft2font import FT2Font

    found = FT2Font(str(file))
    found.set_size(1, points)
    return found


def _matplotlib() -> ModuleType:
    if "matplotlib" not in sys.modules:
        with _no_settings_of_a_user():
            import matplotlib  # noqa: F401
    return sys.modules["matplotlib"]


@contextmanager
def _no_settings_of_a_user() -> Iterator[None]:
    """While matplotlib is imported: it reads the first matplotlibrc it comes to, beginning with the working folder's,
    and stops at one that it cannot decode or at an MPLBACKEND that it does not know. So it is imported in the folder of
    its own defaults.
    """
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        before: int | str = os.open(".", os.O_RDONLY)
    except OSError:  # a folder that may be entered, but not read
        before = os.getcwd()
    os.chdir(Path(find_spec("matplotlib").origin).parent / "mpl-data")
    try:
        yield
    finally:
        os.chdir(before)
        if isinstance(before, int):
            os.close(before)
        if backend is not None:
            os.environ["MPLBACKEND"] = backend


def _compact(svg: bytes) -> bytes:
    """Coordinates of paths to a tenth of a point, without the line breaks: half the size."""

    def rounded(path: re.Match[bytes]) -> bytes:
        short = re.sub(rb"-?\d+\.\d+", lambda number: b"%.5g" % round(float(number[0]), 1), path[1])
        return b' d="' + re.sub(rb"\s*([A-Za-z])\s*", rb"\1", short).strip() + b'"'

    return re.sub(rb' d="([^"]*)"', rounded, svg)
