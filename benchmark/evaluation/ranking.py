"""Ranking of a gallery for every query (re-identification): exact average precision and first hit, without sorting.

For each query, gallery items with its identity and its camera are removed. The others are ordered by distance, items at
equal distance by gallery order. Relevant items are those with the query's identity. Average precision and CMC depend
only on the ranks of the relevant items, which rank_counts.py counts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.errors import DataError
from benchmark.evaluation.rank_counts import ITEM_BYTES, RELEVANT_BYTES, QueryMatches, count_ranks

MEMORY_BYTES = 2**28


@dataclass(frozen=True)
class Items:
    """Identity and camera of each picture: (n,) integer arrays."""

    identities: np.ndarray
    cameras: np.ndarray


@dataclass(frozen=True)
class Ranking:
    """Result of a ranking for each query, in the queries' order.

    ap: (q,) float64, average precision without interpolation; 0 for a query without relevant items.
    first_hit: (q,) int64, rank, from 1, of the first relevant item; 0 for a query without relevant items.
    ties: (q,) int64, number of relevant items at the same distance as an irrelevant one: gallery order decides.
    """

    ap: np.ndarray
    first_hit: np.ndarray
    ties: np.ndarray

    @property
    def valid(self) -> np.ndarray:
        """(q,) bool: the query has a relevant item. Only these queries count in the means."""
        return self.first_hit > 0

    def mean_ap(self) -> float:
        """Mean average precision over the valid queries, in percent. Raises DataError if there is none."""
        return 100.0 * float(np.mean(self.ap[self._some_valid()]))

    def cmc(self, k: int) -> float:
        """Share of the valid queries with a relevant item among the first k, in percent.

        With fewer than k items, all of them count: the curve keeps its last value.
        Raises ValueError for k < 1 and DataError if no query is valid.
        """
        if k < 1:
            raise ValueError(f"cmc({k}): ranks start from 1")
        first = self.first_hit[self._some_valid()]
        return 100.0 * int(np.count_nonzero(first <= k)) / first.size

    def _some_valid(self) -> np.ndarray:
        if not self.valid.any():
            raise DataError(
                f"none of the {self.valid.size} queries has its identity under another camera in the gallery, so "
                "there is nothing to find: check the identities and cameras read from the file names"
            )
        return self.valid


def rank_features(
    queries: Tensor,
    gallery: Tensor,
    query_items: Items,
    gallery_items: Items,
    *,
    memory_bytes: int = MEMORY_BYTES,
) -> Ranking:
    """Rank by minus the cosine similarity, which orders unit vectors like their Euclidean distance.

    Computes on the features' device, in float32 even under autocast. Features are L2-normalised here.

    queries: (q, D) features.
    gallery: (g, D) features.
    memory_bytes: limit of the working memory, features not included. At least one query is ranked at a time.

    Raises DataError for no queries, an empty gallery, different D, a number of items other than that of the features,
    and features that are not finite.
    """
    _check_items(query_items, gallery_items)
    queries, gallery = queries.detach().float(), gallery.detach().float()
    for name, features, items in (("query", queries, query_items), ("gallery", gallery, gallery_items)):
        if features.ndim != 2 or len(features) != len(items.identities):
            raise DataError(
                f"{name} features of shape {tuple(features.shape)} for {len(items.identities)} identities: expected "
                "a row of features for each picture, in the same order"
            )
        if bad := int((~torch.isfinite(torch.linalg.vector_norm(features, dim=1))).sum()):
            raise DataError(
                f"{bad} of {len(features)} {name} pictures have features that are NaN, infinite or too large "
                "for float32: expected finite ones; the model has diverged, or its precision overflows (try "
                "train.precision=float32)"
            )
    if queries.shape[1] != gallery.shape[1]:
        raise DataError(
            f"query features have {queries.shape[1]} dimensions and gallery features {gallery.shape[1]}: extract "
            "both with the same model and the same branch"
        )
    blocks = distance_blocks(queries, gallery, memory_bytes=memory_bytes // 2)
    return _rank(blocks, query_items, gallery_items, memory_bytes // 2)


def distance_blocks(queries: Tensor, gallery: Tensor, *, memory_bytes: int) -> Iterator[Tensor]:
    """Yield minus the cosine similarities of consecutive queries: blocks (c, g) of at most memory_bytes, c ≥ 1.

    queries: (q, D), gallery: (g, D), float32. The next block overwrites the memory of the last one.
    """
    rows = min(_rows(memory_bytes, 4 * len(gallery)), len(queries))
    # The products are divided by the gallery's lengths: a normalised gallery would be a second copy in memory.
    scale = -1 / torch.linalg.vector_norm(gallery, dim=1).clamp_min(1e-12)
    distances = gallery.new_empty((rows, len(gallery)))
    for part in queries.split(rows):
        block = distances[: len(part)]
        with torch.no_grad(), torch.autocast(part.device.type, enabled=False), _exact_products():
            torch.mm(F.normalize(part), gallery.T, out=block)
            block.mul_(scale)
        yield block


def rank_distances(blocks: Iterable[Tensor], query_items: Items, gallery_items: Items) -> Ranking:
    """Rank by given distances; a small distance is near.

    blocks: (c, g) distances of consecutive queries, together (q, g), of any floating type, on a CPU or a GPU. They
        are not changed. Distances may be infinite; equal infinities are ties.

    Raises DataError for no queries, an empty gallery, blocks of other sizes, and NaN.
    """
    return _rank(blocks, query_items, gallery_items, MEMORY_BYTES // 2)


def _rank(blocks: Iterable[Tensor], query_items: Items, gallery_items: Items, memory_bytes: int) -> Ranking:
    """Rank by given distances, with at most memory_bytes for the counting."""
    _check_items(query_items, gallery_items)
    candidates = _Candidates(query_items, gallery_items)
    count, size = len(query_items.identities), len(gallery_items.identities)
    ap, first_hit, ties = np.zeros(count), np.zeros(count, np.int64), np.zeros(count, np.int64)
    rows = _rows(memory_bytes, ITEM_BYTES * size + RELEVANT_BYTES * candidates.max_count)
    ranked = 0
    for block in blocks:
        _check_block(block, rows, ranked, count, size)
        for part in block.detach().split(rows):
            if part.dtype not in (torch.float32, torch.float64):
                part = part.float()  # exact and in the same order, and numpy has this type
            matches = [candidates.matches(query) for query in range(ranked, ranked + len(part))]
            for query, (ranks, tie_count) in enumerate(count_ranks(part, matches), start=ranked):
                if ranks.size:
                    ap[query] = np.mean(np.arange(1, ranks.size + 1) / ranks)
                    first_hit[query] = ranks[0]
                    ties[query] = tie_count
            ranked += len(part)
    if ranked != count:
        raise DataError(
            f"distances of {ranked} queries for {count} query items: expected a row of distances for each of them"
        )
    return Ranking(ap, first_hit, ties)


class _Candidates:
    """Gallery items grouped by identity, so that a query need not be compared with every item."""

    def __init__(self, query_items: Items, gallery_items: Items) -> None:
        self._query_cameras, self._cameras = query_items.cameras, gallery_items.cameras
        self._order = np.argsort(gallery_items.identities, kind="stable")  # gallery order within an identity
        ascending = gallery_items.identities[self._order]
        self._start = np.searchsorted(ascending, query_items.identities, side="left")
        self._stop = np.searchsorted(ascending, query_items.identities, side="right")
        self.max_count = int(
            (self._stop - self._start).max()
        )  # largest number of items of one query's identity

    def matches(self, query: int) -> QueryMatches:
        """Positions in the gallery, ascending, of the query's relevant items and of the removed ones."""
        same = self._order[self._start[query] : self._stop[query]]
        removed = self._cameras[same] == self._query_cameras[query]
        return same[~removed], same[removed]


