"""The known name that somebody who misspelt one probably meant (no torch)."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

LIKELY, POSSIBLE = 0.6, 0.3  # least likeness, from 0 to 1


def nearest_hint(
    name: str,
    known: Iterable[str],
    *,
    count: int = 1,
    cutoff: float = POSSIBLE,
    shown: Mapping[str, str] | None = None,
) -> str:
    """``; nearest: deit_tiny``: the end of an error's text; "" where no known name is near.

    count: the most names. cutoff: the least likeness. shown: known name → what stands for it in the text.
    """
    near = difflib.get_close_matches(name, list(known), n=count, cutoff=cutoff)
    return f"; nearest: {', '.join(shown[one] if shown else one for one in near)}" if near else ""
