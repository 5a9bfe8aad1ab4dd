"""The parts that tell pedestrians apart: hair, hat, print, bag and what else they wear (no torch).

side is front, side or back: what the camera sees.
"""

from __future__ import annotations

from benchmark.data.mini.draw import BLACK, WHITE, Colour, Pen, ellipse, mix
from benchmark.data.mini.individuals import PAINTS, painted

SKINS: dict[str, Colour] = {"light": (175, 200, 235), "tan": (120, 160, 205), "dark": (65, 90, 130)}
HEAD = 0.155  # radius


def draw_chest(pen: Pen, chest: str, side: str, half: float, hem: float) -> None:
    """What is on the upper garment; a badge and a zip are on the front alone."""
    paint, kind = painted(chest)
    edge = half * 0.93
    if kind == "band":
        pen.fill([(-edge, 0.43), (edge, 0.43), (edge * 0.95, 0.28), (-edge * 0.95, 0.28)], paint)
    elif kind == "bars":
        for y in (0.44, 0.28, 0.12):
            pen.stroke([(-edge * 0.85, y), (edge * 0.85, y)], 0.06, paint)
    elif kind == "sash":
        pen.fill([(-edge, 0.5), (-edge * 0.5, 0.58), (edge * 0.85, 0.12), (edge * 0.8, -0.02)], paint)
    elif kind == "middle":
        pen.fill(ellipse(0, 0.33, 0.6 * edge, 0.14), paint)
    elif kind == "badge" and side != "back":
        x = 0.12 if side == "front" else 0.08
        pen.fill([(x - 0.08, 0.47), (x + 0.08, 0.47), (x + 0.08, 0.31), (x - 0.08, 0.31)], paint)
    elif kind == "zip" and side != "back":
        x = 0.0 if side == "front" else 0.15
        pen.stroke([(x, 0.6), (x, hem)], 0.08, paint)


def draw_extra(pen: Pen, extra: str, side: str, waist: float, shade: Colour) -> None:
    """Belt, pockets or scarf; glasses belong to the head."""
    paint, kind = painted(extra)
    if kind == "belt":
        pen.stroke([(-waist, 0.03), (waist, 0.03)], 0.09, BLACK)
        if side != "back":
            pen.fill(ellipse(0.0 if side == "front" else waist, 0.03, 0.06), PAINTS["yellow"])
    elif kind == "pocket" and side != "back":
        for x in (-0.13, 0.13) if side == "front" else (0.05,):
            pen.fill([(x - 0.07, 0.14), (x + 0.07, 0.14), (x + 0.06, 0.0), (x - 0.06, 0.0)], shade)
    elif kind == "scarf":
        pen.stroke([(-0.13, 0.6), (0.13, 0.6)], 0.14, paint)
        if side != "back":
            pen.stroke([(0.08, 0.58), (0.1, 0.28)], 0.1, paint)


def draw_bag(pen: Pen, bag: str, side: str, layer: str) -> None:
    """The bag's part that lies ``behind`` or ``before`` the torso."""
    paint, kind = painted(bag)
    edge = mix(paint, BLACK, 0.4)
    if kind == "backpack":
        _backpack(pen, side, layer, paint, edge)
    elif kind == "satchel" and layer == "before":
        x = {"front": 0.28, "side": 0.02, "back": -0.28}[side]
        pen.stroke([(-0.6 * x, 0.6), (x, 0.02)], 0.05, edge)
        pen.fill([(x - 0.13, 0.06), (x + 0.13, 0.06), (x + 0.13, -0.2), (x - 0.13, -0.2)], paint)
        pen.stroke([(x - 0.13, -0.03), (x + 0.13, -0.03)], 0.025, edge)
    elif kind == "handbag" and layer == "before":
        x = {"front": 0.34, "side": 0.06, "back": -0.34}[side]
        pen.stroke([(x - 0.07, -0.16), (x, -0.02), (x + 0.07, -0.16)], 0.03, edge)
        pen.fill([(x - 0.11, -0.14), (x + 0.11, -0.14), (x + 0.15, -0.38), (x - 0.15, -0.38)], paint)


