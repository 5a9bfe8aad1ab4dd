"""Identities as combinations of parts: many share their dominant colours, no two share nearly all parts (no torch)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.data.mini.draw import BLACK, WHITE, Colour

Parts = dict[str, str]
PAINTS: dict[str, Colour] = {
    "white": WHITE,
    "black": (42, 38, 36),
    "red": (50, 45, 205),
    "yellow": (50, 205, 240),
    "blue": (200, 110, 40),
    "brown": (50, 80, 120),
    "blond": (110, 190, 225),
    "grey": (165, 165, 165),
}


def draw_individuals(
    rng: np.random.Generator, choices: Mapping[str, Sequence[str]], looks: int, count: int, apart: int
) -> list[tuple[int, Parts]]:
    """``count`` times (look, parts): a part for every slot of ``choices``.

    looks: how many combinations of dominant colours there are; they take turns, so that every stretch of the
        list holds all of them. apart: in how many slots two identities of the same look differ at least.
    """
    drawn: list[tuple[int, Parts]] = []
    while len(drawn) < count:
        look = len(drawn) % looks
        parts = {slot: str(rng.choice(kinds)) for slot, kinds in choices.items()}
        if all(_different(parts, other) >= apart for seen, other in drawn if seen == look):
            drawn.append((look, parts))
    return drawn


def _different(one: Parts, other: Parts) -> int:
    return sum(one[slot] != other[slot] for slot in one)


def painted(part: str) -> tuple[Colour, str]:
    """Colour and kind of a part such as "red cap"; "cap" alone is black."""
    paint, _, kind = part.rpartition(" ")
    return (PAINTS[paint] if paint else BLACK), kind
