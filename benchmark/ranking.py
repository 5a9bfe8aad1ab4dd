"""Ranking a gallery for every query (re-identification): average precision and first hit, exact, without sorting.

Per query: items with its identity and its camera are removed; the rest is ordered by distance, equal distances by
gallery order; the right items are those of its identity. Neither average precision nor CMC looks at anything but
the ranks of the right items, and such a rank is counted: one more than the items that stand before it.
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

# Up to so many right items a query, one pass over the distances for each is the quickest on a CPU (measured).
FEW = 256
# What _count_by_search needs a query for each gallery item and, besides, for each right item (measured).
ITEM_BYTES, RIGHT_BYTES = 36, 112
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

    queries: (q, D), gallery: (g, D); computed on their device, in float32 whatever autocast says. The features are
    L2-normalised ones; whether they are costs nothing to ensure, so others are divided by their length.
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

    queries: (q, D), gallery: (g, D), float32.
    """
    scale = -1 / torch.linalg.vector_norm(gallery, dim=1).clamp_min(1e-12)
    for part in queries.split(_rows(memory_bytes, 4 * len(gallery))):
        with torch.no_grad(), torch.autocast(part.device.type, enabled=False), _exact_products():
            # The gallery's lengths go into the products: normalised features would be a second copy of it.
            distances = (F.normalize(part) @ gallery.T).mul_(scale)
        yield distances


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
            for query, (ranks, tied) in enumerate(_ranks(part, found), start=done):
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


# Per query: its right items' ranks, ascending, and how many of these items are tied with a wrong one.
Ranks = tuple[np.ndarray, int]
Found = list[tuple[np.ndarray, np.ndarray]]


def _ranks(distances: Tensor, found: Found) -> list[Ranks]:
    """Ranks for distances (c, g) float32 or float64 and the c queries' right and removed items.

    On a GPU, and where right items are many, the items are searched among the right ones, O(g log m) a query; else a
    CPU counts faster in one pass for each right item, O(g m).
    """
    many = [distances.is_cuda or right.size > FEW for right, _ in found]
    ranks: list[Ranks] = [(np.empty(0, np.int64), 0)] * len(found)
    for query, (right, removed) in enumerate(found):
        if not many[query]:
            ranks[query] = _count_in_passes(distances[query].numpy(), right, removed)
    if any(many):
        queries = np.flatnonzero(many)
        chosen = distances if all(many) else distances[torch.from_numpy(queries).to(distances.device)]
        counted = _count_by_search(chosen, [found[query] for query in queries])
        for query, result in zip(queries, counted, strict=True):
            ranks[query] = result
    return ranks


def _count_in_passes(distances: np.ndarray, right: np.ndarray, removed: np.ndarray) -> Ranks:
    """One query's ranks. distances: (g,); right, removed: positions, ascending."""
    values = distances[right]
    if removed.size:
        distances = distances.copy()
        distances[removed] = np.nan  # neither below nor equal to anything, infinities included
    passed = np.empty(distances.shape, bool)
    before = np.empty(right.size, np.int64)
    equal = np.empty(right.size, np.int64)
    for k, (position, value) in enumerate(zip(right, values, strict=True)):
        before[k] = np.count_nonzero(np.less(distances, value, out=passed))
        equal[k] = np.count_nonzero(np.less_equal(distances, value, out=passed)) - before[k]
        if equal[k] > 1:
            before[k] += np.count_nonzero(distances[:position] == value)
    equal_and_right = np.count_nonzero(values[:, None] == values, axis=1)
    return np.sort(before) + 1, int(np.count_nonzero(equal > equal_and_right))


def _count_by_search(distances: Tensor, found: Found) -> list[Ranks]:
    """The ranks of c queries at once. distances: (c, g), on any device.

    With the right items in their order, by distance and then by position, a binary search tells for every gallery
    item between which of them it stands; how many items stand before each follows from the histogram.
    """
    count, size = distances.shape
    most = max(right.size for right, _ in found)
    if most == 0:
        return [(np.empty(0, np.int64), 0)] * count
    # Padded to the longest by items at infinity and behind the gallery's last: they stand behind all real ones.
    padded = np.full((count, most), size)
    for row, (right, _) in zip(padded, found, strict=True):
        row[: right.size] = right
    removed_rows = np.repeat(np.arange(count), [removed.size for _, removed in found])
    removed_items = np.concatenate([removed for _, removed in found])
    device = distances.device
    removed = torch.from_numpy(removed_rows).to(device), torch.from_numpy(removed_items).to(device)
    real = torch.tensor([[right.size] for right, _ in found], device=device)
    positions = torch.from_numpy(padded).to(device)

    values = distances.gather(1, positions.clamp(max=size - 1)).masked_fill_(positions == size, torch.inf)
    values += 0.0  # −0 becomes 0: they are equal, and a sort by bits would not know
    values, order = values.sort(dim=1, stable=True)
    positions = positions.gather(1, order)

    # How many right items are nearer than an item, and how many are no further.
    nearer = torch.searchsorted(values, distances, out_int32=True)
    no_further = torch.searchsorted(values, distances, right=True, out_int32=True)
    right_nearer = torch.searchsorted(values, values)
    right_no_further = torch.searchsorted(values, values, right=True)
    # The two numbers' sum orders by distance; it is the same only for the same distance, or between two right items.
    # With the position as the second key the search is exact among equal distances, too.
    keys = (nearer + no_further).long().mul_(size + 1).add_(torch.arange(size, device=device))
    right_keys = (right_nearer + right_no_further) * (size + 1) + positions
    not_behind = torch.searchsorted(right_keys, keys, right=True, out_int32=True)
    del keys

    equal = _items_up_to(nearer, removed, most) - _items_up_to(no_further, removed, most)
    equal_and_right = right_no_further.clamp(max=real) - right_nearer
    tied = (equal > equal_and_right) & (torch.arange(most, device=device) < real)
    ranks = (_items_up_to(not_behind, removed, most) + 1).cpu().numpy()
    return [
        (ranks[query, : right.size], int(ties))
        for query, ((right, _), ties) in enumerate(zip(found, tied.sum(dim=1).tolist(), strict=True))
    ]


def _items_up_to(places: Tensor, removed: tuple[Tensor, Tensor], most: int) -> Tensor:
    """How many of the items that are not removed have a place of at most k, for each k below most.

    places: (c, g), from 0 to most. Result (c, most) int64.
    """
    count = len(places)
    places = places.long()
    places[removed] = most
    bins = places.add_(torch.arange(count, device=places.device)[:, None] * (most + 1)).flatten()
    histogram = torch.bincount(bins, minlength=count * (most + 1)).view(count, most + 1)
    return histogram[:, :most].cumsum(dim=1)


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
    if bad := sum(int(torch.isnan(part).sum()) for part in block.split(rows)):
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
