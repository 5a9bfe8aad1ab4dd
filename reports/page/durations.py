"""Times, amounts of memory and hours in words."""

from __future__ import annotations

import math


def duration(seconds: float) -> str:
    """``45 s``, ``12 min``, ``3 h 05 min``; ``unknown`` for what a damaged record calls endless."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def hours(value: float) -> str:
    """``< 0.001``, ``0.0062``, ``0.31``, ``15.2``, ``1,204``."""
    if 0 < value < 0.001:
        return "< 0.001"
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 1 or value == 0:
        return f"{value:.1f}"
    return f"{value:.2g}"


def memory(count: int) -> str:
    """``0.93 GiB``."""
    return f"{count / 2**30:.2f} GiB"
