"""Made-up predictions: what a test split's images or queries would have said, from plain random numbers.

Everything is drawn with random.Random(seed).random(), whose stream is the same in every version of Python, and from
what the images share: the runs of a dataset find the same images hard, but for ``noise``.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np

RELEVANT = 5  # right pictures of a query
CAMERAS = 6


def classification(
    dataset: str, run: str, classes: tuple[str, ...], each: int, top1: float, noise: float, branches: bool
) -> dict[str, np.ndarray]:
    """Arrays as predictions.npz holds them; as near to ``top1`` percent right as whole images allow.

    Wrong images are mostly taken for the class beside theirs. each: test images a class.
    """
    count = len(classes)
    labels = [label for label in range(count) for _ in range(each)]
    # Of odd classes more images are hard, so that the per-class accuracies differ.
    common = random.Random(f"{dataset} images")
    hard = [common.random() * (1.0 if label % 5 else 1.3) for label in labels]
    own = random.Random(f"{dataset} {run}")
    arrays: dict[str, np.ndarray] = {"classes": np.array(classes, dtype=str), "labels": _ints(labels)}
    aims = {"sa": top1 - 0.5, "glca": top1 - 0.75, "both": top1} if branches else {"both": top1}
    for branch, aim in aims.items():
        order = [value + noise * own.random() for value in hard]
        wrong_count = len(labels) - round(len(labels) * aim / 100)
        wrong = set(sorted(range(len(labels)), key=lambda place: -order[place])[:wrong_count])
        predicted = [
            _confused(label, count, own) if place in wrong else label for place, label in enumerate(labels)
        ]
        probability = [
            round((0.02 + 0.4 * own.random()) if place in wrong else (0.45 + 0.55 * own.random()), 2)
            for place in range(len(labels))
        ]
        arrays[f"{branch}_predicted"] = _ints(predicted)
        arrays[f"{branch}_correct"] = np.array([place not in wrong for place in range(len(labels))])
        arrays[f"{branch}_probability"] = np.array(probability, dtype=np.float32)
    arrays["top5_correct"] = arrays["both_correct"] | np.array([own.random() < 0.7 for _ in labels])
    return arrays


def classification_metrics(arrays: dict[str, np.ndarray]) -> dict[str, float]:
    """As a result states them: top1, top5, sa_top1, glca_top1, in percent."""
    names = {
        "both_correct": "top1",
        "sa_correct": "sa_top1",
        "glca_correct": "glca_top1",
        "top5_correct": "top5",
    }
    return {
        metric: 100.0 * int(arrays[name].sum()) / len(arrays[name])
        for name, metric in names.items()
        if name in arrays
    }


def _confused(label: int, count: int, own: random.Random) -> int:
    other = label ^ 1 if own.random() < 0.6 else int(own.random() * count)
    return other if other != label and other < count else (label + 2) % count


def retrieval(
    dataset: str,
    run: str,
    queries: int,
    gallery: int,
    mean_ap: float,
    rank1: float,
    noise: float,
    branches: bool,
) -> dict[str, np.ndarray]:
    """Arrays as predictions.npz holds them, with mAP and Rank-1 near the percentages asked for.

    Average precisions are those of ranks that were drawn; three queries have nothing to find.
    """
    own = random.Random(f"{dataset} {run}")
    arrays: dict[str, np.ndarray] = {
        "identities": _ints([place // 4 + 1 for place in range(queries)]),
        "cameras": _ints([place % CAMERAS + 1 for place in range(queries)]),
        "both_nearest": np.array([_places(own, gallery) for _ in range(queries)], dtype=np.int32),
    }
    nothing = {7, queries // 2, queries - 1}
    aims = {"sa": mean_ap - 0.8, "glca": mean_ap - 1.0, "both": mean_ap} if branches else {"both": mean_ap}
    for branch, aim in aims.items():
        common = random.Random(f"{dataset} queries")
        gaps = [
            [-math.log(1 - (1 - noise) * common.random() - noise * own.random()) for _ in range(RELEVANT)]
            for _ in range(queries)
        ]
        ranks = _ranks(gaps, aim, rank1)
        first = [0 if place in nothing else row[0] for place, row in enumerate(ranks)]
        arrays[f"{branch}_ap"] = np.array(
            [0.0 if place in nothing else round(_ap(row), 4) for place, row in enumerate(ranks)]
        )
        arrays[f"{branch}_first_hit"] = _ints(first)
        arrays[f"{branch}_rank1_correct"] = np.array([hit == 1 for hit in first])
        arrays[f"{branch}_ties"] = _ints([int(own.random() < 0.01) for _ in range(queries)])
    return arrays


def retrieval_metrics(arrays: dict[str, np.ndarray]) -> dict[str, float]:
    """As a result states them: mAP, R1, R5, R10, and those of the branches, in percent of answerable queries."""
    metrics = {}
    for branch in ("sa", "glca", "both"):
        if f"{branch}_ap" not in arrays:
            continue
        first = arrays[f"{branch}_first_hit"].tolist()
        valid = [place for place, hit in enumerate(first) if hit]
        front = "" if branch == "both" else f"{branch}_"
        ap = arrays[f"{branch}_ap"].tolist()
        metrics[f"{front}mAP"] = 100.0 * math.fsum(ap[place] for place in valid) / len(valid)
        for rank in (1, 5, 10):
            metrics[f"{front}R{rank}"] = 100.0 * sum(first[place] <= rank for place in valid) / len(valid)
    return metrics


def _ranks(gaps: list[list[float]], mean_ap: float, rank1: float) -> list[list[int]]:
    """Ranks of the right pictures: the first one's spread is fitted to Rank-1, the others' to mAP."""

    def at(first: float, rest: float) -> list[list[int]]:
        rows = []
        for row in gaps:
            rank, ranks = 0, []
            for place, gap in enumerate(row):
                rank += 1 + int(gap * (rest if place else first))
                ranks.append(rank)
            rows.append(ranks)
        return rows

    first = _fitted(lambda spread: sum(row[0] == 1 for row in at(spread, 0)) / len(gaps), rank1 / 100)
    rest = _fitted(lambda spread: sum(map(_ap, at(first, spread))) / len(gaps), mean_ap / 100)
    return at(first, rest)


def _fitted(falling: Callable[[float], float], aim: float) -> float:
    low, high = 0.0, 60.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > aim else (low, middle)
    return low


def _ap(ranks: list[int]) -> float:
    return sum((place + 1) / rank for place, rank in enumerate(ranks)) / len(ranks)


def _places(own: random.Random, gallery: int) -> list[int]:
    chosen: dict[int, None] = {}
    while len(chosen) < 10:
        chosen[int(own.random() * gallery)] = None
    return list(chosen)


def _ints(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.int32)
