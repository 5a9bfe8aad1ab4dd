"""Ranks of the right items by counting what stands before them: no row of distances is sorted.

A rank is one more than the items that are nearer, plus those equally near that come earlier in the gallery. Removed
items count nowhere, and infinite distances are distances like others. There are two ways to count, with the same
results: count_in_passes and count_by_search.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

# Up to so many right items, passes over the distances are the quicker way on a CPU (measured).
FEW = 256
# What count_by_search needs a query for each gallery item and, besides, for each right item (measured).
ITEM_BYTES, RIGHT_BYTES = 36, 160

# A query's right items and the removed ones: positions in the gallery, ascending.
Found = tuple[np.ndarray, np.ndarray]
# Its right items' ranks from 1, ascending, and how many of these items share their distance with a wrong one.
Ranks = tuple[np.ndarray, int]


def count_ranks(distances: Tensor, found: Sequence[Found]) -> list[Ranks]:
    """Ranks for distances (c, g) float32 or float64 and the c queries' right and removed items.

    On a GPU, and where right items are many, the items are searched among the right ones, O(g log m) a query; else a
    CPU counts faster in one pass for each right item, O(g m).
    """
    many = [not distances.is_cpu or right.size > FEW for right, _ in found]
    ranks: list[Ranks] = [(np.empty(0, np.int64), 0)] * len(found)
    for query, (right, removed) in enumerate(found):
        if not many[query]:
            ranks[query] = count_in_passes(distances[query].numpy(), right, removed)
    if any(many):
        queries = np.flatnonzero(many)
        chosen = distances if all(many) else distances[torch.from_numpy(queries).to(distances.device)]
        counted = count_by_search(chosen, [found[query] for query in queries])
        for query, result in zip(queries, counted, strict=True):
            ranks[query] = result
    return ranks


def count_in_passes(distances: np.ndarray, right: np.ndarray, removed: np.ndarray) -> Ranks:
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


def count_by_search(distances: Tensor, found: Sequence[Found]) -> list[Ranks]:
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
