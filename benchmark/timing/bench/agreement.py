"""Two ways to the same numbers must come to the same numbers, or their times mean nothing (no torch)."""

from __future__ import annotations

import math
from collections.abc import Mapping


class Disagreement(Exception):
    """The two come to different numbers: one of them is wrong."""


def check_agreement(
    title: str, ours: Mapping[str, float], other: Mapping[str, float], *, tolerance: float = 1e-6
) -> None:
    """Raises Disagreement unless both have the same names with the same values, to a relative tolerance."""
    same = set(ours) == set(other) and all(
        math.isclose(ours[name], other[name], rel_tol=tolerance) for name in ours
    )
    if not same:
        raise Disagreement(f"{title}: ours {dict(ours)}, the other {dict(other)}, allowed {tolerance:g}")
