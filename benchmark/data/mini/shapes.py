"""Shapes of the generated pictures: rows of TOML with the names of SVG, and their drawing (no torch).

A row has one of these keys, whose text holds points as "x,y x,y":

polygon, curve, line : corners of a closed outline, of a closed smooth outline, of an open line
ellipse : centre, then the two radii
box : ranges of x, y and z of a solid with the faces side (z highest), front (x highest), back (x lowest) and top

fill, stroke : a colour's name, with "-40%" for black or "+40%" for white mixed in; "paint" is the part's own
width : of the stroke, in object units
at : points at which the shape is drawn; repeat : "columns,rows dx,dy" of a grid of copies
on : faces ("cabin.side", "cabin.*") that a flat shape lies on, which spans -1 to 1 there; without, it faces the camera
name, taper, swing, layer : of a box: its name; by how much its top is shorter at the back, at the front and at both
    sides; how far its lower end moves in x with a stride; boxes of a higher layer are drawn later
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data.mini.draw import BLACK, WHITE, Colour, Pen, ellipse, mix, smooth

Colours = dict[str, Colour]
FLAT = ("polygon", "curve", "line", "ellipse")
FACES = {  # corners of a box as (x, y, z) with 0 the lowest and 1 the highest, counterclockwise from outside
    "top": ((0, 1, 1), (1, 1, 1), (1, 1, 0), (0, 1, 0)),
    "back": ((0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0)),
    "front": ((1, 0, 1), (1, 0, 0), (1, 1, 0), (1, 1, 1)),
    "side": ((0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)),
}
SHADES = {"top": 0.2, "back": -0.15, "front": -0.15, "side": 0.0}  # white (+) or black (-) mixed into a face


@dataclass(frozen=True)
class View:
    """Direction in which a camera sees a subject.

    yaw: degrees in [0, 180]: 0 its front, 90 its side, 180 its back. above: degrees that the camera looks down.
    sway: two numbers in [-1, 1] for the subject's small movements.
    """

    yaw: float
    above: float
    sway: tuple[float, float]

    def axes(self) -> tuple[np.ndarray, np.ndarray]:
        """(3, 2) parallel projection of x, y and z into the picture, and the (3,) direction to the camera."""
        (s, c), (down, level) = (
            (np.sin(a), np.cos(a)) for a in np.radians((np.clip(self.yaw, 3, 177), self.above))
        )
        return np.array([[s, -down * c], [0, level], [-c, -down * s]]), np.array([level * c, down, level * s])


@dataclass(frozen=True)
class Flat:
    """A flat shape: (m, n, 2) outlines of its m copies, and the keys of its row."""

    outlines: np.ndarray
    closed: bool
    fill: str
    stroke: str
    width: float
    on: tuple[str, ...]

    def draw(self, pen: Pen, outlines: np.ndarray, colours: Colours) -> None:
        """Draw ``outlines``, which are those of the shape where it lies in the picture."""
        if self.fill:
            pen.fill(outlines, named_colour(self.fill, colours))
        if self.stroke:
            pen.stroke(outlines, self.width, named_colour(self.stroke, colours), self.closed)


@dataclass(frozen=True)
class Box:
    """A solid: its (4 faces, 4 corners, 3) points and the keys of its row."""

    corners: np.ndarray
    fill: str
    name: str
    swing: float
    layer: float

    def visible_faces(self, view: View) -> Iterator[tuple[str, np.ndarray]]:
        """Names of the faces that point to the camera, and their (4, 2) outlines in the picture."""
        corners = self.corners.copy()
        corners[..., 0] += (corners[..., 1] == corners[..., 1].min()) * (view.sway[0] * self.swing)
        for face, outline in zip(FACES, corners @ view.axes()[0], strict=True):
            (ux, uy), (vx, vy) = outline[1] - outline[0], outline[3] - outline[0]
            if ux * vy > uy * vx:  # else its corners run clockwise: it is seen from inside
                yield face, outline


@dataclass(frozen=True)
class Part:
    """What a slot of a figure shows: the name of its paint, none for black, and its shapes."""

    slot: str
    paint: str
    shapes: tuple[Flat | Box, ...]


@cache
def read_toml(name: str) -> dict[str, Any]:
    """Content of a TOML file beside this module."""
    return tomllib.loads((Path(__file__).parent / name).read_text(encoding="utf-8"))


def numbers(text: str) -> np.ndarray:
    """Points of a text such as "0,1 0.5,1" as (n, 2)."""
    return np.array([pair.split(",") for pair in text.split()], float)


def parse_shapes(rows: Sequence[Mapping[str, Any]]) -> tuple[Flat | Box, ...]:
    """Shapes of some rows.

    Raises ValueError for a row with no kind of shape or with a key that is not explained above.
    """
    return tuple(_parse_box(**row) if "box" in row else _parse_flat(**row) for row in rows)


def _parse_box(
    box: str, name: str, fill: str, taper: Sequence[float] = (0, 0, 0), swing: float = 0.0, layer: float = 0.0
) -> Box:
    (back, front, sides), ends = taper, np.array(list(FACES.values()))
    corners = np.where(ends, numbers(box)[:, 1], numbers(box)[:, 0])
    corners[..., 0] += ends[..., 1] * np.where(ends[..., 0], -front, back)
    corners[..., 2] += ends[..., 1] * np.where(ends[..., 2], -sides, sides)
    return Box(corners, fill, name, swing, layer)


def _parse_flat(
    fill: str = "",
    stroke: str = "",
    width: float = 0.0,
    on: str = "",
    at: str = "0,0",
    repeat: str = "1,1 0,0",
    **shape: str,
) -> Flat:
    if len(shape) != 1 or (kind := next(iter(shape))) not in FLAT:
        found = ", ".join(shape) or "no points"
        raise ValueError(f"a shape with {found}; expected one of box, {', '.join(FLAT)}")
    points = numbers(shape[kind])
    if kind == "ellipse":
        points = ellipse(*points.flatten())
    elif kind == "curve":
        points = smooth(points)
    (columns, rows), step = numbers(repeat)
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).reshape(-1, 1, 2) * step
    places = (numbers(at) + grid).reshape(-1, 1, 2)
    return Flat(points + places, kind != "line", fill, stroke, width, tuple(on.split()))


def named_colour(name: str, colours: Colours) -> Colour:
    """Colour of a name such as "body" or "body -40%", BGR."""
    base, mixed, share = _split_name(name)
    return mix(colours[base], mixed, share) if share else colours[base]


@cache
def _split_name(name: str) -> tuple[str, Colour, float]:
    base, _, percent = name.partition(" ")
    share = float(percent.rstrip("%") or 0) / 100
    return base, WHITE if share > 0 else BLACK, abs(share)


def draw_parts(pen: Pen, parts: Sequence[Part], view: View, colours: Colours) -> None:
    """Draw flat parts in their order, then boxes from the farthest to the nearest with what lies on their faces.

    colours: of all names in the rows but "paint"; the name of a slot with a paint stands for that, too.
    """
    colours = {**colours, **{part.slot: colours[part.paint] for part in parts if part.paint}}
    on_faces: dict[str, list[tuple[Flat, Colours]]] = {}
    boxes: list[tuple[Box, Colours]] = []
    for part in parts:
        own = {**colours, "paint": colours[part.paint or "black"]}
        for shape in part.shapes:
            if isinstance(shape, Box):
                boxes.append((shape, own))
            elif not shape.on:
                shape.draw(pen, _bend(shape.outlines, view.sway), own)
            for face in () if isinstance(shape, Box) else shape.on:
                on_faces.setdefault(face, []).append((shape, own))
    towards = view.axes()[1]
    for box, own in sorted(boxes, key=lambda b: (b[0].layer, b[0].corners.mean((0, 1)) @ towards)):
        for face, outline in box.visible_faces(view):
            shade = SHADES[face]
            pen.fill(outline, mix(named_colour(box.fill, own), WHITE if shade > 0 else BLACK, abs(shade)))
            for flat, paints in on_faces.get(f"{box.name}.*", []) + on_faces.get(f"{box.name}.{face}", []):
                flat.draw(pen, _onto(outline, flat.outlines), paints)


def _bend(outlines: np.ndarray, sway: tuple[float, float]) -> np.ndarray:
    """The same small bend of all flat shapes of a picture, so that a class is not the same outline everywhere."""
    x, y = outlines[..., 0], outlines[..., 1]
    return np.stack([x + 0.06 * sway[0] * y, y + 0.06 * sway[1] * x * x], -1)


def _onto(face: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (…, 2) in [-1, 1] of a face to where they lie in its (4, 2) outline."""
    u, v = (points[..., :1] + 1) / 2, (points[..., 1:] + 1) / 2
    return (1 - u) * (1 - v) * face[0] + u * (1 - v) * face[1] + u * v * face[2] + (1 - u) * v * face[3]
