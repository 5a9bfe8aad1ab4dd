"""Ranking at the size of the real sets: benchmark.evaluation.ranking against a pipeline that sorts everything."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.evaluation import ranking
from benchmark.evaluation.ranking import Items
from benchmark.timing.bench.results import MB, BenchRow, check_agreement
from benchmark.timing.measure import Measurement, Meter, available_bytes, measure

SPANS = ("distances", "ranking", "total")


@dataclass(frozen=True)
class RankingBars:
    """What ours must reach; None: no bar. Memory is that above the features."""

    total_seconds: float | None = None
    megabytes: float | None = None
    times_faster: float | None = None  # in ranking alone, distances aside
    times_smaller: float | None = None


@dataclass(frozen=True)
class RankingCase:
    """Sizes of a test split. distractors: gallery items of nobody that is asked for."""

    title: str
    queries: int
    gallery: int
    identities: int
    distractors: int
    cameras: int
    repeats: int
    bars: RankingBars = RankingBars()
    dimensions: int = 768


CASES = (
    RankingCase("Market-1501", 3_368, 15_913, 750, 2_798, 6, 7, RankingBars(times_faster=3, times_smaller=4)),
    RankingCase("MSMT17", 11_659, 82_161, 3_060, 0, 15, 1, RankingBars(total_seconds=60, megabytes=1_000)),
)


def run(cases: Iterable[RankingCase] | None = None) -> list[BenchRow]:
    """Measure every case, the two pipelines in turns, each time in a process of its own. None: CASES.

    The full sort is left out, and its rows say why, where its matrices come too near to the memory that is free.
    Raises Disagreement if mAP, R1 or the number of valid queries differ.
    """
    rows: list[BenchRow] = []
    for case in CASES if cases is None else cases:
        size = {key: value for key, value in asdict(case).items() if key not in ("title", "repeats", "bars")}
        needed, free = BYTES_A_PAIR * case.queries * case.gallery, available_bytes()
        fits = 1.25 * needed < free  # the rest of the machine lives, too
        ours: list[Measurement] = []
        full: list[Measurement] = []
        for repeat in range(case.repeats):
            print(f"ranking: {case.title}, repeat {repeat + 1} of {case.repeats}", file=sys.stderr)
            ours.append(measure(work_of_ours, **size))
            if fits:
                full.append(measure(work_of_full_sort, **size))
                check_agreement(case.title, ours[-1].result, full[-1].result)
        note = (
            ""
            if fits
            else f"full sort not run: its matrices take {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
        )
        rows += result_rows(case, ours, full, note)
    return rows


def result_rows(
    case: RankingCase, ours: Sequence[Measurement], full: Sequence[Measurement], note: str = ""
) -> list[BenchRow]:
    """A row for each span, and one for memory. full: empty where it was not run, then note says why."""
    title = f"{case.title} ({case.queries:,} × {case.gallery:,})"
    bars = {"ranking": {"times": case.bars.times_faster}, "total": {"most": case.bars.total_seconds}}
    rows = [
        BenchRow(
            "ranking",
            title,
            span,
            "s",
            [measurement.seconds[span] for measurement in ours],
            [measurement.seconds[span] for measurement in full],
            "full sort",
            note=note,
            **bars.get(span, {}),
        )
        for span in SPANS
    ]
    memory = BenchRow(
        "ranking",
        title,
        "memory above the features",
        "MB",
        [measurement.memory_bytes / MB for measurement in ours],
        [measurement.memory_bytes / MB for measurement in full],
        "full sort",
        most=case.bars.megabytes,
        times=case.bars.times_smaller,
        note=note,
    )
    return [*rows, memory]


def work_of_ours(meter: Meter, **size: int) -> dict[str, float]:
    """rank_features as evaluation calls it."""
    split = draw(**size)
    ranking.rank_features(*warm_up())
    distance_blocks = ranking.distance_blocks

    def timed(*arguments: Tensor, **options: int) -> Iterator[Tensor]:
        blocks = distance_blocks(*arguments, **options)
        while True:
            with meter.span("distances"):
                block = next(blocks, None)
            if block is None:
                return
            yield block

    ranking.distance_blocks = timed  # the only way to time them apart inside the function that is measured
    meter.start()
    with meter.span("total"):
        ranked = ranking.rank_features(*split)
    meter.seconds["ranking"] = meter.seconds["total"] - meter.seconds["distances"]
    return {"mAP": ranked.mean_ap(), "R1": ranked.cmc(1), "valid": int(ranked.valid.sum())}


def work_of_full_sort(meter: Meter, **size: int) -> dict[str, float]:
    """The whole matrix, sorted."""
    queries, gallery, query_items, gallery_items = draw(**size)
    few, some, few_items, some_items = warm_up()
    rank(distance_matrix(few, some), few_items, some_items)
    meter.start()
    with meter.span("total"):
        with meter.span("distances"):
            distances = distance_matrix(queries, gallery)
        with meter.span("ranking"):
            return rank(distances, query_items, gallery_items)


def warm_up() -> tuple[Tensor, Tensor, Items, Items]:
    """A split so small that it only starts threads and loads libraries."""
    return draw(queries=64, gallery=256, identities=8, distractors=8, cameras=4, dimensions=64)


def draw(
    *, queries: int, gallery: int, identities: int, distractors: int, cameras: int, dimensions: int
) -> tuple[Tensor, Tensor, Items, Items]:
    """Unit features (q, D), (g, D) and items, distributed like the real sets; always the same for the same sizes.

    An identity is seen by four to six cameras, some have many pictures and some few, and a query is one picture of an
    identity under a camera. Features lie around a point of their identity, so that mAP is neither 0 nor 100.
    """
    rng = np.random.default_rng(0)
    weights = rng.gamma(2.0, size=identities)
    identity_of = np.arange(identities).repeat(
        rng.multinomial(gallery - distractors - identities, weights / weights.sum()) + 1
    )
    gallery_ids = rng.permutation(np.concatenate([identity_of, np.full(distractors, -1)]))
    camera_order = rng.permuted(np.tile(np.arange(cameras), (identities, 1)), axis=1)
    how_many = rng.integers(min(4, cameras), min(6, cameras), size=identities, endpoint=True)
    gallery_cameras = camera_order[gallery_ids, rng.integers(0, how_many[gallery_ids])]

    pairs = np.unique(np.stack([gallery_ids, gallery_cameras])[:, gallery_ids >= 0], axis=1)
    chosen = pairs[:, rng.choice(pairs.shape[1], queries, replace=queries > pairs.shape[1])]
    query_items, gallery_items = Items(chosen[0], chosen[1]), Items(gallery_ids, gallery_cameras)

    points = 0.35 * rng.standard_normal((identities + 1, dimensions), dtype=np.float32)
    points[-1] = 0  # distractors have nothing in common
    features = []
    for ids in (chosen[0], gallery_ids):
        noisy = rng.standard_normal((ids.size, dimensions), dtype=np.float32)
        noisy += points[ids]
        features.append(F.normalize(torch.from_numpy(noisy)))
    return features[0], features[1], query_items, gallery_items


# --- What ranking is compared with: the usual pipeline, which holds the whole distance matrix and sorts all of it ---

# Distance (float32), its place in the order (int64), the identity in that place (int64), match (bool): all at once.
BYTES_A_PAIR = 4 + 8 + 8 + 1


def distance_matrix(queries: Tensor, gallery: Tensor) -> np.ndarray:
    """Minus the cosine similarities of unit vectors. queries: (q, D), gallery: (g, D), float32 on a CPU; (q, g)."""
    return (queries @ gallery.T).neg_().numpy()


def rank(distances: np.ndarray, query_items: Items, gallery_items: Items) -> dict[str, float]:
    """mAP and R1 in percent, and the number of valid queries. distances: (q, g)."""
    order = np.argsort(distances, axis=1)
    matches = gallery_items.identities[order] == query_items.identities[:, None]
    precisions, first = [], []
    for query, (identity, camera) in enumerate(zip(query_items.identities, query_items.cameras, strict=True)):
        ordered = order[query]
        removed = (gallery_items.identities[ordered] == identity) & (gallery_items.cameras[ordered] == camera)
        hits = matches[query][~removed]
        if not hits.any():
            continue
        so_far = hits.cumsum()
        precisions.append(np.sum(so_far / np.arange(1, hits.size + 1) * hits) / so_far[-1])
        first.append(hits[0])
    return {"mAP": 100 * float(np.mean(precisions)), "R1": 100 * float(np.mean(first)), "valid": len(first)}
