"""Generic pretraining pictures: made-up species that are no birds, cars or planes (no torch).

A world is a fixed set of species. A genus has a body outline and six slots; its species share both and
differ in the local part each slot carries. Colours, pose, light, background and clutter vary per picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from benchmark.data.mini.draw import (
    BLACK,
    WHITE,
    Colour,
    Pen,
    Points,
    draw_pose,
    ellipse,
    hue,
    light,
    mix,
    shrink,
    smooth,
    texture,
)

SIZE = 48  # pixels of a picture
PATCH = 8  # pixels of a patch
SLOTS = 6  # of a species: the first half lies on the outline, the others inside it
KINDS = tuple("none disc ring bars spots spike hook paddle fork cross square stroke".split())
PAINTS: tuple[Colour | str, ...] = (
    *(WHITE, BLACK, (50, 50, 215), (40, 150, 240), (60, 215, 245), (220, 120, 40)),
    *("darker", "lighter", "any"),  # than the body; another colour in every picture
)
MARKS = len(KINDS) - 1 + len(PAINTS)  # what a patch can show: a kind of part, a paint
_OUTER = tuple(KINDS.index(k) for k in ("none", "spike", "hook", "paddle", "fork", "stroke", "disc"))
_INNER = tuple(KINDS.index(k) for k in ("none", "disc", "ring", "bars", "spots", "cross", "square", "stroke"))


@dataclass(frozen=True)
class SpeciesPart:
    """What a slot carries: kind (index into KINDS), paint (index into PAINTS), count of repeats, size."""

    kind: int
    paint: int
    count: int
    size: float


def draw_parts(rng: np.random.Generator) -> tuple[SpeciesPart, ...]:
    """A random part for each slot."""
    return tuple(
        SpeciesPart(
            kind=int(rng.choice(_OUTER if slot < SLOTS // 2 else _INNER)),
            paint=int(rng.integers(len(PAINTS))),
            count=int(rng.integers(1, 4)),
            size=float(rng.uniform(0.8, 1.25)),
        )
        for slot in range(SLOTS)
    )


_HOOK = smooth([(-0.3, 0.5), (1.2, 0.6), (1.7, -0.7), (1.0, -0.1), (-0.3, -0.4)])
# Outlines of the parts in units of their size, x pointing outwards, from (count, on the outline or inside).
_SHAPES: dict[str, Callable[[int, bool], Points]] = {
    "disc": lambda count, outer: ellipse(0.2, 0, 0.7 if outer else 0.85),
    "ring": lambda count, outer: ellipse(0, 0, 0.75),
    "spike": lambda count, outer: [(-0.3, 0.5), (1.2 + 0.5 * count, 0), (-0.3, -0.5)],
    "hook": lambda count, outer: _HOOK,
    "paddle": lambda count, outer: [(-0.3, 0.3), (1.6, 0.9), (1.8, -0.6), (-0.3, -0.3)],
    "fork": lambda count, outer: [(-0.3, 0.4), (2, 1.1), (1.1, 0), (2, -1.1), (-0.3, -0.4)],
    "cross": lambda count, outer: [(-0.9, 0), (0, 0), (0, 0.9), (0, -0.9), (0, 0), (0.9, 0)],
    "square": lambda count, outer: [(-0.7, -0.7), (0.7, -0.7), (0.7, 0.7), (-0.7, 0.7)],
    "stroke": lambda count, outer: [(-0.2, 0), (2.2 if outer else 1.2, 0.3)],
}


def paint_part(
    pen: Pen, part: SpeciesPart, anchor: np.ndarray, paints: Sequence[Colour], outer: bool
) -> Points:
    """Draw ``part`` at its slot and return points on it; ``paints`` are this picture's PAINTS."""
    x, y, angle = anchor
    c, s = np.cos(angle), np.sin(angle)
    size = 0.15 * part.size

    def at(points: Points) -> np.ndarray:
        return np.asarray(points, float) * size @ np.array([[c, s], [-s, c]]) + (x, y)

    paint, kind = paints[part.paint], KINDS[part.kind]
    if kind == "none":
        return at([(0, 0)])
    if kind == "bars":
        rows = [at([(0.75 * (k - 1), -1), (0.75 * (k - 1), 1)]) for k in range(part.count)]
        for row in rows:
            pen.stroke(row, 0.05, paint)
        return np.concatenate(rows)
    if kind == "spots":
        centres = at([(0.8 * (k - 1), (k % 2) - 0.5) for k in range(2 + part.count)])
        for px, py in centres:
            pen.fill(ellipse(px, py, 0.04), paint)
        return centres
    points = at(_SHAPES[kind](part.count, outer))
    if kind in ("cross", "stroke", "ring"):
        pen.stroke(points, 0.055, paint, closed=kind == "ring")
    else:
        pen.fill(points, paint)
    return points


@dataclass(frozen=True)
class Genus:
    """outline: (n, 2) in object coordinates; anchors: SLOTS times (x, y, outward angle)."""

    outline: np.ndarray
    anchors: np.ndarray


@dataclass(frozen=True)
class Sample:
    """image: (48, 48, 3) uint8 RGB; kinds: (SLOTS,); marks: (36, MARKS) of what each patch shows."""

    image: np.ndarray
    species: int
    genus: int
    kinds: np.ndarray
    marks: np.ndarray


@dataclass(frozen=True)
class WorldSize:
    """How many species a world has, and the seed they are drawn from."""

    genera: int
    per_genus: int
    seed: int

    @property
    def classes(self) -> int:
        return self.genera * self.per_genus


WORLDS = {"small": WorldSize(20, 12, 11), "large": WorldSize(32, 12, 23)}