def _check_items(query_items: Items, gallery_items: Items) -> None:
    for name, items in (("query", query_items), ("gallery", gallery_items)):
        arrays = items.identities, items.cameras
        if any(array.ndim != 1 or not np.issubdtype(array.dtype, np.integer) for array in arrays):
            raise DataError(
                f"{name} identities are {arrays[0].dtype} of shape {arrays[0].shape}, cameras {arrays[1].dtype} of "
                f"shape {arrays[1].shape}: expected an integer for each picture"
            )
        if len(items.identities) != len(items.cameras):
            raise DataError(
                f"{len(items.identities)} {name} identities and {len(items.cameras)} cameras: expected one of each "
                "for every picture"
            )
    if len(query_items.identities) == 0:
        raise DataError(
            "no queries to rank for: expected at least one; check the dataset's query folder or list"
        )
    if len(gallery_items.identities) == 0:
        raise DataError(
            "the gallery is empty: expected at least one item; check the dataset's gallery folder or list"
        )


def _check_block(block: Tensor, rows: int, ranked: int, count: int, size: int) -> None:
    """Raise DataError for a block of wrong shape or type, or with NaN. rows: number of rows to count NaN in at once."""
    if block.ndim != 2 or block.shape[1] != size or ranked + len(block) > count:
        raise DataError(
            f"distances of shape {tuple(block.shape)} after those of {ranked} queries: expected columns for the "
            f"{size} gallery items and rows for {count} queries in all"
        )
    if not block.is_floating_point():
        raise DataError(f"distances are {block.dtype}: expected a floating type")
    # The maximum of values with NaN is NaN. It needs no memory, unlike isnan of the whole block.
    if len(block) and torch.isnan(block.amax(dim=1)).any():
        bad = sum(int(torch.isnan(part).sum()) for part in block.split(rows))
        raise DataError(
            f"{bad} of {block.numel()} distances of queries {ranked} to {ranked + len(block) - 1} are NaN: expected "
            "numbers; check the features they were computed from"
        )


@contextlib.contextmanager
def _exact_products() -> Iterator[None]:
    """Context of matrix products in full float32, also where training allowed TF32 or bfloat16."""
    backends = torch.backends.cuda.matmul, torch.backends.mkldnn.matmul
    allowed = [backend.fp32_precision for backend in backends]
    try:
        for backend in backends:
            backend.fp32_precision = "ieee"
        yield
    finally:
        for backend, precision in zip(backends, allowed, strict=True):
            backend.fp32_precision = precision


def _rows(memory_bytes: int, bytes_a_row: int) -> int:
    return max(1, memory_bytes // bytes_a_row)
