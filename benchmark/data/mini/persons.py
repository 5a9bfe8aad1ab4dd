"""Pedestrians: identities that share body and outfit colours and differ in small parts (no torch).

Object coordinates: feet at y = -1, crown at y = 1; in a side view the person looks towards positive x.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.data.mini.cameras import Camera, View, photograph
from benchmark.data.mini.draw import BLACK, WHITE, Colour, Pen, ellipse, mix
from benchmark.data.mini.individuals import PAINTS, draw_individuals
from benchmark.data.mini.person_parts import SKINS, draw_bag, draw_chest, draw_extra, draw_head

CHOICES: dict[str, tuple[str, ...]] = {  # of every set; a wardrobe replaces some
    "hair": (
        "black short",
        "black long",
        "brown bun",
        "brown curly",
        "blond long",
        "blond short",
        "grey bald",
    ),
    "hat": ("none", "none", "red cap", "white cap", "black beanie", "yellow beanie"),
    "chest": ("none", "white band", "yellow bars", "red sash", "white badge", "black middle", "white zip"),
    "sleeves": ("long", "short", "cuffs"),
    "bag": (
        "none",
        "none",
        "red backpack",
        "black backpack",
        "yellow satchel",
        "white satchel",
        "blue handbag",
    ),
    "legs": ("trousers", "shorts", "skirt", "cropped", "striped"),
    "shoes": ("white", "black", "red", "boots"),
    "extra": ("none", "none", "belt", "glasses", "pocket"),
    "skin": ("light", "tan", "dark"),
}


@dataclass(frozen=True)
class Wardrobe:
    """What the persons of a set wear: (upper, lower) colours; hem: y where the upper garment ends."""

    outfits: tuple[tuple[Colour, Colour], ...]
    hem: float
    choices: Mapping[str, Sequence[str]]


WARDROBES = {
    "market": Wardrobe(
        (
            ((165, 150, 70), (105, 65, 50)),
            ((175, 180, 185), (90, 120, 140)),
            ((85, 75, 165), (75, 70, 70)),
            ((190, 215, 225), (130, 95, 60)),
        ),
        hem=-0.05,
        choices=CHOICES,
    ),
    "duke": Wardrobe(
        (
            ((95, 65, 50), (70, 65, 65)),
            ((75, 100, 95), (120, 100, 85)),
            ((85, 85, 85), (55, 75, 100)),
            ((70, 50, 110), (110, 80, 60)),
        ),
        hem=-0.3,
        choices={
            **CHOICES,
            "hat": ("none", "none", "red beanie", "white beanie", "yellow beanie", "black cap"),
            "chest": ("none", "white zip", "white band", "yellow middle", "red badge", "yellow bars"),
            "sleeves": ("long", "cuffs"),
            "legs": ("trousers", "skirt", "cropped", "striped"),
            "extra": ("none", "red scarf", "yellow scarf", "belt", "pocket"),
        },
    ),
    "msmt17": Wardrobe(
        (
            ((140, 105, 75), (70, 65, 60)),
            ((165, 150, 185), (125, 125, 125)),
            ((90, 135, 100), (120, 155, 175)),
            ((80, 80, 85), (85, 80, 75)),
            ((205, 205, 200), (110, 75, 60)),
        ),
        hem=-0.12,
        choices={
            **CHOICES,
            "chest": (
                "none",
                "white zip",
                "red bars",
                "yellow sash",
                "white middle",
                "blue band",
                "red badge",
            ),
            "extra": ("none", "white scarf", "belt", "glasses", "pocket"),
        },
    ),
}


@dataclass(frozen=True)
class Person:
    """One identity: its outfit's place in the wardrobe and the kind of each part."""

    outfit: int
    hair: str
    hat: str
    chest: str
    sleeves: str
    bag: str
    legs: str
    shoes: str
    extra: str
    skin: str


def people(key: str, rng: np.random.Generator, count: int) -> list[Person]:
    """``count`` identities of the set ``key``; two in the same outfit differ in at least four parts."""
    wardrobe = WARDROBES[key]
    drawn = draw_individuals(rng, wardrobe.choices, len(wardrobe.outfits), count, apart=4)
    return [Person(outfit, **parts) for outfit, parts in drawn]


