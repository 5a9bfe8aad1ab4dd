"""Ranking a gallery for every query (re-identification): average precision and first hit, exact, without sorting.

Per query: items with its identity and its camera are removed; the rest is ordered by distance, equal distances by
gallery order; the right items are those of its identity. Neither average precision nor CMC looks at anything but
the ranks of the right items, and those are counted, in ranks.py.
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
from benchmark.evaluation.rank_counts import ITEM_BYTES, RIGHT_BYTES, count_ranks

MEMORY_BYTES = 2**28


@dataclass(frozen=True)
class Items:
    """Who is on the pictures, and which camera took them: (n,) integer arrays, one entry a picture."""

    identities: np.ndarray
    cameras: np.ndarray


@dataclass(frozen=True)
class Ranking:
    """Per query, in the queries' order.

    ap: (q,) float64, average precision without interpolation; 0 where nothing can be found.
    first_hit: (q,) int64, the rank, from 1, of the first right item; 0 where nothing can be found.
    ties: (q,) int64, how many right items share their distance with a wrong one, so that gallery order decides.
    """

    ap: np.ndarray
    first_hit: np.ndarray
    ties: np.ndarray

    @property
    def valid(self) -> np.ndarray:
        """(q,) bool: something can be found. Only these queries count in the means."""
        return self.first_hit > 0

    def mean_ap(self) -> float:
        """Mean average precision over the valid queries, in percent. Raises DataError if there is none."""
        return 100.0 * float(np.mean(self.ap[self._some_valid()]))

    def cmc(self, k: int) -> float:
        """Share of the valid queries with a right item among the first k, in percent.

        Where fewer than k items remain, all of them are looked at: the curve keeps its last value.
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
    """Rank by minus the cosine similarity, which orders unit vectors as their Euclidean distance does.

    queries: (q, D), gallery: (g, D); L2-normalised (others are divided by their lengths, which costs next to
    nothing); computed on their device, in float32 whatever autocast says.
    memory_bytes: bound of the working memory beside the features; a single query is the least that is ranked at once.
    Raises DataError for no queries, an empty gallery, different D, numbers of items other than those of the
    features, and features that are not finite.
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
    """Minus the cosine similarities of consecutive queries: blocks (c, g) of at most memory_bytes, c ≥ 1.

    queries: (q, D), gallery: (g, D), float32. A block is overwritten by the next one.
    """
    rows = min(_rows(memory_bytes, 4 * len(gallery)), len(queries))
    # The gallery's lengths go into the products: normalised features would be a second copy of it.
    scale = -1 / torch.linalg.vector_norm(gallery, dim=1).clamp_min(1e-12)
    distances = gallery.new_empty((rows, len(gallery)))
    for part in queries.split(rows):
        block = distances[: len(part)]
        with torch.no_grad(), torch.autocast(part.device.type, enabled=False), _exact_products():
            torch.mm(F.normalize(part), gallery.T, out=block)
            block.mul_(scale)
        yield block


def rank_distances(blocks: Iterable[Tensor], query_items: Items, gallery_items: Items) -> Ranking:
    """Rank by given distances; small is near.

    blocks: (c, g) distances of consecutive queries, together (q, g), of any floating type, on a CPU or a GPU. They
    are left as they are. Infinite distances are legal and order as they compare; equal infinities are ties.
    Raises DataError for no queries, an empty gallery, blocks of other sizes, and NaN.
    """
    return _rank(blocks, query_items, gallery_items, MEMORY_BYTES // 2)


def _rank(blocks: Iterable[Tensor], query_items: Items, gallery_items: Items, memory_bytes: int) -> Ranking:
    """rank_distances, with memory_bytes for the counting alone."""
    _check_items(query_items, gallery_items)
    candidates = _Candidates(query_items, gallery_items)
    count, size = len(query_items.identities), len(gallery_items.identities)
    ap, first_hit, ties = np.zeros(count), np.zeros(count, np.int64), np.zeros(count, np.int64)
    rows = _rows(memory_bytes, ITEM_BYTES * size + RIGHT_BYTES * candidates.most)
    done = 0
    for block in blocks:
        _check_block(block, rows, done, count, size)
        for part in block.detach().split(rows):
            if part.dtype not in (torch.float32, torch.float64):
                part = part.float()  # exact, keeps the order, and numpy knows it
            found = [candidates.of(query) for query in range(done, done + len(part))]
            for query, (ranks, tied) in enumerate(count_ranks(part, found), start=done):
                if ranks.size:
                    ap[query] = np.mean(np.arange(1, ranks.size + 1) / ranks)
                    first_hit[query] = ranks[0]
                    ties[query] = tied
            done += len(part)
    if done != count:
        raise DataError(
            f"distances of {done} queries for {count} query items: expected a row of distances for each of them"
        )
    return Ranking(ap, first_hit, ties)


class _Candidates:
    """The gallery grouped by identity, once, so that no query is compared with every item's identity."""

    def __init__(self, query_items: Items, gallery_items: Items) -> None:
        self._query_cameras, self._cameras = query_items.cameras, gallery_items.cameras
        self._order = np.argsort(gallery_items.identities, kind="stable")  # gallery order within an identity
        ascending = gallery_items.identities[self._order]
        self._start = np.searchsorted(ascending, query_items.identities, side="left")
        self._stop = np.searchsorted(ascending, query_items.identities, side="right")
        self.most = int((self._stop - self._start).max())  # of any query's identity

    def of(self, query: int) -> tuple[np.ndarray, np.ndarray]:
        """Positions in the gallery, ascending, of the query's right items and of those that are removed."""
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


def _check_block(block: Tensor, rows: int, done: int, count: int, size: int) -> None:
    """rows: how many rows to look at together."""
    if block.ndim != 2 or block.shape[1] != size or done + len(block) > count:
        raise DataError(
            f"distances of shape {tuple(block.shape)} after those of {done} queries: expected columns for the "
            f"{size} gallery items and rows for {count} queries in all"
        )
    if not block.is_floating_point():
        raise DataError(f"distances are {block.dtype}: expected a floating type")
    # A maximum passes NaN on, and needs no memory.
    if len(block) and torch.isnan(block.amax(dim=1)).any():
        bad = sum(int(torch.isnan(part).sum()) for part in block.split(rows))
        raise DataError(
            f"{bad} of {block.numel()} distances of queries {done} to {done + len(block) - 1} are NaN: expected "
            "numbers; check the features they were computed from"
        )


@contextlib.contextmanager
def _exact_products() -> Iterator[None]:
    """Matrix products in full float32, whatever training allowed (TF32, bfloat16)."""
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