def _genus(rng: np.random.Generator) -> Genus:
    corners = int(rng.integers(5, 10))
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False) + rng.uniform(-0.2, 0.2, corners)
    radii = rng.uniform(0.62, 1.0, corners)
    stretch = np.array([rng.uniform(0.6, 0.8), rng.uniform(0.26, 0.55)])
    points = np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None] * stretch
    outline = smooth(points) if rng.random() < 0.6 else points
    around = np.linspace(0, 2 * np.pi, SLOTS // 2, endpoint=False) + rng.uniform(0, 2 * np.pi)
    anchors = []
    for slot, angle in enumerate([*around, *(around + np.pi / 3)]):
        directions = np.arctan2(outline[:, 1], outline[:, 0])
        edge = outline[np.argmin(np.abs(np.angle(np.exp(1j * (directions - angle)))))]
        reach = 0.95 if slot < SLOTS // 2 else rng.uniform(0.35, 0.6)
        anchors.append((*(edge * reach), np.arctan2(edge[1], edge[0])))
    return Genus(outline, np.array(anchors))


class PretrainingWorld:
    """The species of one world and their pictures."""

    def __init__(self, size: WorldSize) -> None:
        rng = np.random.default_rng(size.seed)
        self.size = size
        self.genera = [_genus(rng) for _ in range(size.genera)]
        self.species: list[tuple[SpeciesPart, ...]] = []
        for _ in self.genera:
            common = draw_parts(rng)
            for _ in range(size.per_genus):
                own = draw_parts(rng)  # about half of the slots are the genus' own
                self.species.append(
                    tuple(o if rng.random() < 0.55 else c for o, c in zip(own, common, strict=True))
                )

    def sample(self, rng: np.random.Generator) -> Sample:
        """One picture of a random species."""
        species = int(rng.integers(len(self.species)))
        genus = species // self.size.per_genus
        ground = texture(rng, SIZE, SIZE, [_any_colour(rng) for _ in range(3)])
        canvas = cv2.resize(ground, (2 * SIZE, 2 * SIZE), interpolation=cv2.INTER_LINEAR)
        pose = draw_pose(rng, (0.8, 1.3), 30, 0.08)
        pen = Pen(canvas, pose.matrix(2 * SIZE, 2 * SIZE))
        for _ in range(int(rng.integers(0, 4))):
            _clutter(rng, pen, rng.uniform(0.15, 0.6))
        canvas[..., 3] = 0
        marks = np.zeros((SIZE // PATCH, SIZE // PATCH, MARKS), np.float32)
        _draw_species(rng, pen, self.genera[genus], self.species[species], marks)
        light(canvas, rng.uniform(0.6, 2.5), rng.uniform(0.3, 1.1), rng.uniform(0.7, 1.2))
        for _ in range(int(rng.integers(0, 4))):
            _clutter(rng, pen, rng.uniform(0.05, 0.16))
        image = cv2.cvtColor(shrink(canvas, 2), cv2.COLOR_BGR2RGB)
        kinds = np.array([part.kind for part in self.species[species]])
        return Sample(image, species, genus, kinds, marks.reshape(-1, MARKS))


def _any_colour(rng: np.random.Generator) -> Colour:
    return hue(rng.random(), rng.uniform(0.05, 0.7), rng.uniform(0.25, 0.95))


def _clutter(rng: np.random.Generator, pen: Pen, size: float) -> None:
    x, y = rng.uniform(-1.2, 1.2, 2)
    colour, turn = _any_colour(rng), rng.uniform(0, 360)
    what = rng.integers(3)
    if what == 0:
        pen.fill(ellipse(x, y, size, size * rng.uniform(0.3, 1), turn), colour)
    elif what == 1:
        pen.fill(ellipse(x, y, size, size, turn)[:: int(rng.choice((7, 9)))], colour)
    else:
        far = rng.uniform(-1, 1, 2) * 3 * size
        pen.stroke([(x, y), (x + far[0], y + far[1])], size * 0.3, colour)


def _draw_species(
    rng: np.random.Generator, pen: Pen, genus: Genus, parts: tuple[SpeciesPart, ...], marks: np.ndarray
) -> None:
    body, second = _any_colour(rng), _any_colour(rng)
    own = {"darker": mix(body, BLACK, 0.45), "lighter": mix(body, WHITE, 0.55), "any": _any_colour(rng)}
    paints = [own[paint] if isinstance(paint, str) else paint for paint in PAINTS]
    outline = genus.outline * rng.uniform(0.95, 1.05, 2)
    outer = parts[: SLOTS // 2]
    for part, anchor in zip(outer, genus.anchors[: SLOTS // 2], strict=True):
        _mark(pen, marks, part, paint_part(pen, part, anchor, paints, True))
    pen.fill(outline, body)
    pen.fill(outline * (0.75, 0.45) + (0, rng.uniform(-0.12, 0.12)), mix(body, second, 0.5))
    pen.stroke(outline, 0.02, mix(body, BLACK, 0.35), closed=True)
    for part, anchor in zip(parts[SLOTS // 2 :], genus.anchors[SLOTS // 2 :], strict=True):
        _mark(pen, marks, part, paint_part(pen, part, anchor, paints, False))


def _mark(pen: Pen, marks: np.ndarray, part: SpeciesPart, points: Points) -> None:
    """Note the part's kind and paint in the patches its points fall into."""
    if part.kind:
        cells = np.clip(pen.pixels(points) / (2 * PATCH), 0, SIZE // PATCH - 1e-3).astype(int)
        marks[cells[:, 1], cells[:, 0], part.kind - 1] = 1
        marks[cells[:, 1], cells[:, 0], len(KINDS) - 1 + part.paint] = 1