def draw(key: str, person: Person | None, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    """A (72–88, 34–44, 3) picture; the same ``rng`` state gives the same scene whoever is in it."""
    height, width = int(rng.integers(72, 89)), int(rng.integers(34, 45))
    reach = height / width  # a person as tall as the picture
    wardrobe = WARDROBES[key]
    subject = None if person is None else lambda pen, view: _person(pen, person, wardrobe, view)
    return photograph(camera, rng, (height, width), (0.82 * reach, 0.98 * reach), 5, subject)


def facing(yaw: float) -> str:
    """The one of three drawn sides that is nearest to what a camera sees from ``yaw``."""
    return "front" if yaw < 55 else "side" if yaw < 125 else "back"


def _person(pen: Pen, person: Person, wardrobe: Wardrobe, view: View) -> None:
    upper, lower = wardrobe.outfits[person.outfit]
    side, sway, skin = facing(view.yaw), view.sway, SKINS[person.skin]
    from_above = np.array([[1, 0, 0], [0, 1, 0], [0, -view.above / 200, 1]])  # the head nearer than the feet
    pen = Pen(pen.canvas, pen.matrix @ from_above)
    _legs(pen, person, side, sway, lower, skin)
    if side != "back":
        draw_bag(pen, person.bag, side, "behind")
    half, waist = (0.19, 0.17) if side == "side" else (0.29, 0.23)
    hem = wardrobe.hem
    torso = [(-half, 0.5), (-half * 0.6, 0.62), (half * 0.6, 0.62), (half, 0.5)]
    torso += [(waist, 0.1), (waist + 0.02, hem), (-waist - 0.02, hem), (-waist, 0.1)]
    pen.fill(torso, upper)
    draw_chest(pen, person.chest, side, half, hem)
    pen.stroke(torso, 0.02, mix(upper, BLACK, 0.4), closed=True)
    draw_extra(pen, person.extra, side, waist, mix(upper, BLACK, 0.45))
    for x, swing in ((0.0, sway[0]),) if side == "side" else ((-half, -0.3), (half, 0.3)):
        _arm(pen, person.sleeves, x, 0.12 * swing + 0.03 * sway[1], upper, skin)
    draw_bag(pen, person.bag, side, "before")
    draw_head(pen, person.hair, person.hat, side, skin, 0.03 * sway[2])
    if person.extra == "glasses" and side != "back":
        pen.stroke([(-0.11 if side == "front" else 0.02, 0.81), (0.12, 0.81)], 0.06, BLACK)


def _arm(pen: Pen, sleeves: str, x: float, swing: float, upper: Colour, skin: Colour) -> None:
    shoulder, elbow, hand = (x, 0.53), (x + 0.7 * swing, 0.27), (x + swing, 0.02)
    cloth = mix(upper, BLACK, 0.14)
    pen.stroke([shoulder, elbow, hand], 0.1, skin if sleeves == "short" else cloth)
    pen.stroke([shoulder, elbow], 0.13, cloth)
    if sleeves == "cuffs":
        pen.stroke([(x + 0.75 * swing, 0.17), (x + 0.9 * swing, 0.08)], 0.14, WHITE)
    pen.fill(ellipse(x + swing, -0.01, 0.055), skin)


def _legs(pen: Pen, person: Person, side: str, sway: Sequence[float], lower: Colour, skin: Colour) -> None:
    stride = 0.2 * sway[3] if side == "side" else 0.04 * sway[3]
    hip = 0.05 if side == "side" else 0.12
    shoe = PAINTS["brown"] if person.shoes == "boots" else PAINTS[person.shoes]
    bottom = {"shorts": -0.42, "skirt": -0.3, "cropped": -0.7}.get(person.legs, -0.9)
    for sign in (-1, 1):
        foot = (sign * (hip + 0.02) + sign * stride, -0.92)
        knee = (sign * hip + 0.6 * sign * stride, -0.42)
        pen.stroke([(sign * hip, -0.05), knee, foot], 0.12, skin)
        share = (bottom - knee[1]) / (foot[1] - knee[1])
        end = (knee[0] + share * (foot[0] - knee[0]), bottom)
        tone = lower if sign > 0 else mix(lower, BLACK, 0.15)
        pen.stroke([(sign * hip, -0.05), *([knee] if bottom < knee[1] else []), end], 0.19, tone)
        if person.legs == "striped":
            pen.stroke([(p[0] + sign * 0.06, p[1]) for p in ((sign * hip, -0.1), knee, end)], 0.05, WHITE)
        if person.shoes == "boots":
            pen.stroke([(foot[0], -0.68), foot], 0.17, shoe)
        toe = 0.07 if side == "side" else 0.02 * sign
        pen.fill(ellipse(foot[0] + toe, -0.94, 0.13 if side == "side" else 0.095, 0.065), shoe)
    if person.legs == "skirt":
        pen.fill([(-0.2, 0.02), (0.2, 0.02), (0.3, -0.46), (-0.3, -0.46)], lower)