def _backpack(pen: Pen, side: str, layer: str, paint: Colour, edge: Colour) -> None:
    if side == "side" and layer == "behind":
        pen.fill([(-0.1, 0.56), (-0.34, 0.5), (-0.38, 0.1), (-0.1, 0.06)], paint)
        pen.stroke([(-0.36, 0.3), (-0.12, 0.3)], 0.025, edge)
    elif side == "front" and layer == "before":
        for x in (-0.17, 0.17):
            pen.stroke([(x, 0.6), (x, 0.2)], 0.07, paint)
    elif side == "back" and layer == "before":
        pen.fill([(-0.2, 0.58), (0.2, 0.58), (0.23, 0.08), (-0.23, 0.08)], paint)
        pen.stroke([(-0.18, 0.28), (0.18, 0.28)], 0.03, edge)


def draw_head(pen: Pen, hair: str, hat: str, side: str, skin: Colour, nod: float) -> None:
    """Neck, head, face, hair and hat."""
    colour, cut = painted(hair)
    x, y = nod, 0.81
    pen.stroke([(0, 0.58), (x, 0.7)], 0.11, mix(skin, BLACK, 0.12))
    if cut == "long" and side != "back":
        back = x - (0.09 if side == "side" else 0)
        pen.fill(ellipse(back, y - 0.1, 0.11 if side == "side" else 0.2, 0.28), colour)
    pen.fill(ellipse(x, y, HEAD * 0.92, HEAD * 1.1), skin)
    if side == "front":
        for eye in (-0.06, 0.06):
            pen.fill(ellipse(x + eye, y, 0.025), BLACK)
    elif side == "side":
        pen.fill(ellipse(x + 0.09, y, 0.025), BLACK)
    if cut != "bald":
        _hair(pen, cut, side, colour, x, y)
    _hat(pen, hat, side, x, y)


def _hair(pen: Pen, cut: str, side: str, colour: Colour, x: float, y: float) -> None:
    if side == "back":
        pen.fill(ellipse(x, y + 0.02, HEAD, HEAD * 1.1), colour)
        if cut == "long":
            pen.fill([(x - 0.16, y), (x + 0.16, y), (x + 0.19, y - 0.38), (x - 0.19, y - 0.38)], colour)
    elif side == "side":
        cap = [
            (x + 0.12, y + 0.1),
            (x, y + 0.18),
            (x - 0.15, y + 0.1),
            (x - 0.16, y - 0.1),
            (x - 0.04, y - 0.04),
        ]
        pen.fill(cap, colour)
    else:
        cap = [(x - 0.16, y), (x - 0.12, y + 0.16), (x, y + 0.2), (x + 0.12, y + 0.16), (x + 0.16, y)]
        pen.fill([*cap, (x + 0.09, y + 0.08), (x - 0.09, y + 0.08)], colour)
    if cut == "bun":
        pen.fill(ellipse(x - (0.1 if side == "side" else 0), y + 0.2, 0.085), colour)
    elif cut == "curly":
        for dx, dy in ((-0.17, 0.02), (-0.13, 0.14), (0, 0.19), (0.13, 0.14), (0.17, 0.02)):
            if side != "side" or dx <= 0:
                pen.fill(ellipse(x + dx, y + dy, 0.085), colour)


def _hat(pen: Pen, hat: str, side: str, x: float, y: float) -> None:
    paint, kind = painted(hat)
    if kind == "none":
        return
    dome = [
        (x - 0.17, y + 0.07),
        (x - 0.14, y + 0.18),
        (x, y + 0.24),
        (x + 0.14, y + 0.18),
        (x + 0.17, y + 0.07),
    ]
    pen.fill(dome, paint)
    if kind == "beanie":
        pen.fill(ellipse(x, y + 0.26, 0.06), mix(paint, WHITE, 0.4))
        pen.stroke([(x - 0.16, y + 0.08), (x + 0.16, y + 0.08)], 0.06, mix(paint, BLACK, 0.3))
    elif side != "back":
        reach = (0.05, 0.3) if side == "side" else (-0.16, 0.16)
        pen.stroke([(x + reach[0], y + 0.06), (x + reach[1], y + 0.06)], 0.06, mix(paint, BLACK, 0.35))
