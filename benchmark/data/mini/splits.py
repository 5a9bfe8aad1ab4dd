"""Classes and identities of the generated sets, and which pictures of them are where: lists from a seed (no torch)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import cv2
import numpy as np

from benchmark.data.mini.cameras import Camera, ColourRow, Scene, photograph
from benchmark.data.mini.draw import Picture
from benchmark.data.mini.shapes import Box, Flat, Part, parse_shapes, read_toml

# Salts of the seed besides (subject, picture): above the number of every subject, so that no two streams meet.
IDENTITIES, SHOTS, NUMBERS, ORDER = 1001, 1002, 1003, 1004
APART = 4  # slots in which two identities of the same look differ at least


@dataclass(frozen=True)
class Look:
    """What several subjects of a set share.

    colours: of the figure, fixed or drawn for each picture. kinds: of its slots. labels: attributes in VeRi-776's XML.
    """

    colours: Mapping[str, ColourRow]
    kinds: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Subject:
    """A class, or an identity, which has no name.

    look: place in the set's looks. kinds: of the slots that differ from the figure's first kinds, e.g. "red cap".
    """

    name: str
    look: int
    kinds: dict[str, str]


@dataclass(frozen=True)
class Shot:
    """One picture.

    subject: place among the set's subjects. index: numbers the pictures of one subject. camera: its number.
    role: train, test, val, query, gallery, distractor (nobody of interest) or junk (a badly cut picture).
    """

    subject: int
    index: int
    camera: int
    role: str
    hour: str = "noon"


@dataclass(frozen=True)
class GeneratedSet:
    """One generated set: a table of sets.toml, which explains scene, looks and cameras.

    stream: of the set's random numbers. figure: the file of its slots and shapes in figures/.
    train, test: of a fine-grained set, pictures a class in each split; of a re-identification set, identities.
    classes: kinds by name of the class; empty for re-identification, whose identities draw theirs from ``choices``.
    strangers: identities that are in the gallery and never a query. validation: whether some pictures of the training
    identities form a list of their own. unanswerable: whether one query's only right answers come from its own camera.
    numbers: the official identity numbers are drawn below this; 0 where both splits count from 0.
    """

    key: str
    stream: int
    figure: str
    train: int
    test: int
    scene: Scene
    looks: tuple[Look, ...]
    cameras: tuple[Camera, ...]
    classes: Mapping[str, dict[str, str]] = field(default_factory=dict)
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    strangers: int = 0
    validation: bool = False
    unanswerable: bool = False
    hours: Sequence[str] = ("noon",)
    numbers: int = 0

    @property
    def identities(self) -> int:
        """How many there are in a re-identification set."""
        return self.train + self.test + self.strangers

    def random(self, seed: int, *salts: int) -> np.random.Generator:
        """Random numbers that depend on the seed, the set and the salts alone."""
        return np.random.default_rng((seed, self.stream, *salts))


def _read_sets() -> dict[str, GeneratedSet]:
    rows, generated = read_toml("sets.toml"), {}
    for key, row in rows.items():
        row = dict(row)
        if like := row.pop("like", ""):
            shared = {name: rows[like][name] for name in ("figure", "scene")}
            row = {**shared, **row, "choices": {**rows[like]["choices"], **row["choices"]}}
        row["scene"] = Scene(**row["scene"])
        row["looks"] = tuple(Look(**look) for look in row["looks"])
        row["cameras"] = tuple(Camera(**camera) for camera in row["cameras"])
        generated[key] = GeneratedSet(key=key, **row)
    return generated


GENERATED = _read_sets()
FINE_GRAINED = tuple(key for key, dataset in GENERATED.items() if dataset.classes)
REIDENTIFICATION = tuple(key for key, dataset in GENERATED.items() if dataset.choices)


def subjects(dataset: GeneratedSet, seed: int) -> list[Subject]:
    """Classes, or identities: those of the training split first, then those of the test split, then strangers.

    Looks take turns, so that every stretch of the list holds all of them. Two identities of a look differ in at least
    APART slots.
    """
    if dataset.classes:
        return [Subject(name, 0, kinds) for name, kinds in dataset.classes.items()]
    rng, drawn = dataset.random(seed, IDENTITIES), []
    while len(drawn) < dataset.identities:
        look = len(drawn) % len(dataset.looks)
        kinds = {slot: str(rng.choice(choices)) for slot, choices in dataset.choices.items()}
        alike = [other.kinds for other in drawn if other.look == look]
        if all(sum(kinds[slot] != other[slot] for slot in kinds) >= APART for other in alike):
            drawn.append(Subject("", look, kinds))
    return drawn


@cache
def _slots(figure: str) -> dict[str, dict[str, tuple[Flat | Box, ...]]]:
    slots = read_toml(f"figures/{figure}.toml")
    return {slot: {kind: parse_shapes(rows) for kind, rows in kinds.items()} for slot, kinds in slots.items()}


def draw_subject(
    dataset: GeneratedSet, subject: Subject | None, camera: Camera, rng: np.random.Generator
) -> Picture:
    """A picture of a subject, or of its place alone; the same ``rng`` state gives the same scene for every subject."""
    look, parts = dataset.looks[subject.look if subject else 0], []
    for slot, kinds in _slots(dataset.figure).items() if subject else ():
        value = subject.kinds.get(slot) or look.kinds.get(slot) or next(iter(kinds))
        paint, _, kind = value.rpartition(" ")
        parts.append(Part(slot, paint, kinds[kind]))
    return photograph(dataset.scene, camera, rng, look.colours, parts)


def numbers(dataset: GeneratedSet, seed: int) -> list[int]:
    """Official number of each identity, in the order of `subjects`."""
    if not dataset.numbers:
        return [*range(dataset.train), *range(dataset.identities - dataset.train)]
    chosen = dataset.random(seed, NUMBERS).choice(dataset.numbers - 1, dataset.identities, replace=False)
    return [int(n) + 1 for n in chosen]


def shots(dataset: GeneratedSet, seed: int) -> list[Shot]:
    """All pictures of a set, subject by subject."""
    if dataset.classes:
        roles = ["train"] * dataset.train + ["test"] * dataset.test
        return [Shot(who, k, 0, role) for who in range(len(dataset.classes)) for k, role in enumerate(roles)]
    rng, rows = dataset.random(seed, SHOTS), []
    for who in range(dataset.identities):
        cameras = [int(c) for c in rng.permutation([camera.number for camera in dataset.cameras])]
        seen = int(rng.integers(3, len(cameras) + 1))
        if who < dataset.train:
            plan = _training(dataset, who, cameras)
        elif who < dataset.train + dataset.test:
            plan = _testing(dataset, who, cameras[:seen])
        elif dataset.key == "market":
            plan = [(cameras[0], "distractor"), (cameras[1], "distractor"), (cameras[2], "junk")]
        else:
            plan = [(camera, "gallery") for camera in cameras]
        for k, (camera, role) in enumerate(plan):
            rows.append(Shot(who, k, camera, role, str(rng.choice(dataset.hours))))
    return rows


Plan = list[tuple[int, str]]  # camera and role of one identity's pictures


def _training(dataset: GeneratedSet, who: int, cameras: list[int]) -> Plan:
    """Eight pictures, but two or three of every ninth identity: the real sets have such, too."""
    count = 2 + who % 2 if who % 9 == 4 else 8
    roles = ["val" if dataset.validation and k == 7 else "train" for k in range(count)]
    return [(cameras[k % len(cameras)], role) for k, role in enumerate(roles)]


def _testing(dataset: GeneratedSet, who: int, cameras: list[int]) -> Plan:
    """Two or three queries by different cameras; a gallery that holds pictures by these and by other cameras."""
    if dataset.unanswerable and who == dataset.train:
        return [(cameras[0], "query"), *[(cameras[0], "gallery")] * 4]
    gallery = [(cameras[k % len(cameras)], "gallery") for k in range(5 + who % 3)]
    return [(camera, "query") for camera in cameras[: 2 + who % 2]] + gallery


def picture(dataset: GeneratedSet, seed: int, subject: Subject, shot: Shot) -> Picture:
    """Picture of a shot of ``subject``: the same for the same seed, whichever pictures are drawn before it.

    Every third distractor shows nobody, as a detector's false alarm does.
    """
    camera = next(c for c in dataset.cameras if c.number == shot.camera).at(shot.hour)
    nobody = shot.role == "distractor" and (shot.subject + shot.index) % 3 == 0
    rng = dataset.random(seed, shot.subject, shot.index)
    drawn = draw_subject(dataset, None if nobody else subject, camera, rng)
    if shot.role != "junk":
        return drawn
    height, width = drawn.image.shape[:2]  # only the lower right part, as from a detector's bad box
    cut = drawn.image[height * 2 // 5 :, width // 3 :]
    return Picture(cv2.resize(cut, (width, height), interpolation=cv2.INTER_LINEAR), (0, 0, width, height))
