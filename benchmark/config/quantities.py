"""Durations, amounts and long lists as text, the same in all commands, tables and pages; whole numbers from text (no
torch).
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def duration(seconds: float | None) -> str:
    """``0.52 s``, ``45 s``, ``12 min``, ``3 h 05 min``, ``2 d 3 h``.

    A dash for None; ``unknown`` for what is not finite, as a damaged record may say.
    """
    if seconds is None:
        return "–"
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 99.5:
        return f"{seconds:.2g} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours = round(seconds / 3600)
    return f"{minutes // 60} h {minutes % 60:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def hours(value: float) -> str:
    """``< 0.001``, ``0.0062``, ``0.31``, ``15.2``, ``1,204``."""
    if 0 < value < 0.001:
        return "< 0.001"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def memory(count: int) -> str:
    """Bytes as ``0.93 GiB``."""
    return f"{count / 2**30:.2f} GiB"


def amount(number: int, noun: str) -> str:
    """``1 run`` or ``1,204 runs``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def abridged(items: Sequence[str], limit: int = 1, separator: str = ", ") -> str:
    """The first ``limit`` items and how many more there are: ``a, b and 3 more``; of sentences ``a; b; and 3 more``."""
    rest = len(items) - limit
    ending = f"{separator.rstrip(', ')} and {rest:,} more" if rest > 0 else ""
    return separator.join(items[:limit]) + ending


def natural_number(text: str, digits: int = 9) -> int | None:
    """The number that a text of decimal digits alone is, at most so many of them; None for every other text.

    Nine digits fit into the 32 bits that records have for identities and cameras.
    """
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= digits else None
