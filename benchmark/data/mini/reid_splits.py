"""Who is photographed by which camera for which split of a re-identification set: lists from a seed (no torch)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np

from benchmark.data.mini import persons, vehicles
from benchmark.data.mini.camera_rows import CAMERAS
from benchmark.data.mini.cameras import Camera

# Salts of the seed besides (identity, picture): above every identity's number, so that no two streams meet.
_CROWD, _PLAN, _NUMBERS = 1001, 1002, 1003


@dataclass(frozen=True)
class ReIDFamily:
    """One set.

    crowd: draws that many identities; draw: one picture of one of them, or of nobody.
    train, test: identities of each split. strangers: identities that are in the gallery and never a query.
    validation: whether some pictures of the training identities form a list of their own.
    unanswerable: whether one query's only right answers come from its own camera.
    numbers: the official identity numbers are drawn below this; 0 where both splits count from 0.
    """

    key: str
    stream: int
    crowd: Callable[[np.random.Generator, int], Sequence[Any]]
    draw: Callable[[Any, Camera, np.random.Generator], np.ndarray]
    train: int
    test: int
    strangers: int = 0
    validation: bool = False
    unanswerable: bool = False
    hours: tuple[str, ...] = ("noon",)
    numbers: int = 0

    @property
    def identities(self) -> int:
        return self.train + self.test + self.strangers


@dataclass(frozen=True)
class Shot:
    """One picture: who is the place among the set's identities, index numbers the pictures of one.

    role: train, val, query, gallery, distractor (nobody of interest) or junk (a badly cut picture).
    """

    who: int
    index: int
    camera: int
    role: str
    hour: str


REID_FAMILIES: dict[str, ReIDFamily] = {
    family.key: family
    for family in (
        ReIDFamily(
            "market",
            4,
            partial(persons.people, "market"),
            partial(persons.draw, "market"),
            train=32,
            test=30,
            strangers=12,
            numbers=1502,
        ),
        ReIDFamily(
            "duke",
            5,
            partial(persons.people, "duke"),
            partial(persons.draw, "duke"),
            train=32,
            test=28,
            strangers=8,
            unanswerable=True,
            numbers=7141,
        ),
        ReIDFamily(
            "msmt17",
            6,
            partial(persons.people, "msmt17"),
            partial(persons.draw, "msmt17"),
            train=35,
            test=30,
            validation=True,
            hours=("morning", "noon", "afternoon"),
        ),
        ReIDFamily("veri", 7, vehicles.fleet, vehicles.draw, train=32, test=30, numbers=777),
    )
}


def individuals(family: ReIDFamily, seed: int) -> Sequence[Any]:
    """The identities: those of the training split first, then those of the test split, then strangers."""
    return family.crowd(np.random.default_rng((seed, family.stream, _CROWD)), family.identities)


def numbers(family: ReIDFamily, seed: int) -> list[int]:
    """The official number of each identity, in the order of `individuals`."""
    if not family.numbers:
        return [*range(family.train), *range(family.identities - family.train)]
    rng = np.random.default_rng((seed, family.stream, _NUMBERS))
    return [int(n) + 1 for n in rng.choice(family.numbers - 1, family.identities, replace=False)]


def shots(family: ReIDFamily, seed: int) -> list[Shot]:
    """All pictures of a set, identity by identity."""
    rng = np.random.default_rng((seed, family.stream, _PLAN))
    rows = []
    for who in range(family.identities):
        cameras = [int(c) for c in rng.permutation([camera.number for camera in CAMERAS[family.key]])]
        if who < family.train:
            plan = _training(family, who, cameras)
        elif who < family.train + family.test:
            plan = _testing(family, who, cameras[: int(rng.integers(3, len(cameras) + 1))])
        else:
            plan = _strangers(family, cameras)
        rows += [
            Shot(who, k, camera, role, str(rng.choice(family.hours))) for k, (camera, role) in enumerate(plan)
        ]
    return rows


Plan = list[tuple[int, str]]  # camera and role of one identity's pictures


def _training(family: ReIDFamily, who: int, cameras: list[int]) -> Plan:
    """Eight pictures, but two or three of every ninth identity: the real sets have such, too."""
    count = 2 + who % 2 if who % 9 == 4 else 8
    roles = ["val" if family.validation and k == 7 else "train" for k in range(count)]
    return [(cameras[k % len(cameras)], role) for k, role in enumerate(roles)]


def _testing(family: ReIDFamily, who: int, cameras: list[int]) -> Plan:
    """Two or three queries by different cameras; a gallery that holds pictures by these and by other cameras."""
    if family.unanswerable and who == family.train:
        return [(cameras[0], "query"), *[(cameras[0], "gallery")] * 4]
    gallery = [(cameras[k % len(cameras)], "gallery") for k in range(5 + who % 3)]
    return [(camera, "query") for camera in cameras[: 2 + who % 2]] + gallery


def _strangers(family: ReIDFamily, cameras: list[int]) -> Plan:
    if family.key == "market":
        return [(cameras[0], "distractor"), (cameras[1], "distractor"), (cameras[2], "junk")]
    return [(camera, "gallery") for camera in cameras]


def picture(family: ReIDFamily, seed: int, crowd: Sequence[Any], shot: Shot) -> np.ndarray:
    """(H, W, 3) uint8 BGR: the same for the same seed, whichever pictures are drawn before it.

    crowd: the set's `individuals`. Every third distractor shows nobody, as a detector's false alarm does.
    """
    camera = next(c for c in CAMERAS[family.key] if c.number == shot.camera)
    nobody = shot.role == "distractor" and (shot.who + shot.index) % 3 == 0
    rng = np.random.default_rng((seed, family.stream, shot.who, shot.index))
    image = family.draw(None if nobody else crowd[shot.who], camera.at(shot.hour), rng)
    if shot.role == "junk":  # only the lower right part, as from a detector's bad box
        height, width = image.shape[:2]
        image = cv2.resize(
            image[height * 2 // 5 :, width // 3 :], (width, height), interpolation=cv2.INTER_LINEAR
        )
    return image
