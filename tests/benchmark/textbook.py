"""Re-ID evaluation, literally: one query at a time, in Python's own floats (float64).

Sorts the gallery, removes, walks down the list. Takes and returns plain lists and numbers; nothing here is fast.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """One query. right[r - 1]: whether the remaining item at rank r is right."""

    right: list[bool]
    ap: float  # 0 without a right item
    first_hit: int  # rank from 1; 0 without a right item
    ties: int  # right items at exactly the distance of a wrong remaining item


def one_query(
    distances: Sequence[float],
    identity: int,
    camera: int,
    gallery_identities: Sequence[int],
    gallery_cameras: Sequence[int],
) -> Answer:
    order = sorted(range(len(distances)), key=lambda item: distances[item])  # stable

    remaining = []
    for item in order:
        if gallery_identities[item] == identity and gallery_cameras[item] == camera:
            continue
        remaining.append(item)
    right = [gallery_identities[item] == identity for item in remaining]

    found, total, first_hit = 0, 0.0, 0
    for rank, is_right in enumerate(right, start=1):
        if is_right:
            found += 1
            total += found / rank
            if first_hit == 0:
                first_hit = rank
    ap = total / found if found else 0.0

    right_items = [item for item in remaining if gallery_identities[item] == identity]
    wrong_items = [item for item in remaining if gallery_identities[item] != identity]
    ties = 0
    for item in right_items:
        if any(distances[wrong] == distances[item] for wrong in wrong_items):
            ties += 1
    return Answer(right, ap, first_hit, ties)


def mean_ap(answers: Sequence[Answer]) -> float:
    """Percent, over the queries with something to find."""
    valid = [answer for answer in answers if any(answer.right)]
    return 100 * sum(answer.ap for answer in valid) / len(valid)


def cmc(answers: Sequence[Answer], length: int) -> list[float]:
    """CMC[1 … length] in percent, over the queries with something to find; a curve that ends keeps its value."""
    valid = [answer for answer in answers if any(answer.right)]
    curves = []
    for answer in valid:
        hit, curve = 0, []
        for rank in range(1, length + 1):
            if rank <= len(answer.right) and answer.right[rank - 1]:
                hit = 1
            curve.append(hit)
        curves.append(curve)
    return [100 * sum(curve[k] for curve in curves) / len(valid) for k in range(length)]


def minus_cosine(a: Sequence[float], b: Sequence[float]) -> float:
    norm_a = math.sqrt(math.fsum(x * x for x in a))
    norm_b = math.sqrt(math.fsum(x * x for x in b))
    return -math.fsum(x / norm_a * (y / norm_b) for x, y in zip(a, b, strict=True))
