"""How the report's line figures look, and how they become files: no date, so that the same data give the same bytes.

Text and axes are of one grey that is readable on white and on black, for an SVG has no background of its own.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GREY = "#808080"
# Okabe and Ito's, which colour-blind people tell apart; each stands out on white and on black.
BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
DASHES = (0, (4, 1.6))  # the baseline's
_PARAMETERS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "dcal",
    "pdf.fonttype": 42,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
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
def style() -> Iterator[None]:
    """While it lasts, figures are made and saved in this look, whatever matplotlibrc a user has."""
    from matplotlib import rc_context, rcdefaults, rcParams

    with rc_context():
        rcdefaults()
        rcParams.update(_PARAMETERS)
        yield


def saved(figure: Figure, kind: str, **options: object) -> bytes:
    """The figure as ``svg``, ``pdf`` or ``png``. options: of matplotlib's savefig."""
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, metadata=dict(_WITHOUT_DATE[kind]), **options)
    return _compact(stream.getvalue()) if kind == "svg" else stream.getvalue()


def _compact(svg: bytes) -> bytes:
    """Coordinates of paths to a tenth of a point, without the line breaks: half the size."""

    def rounded(path: re.Match[bytes]) -> bytes:
        short = re.sub(rb"-?\d+\.\d+", lambda number: b"%.5g" % round(float(number[0]), 1), path[1])
        return b' d="' + re.sub(rb"\s*([A-Za-z])\s*", rb"\1", short).strip() + b'"'

    return re.sub(rb' d="([^"]*)"', rounded, svg)
