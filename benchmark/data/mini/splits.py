"""Which picture belongs to which class and split of a mini set: lists only, drawn from a seed (no torch)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmark.data.mini import birds, cars, planes
from benchmark.data.mini.draw import Picture


@dataclass(frozen=True)
class Family:
    """One mini set: its classes, how to draw one picture, and pictures a class in each split."""

    key: str
    stream: int
    classes: tuple[str, ...]
    draw: Callable[[int, np.random.Generator], Picture]
    train: int
    test: int


@dataclass(frozen=True)
class Item:
    """One picture: label is 0-based; index numbers the pictures of its class, training ones first."""

    label: int
    index: int
    split: str


FAMILIES: dict[str, Family] = {
    "cub": Family("cub", 1, tuple(c.name for c in birds.CLASSES), birds.draw, train=20, test=20),
    "cars": Family("cars", 2, tuple(c.name for c in cars.CLASSES), cars.draw, train=24, test=24),
    "aircraft": Family("aircraft", 3, tuple(c.name for c in planes.CLASSES), planes.draw, train=20, test=20),
}


def items(family: Family) -> list[Item]:
    """All pictures, class by class, training pictures first."""
    return [
        Item(label, index, "train" if index < family.train else "test")
        for label in range(len(family.classes))
        for index in range(family.train + family.test)
    ]


def shuffled(family: Family, seed: int, salt: int, chosen: list[Item]) -> list[Item]:
    """``chosen`` in a random order that depends on the seed alone."""
    order = np.random.default_rng((seed, family.stream, salt)).permutation(len(chosen))
    return [chosen[k] for k in order]


def picture(family: Family, seed: int, item: Item) -> Picture:
    """The picture of ``item``: the same for the same seed, whichever pictures are drawn before it."""
    return family.draw(item.label, np.random.default_rng((seed, family.stream, item.label, item.index)))
