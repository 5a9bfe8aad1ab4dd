"""Ranks of the relevant gallery items, found by counting the items before them, without sorting the distances.

The rank of an item is one plus the number of nearer items, plus the number of equally near items earlier in the
gallery. Removed items are not counted. Infinite distances are allowed. The two methods, count_in_passes and
count_by_search, give the same results.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

# Up to this many relevant items, passes over the distances are faster on a CPU (measured).
MAX_PASSES = 256
# Memory of count_by_search for one query: bytes per gallery item, plus bytes per relevant item (measured).
ITEM_BYTES, RELEVANT_BYTES = 36, 160

# A query's relevant items and its removed items: positions in the gallery, ascending.
QueryMatches = tuple[np.ndarray, np.ndarray]
# Ranks of the relevant items, from 1, ascending; and how many of them have the same distance as an irrelevant item.
Ranks = tuple[np.ndarray, int]


def count_ranks(distances: Tensor, matches: Sequence[QueryMatches]) -> list[Ranks]:
    """Count the ranks of c queries.

    On a GPU, and for more than MAX_PASSES relevant items m, each item is searched among the relevant ones, O(g log m)
    a query. Otherwise one pass for each relevant item, O(g m), is faster.

    distances: (c, g) float32 or float64.
    matches: relevant and removed items of each query.
    """
    use_search = [not distances.is_cpu or relevant.size > MAX_PASSES for relevant, _ in matches]
    ranks: list[Ranks] = [(np.empty(0, np.int64), 0)] * len(matches)
    for query, (relevant, removed) in enumerate(matches):
        if not use_search[query]:
            ranks[query] = count_in_passes(distances[query].numpy(), relevant, removed)
    if any(use_search):
        queries = np.flatnonzero(use_search)
        rows = distances if all(use_search) else distances[torch.from_numpy(queries).to(distances.device)]
        results = count_by_search(rows, [matches[query] for query in queries])
        for query, result in zip(queries, results, strict=True):
            ranks[query] = result
    return ranks


def count_in_passes(distances: np.ndarray, relevant: np.ndarray, removed: np.ndarray) -> Ranks:
    """Count the ranks of one query. distances: (g,); relevant, removed: positions in the gallery, ascending."""
    values = distances[relevant]
    if removed.size:
        distances = distances.copy()
        distances[removed] = np.nan  # NaN is neither below nor equal to any distance, infinity included
    mask = np.empty(distances.shape, bool)
    preceding = np.empty(relevant.size, np.int64)
    equal = np.empty(relevant.size, np.int64)
    for k, (position, value) in enumerate(zip(relevant, values, strict=True)):
        preceding[k] = np.count_nonzero(np.less(distances, value, out=mask))
        equal[k] = np.count_nonzero(np.less_equal(distances, value, out=mask)) - preceding[k]
        if equal[k] > 1:
            preceding[k] += np.count_nonzero(distances[:position] == value)
    equal_and_relevant = np.count_nonzero(values[:, None] == values, axis=1)
    return np.sort(preceding) + 1, int(np.count_nonzero(equal > equal_and_relevant))


def count_by_search(distances: Tensor, matches: Sequence[QueryMatches]) -> list[Ranks]:
    """Count the ranks of c queries at once. distances: (c, g), on any device.

    The relevant items are sorted by distance, then by position. A binary search finds the place of every gallery item
    among them. A histogram of these places gives the number of items before each relevant item.
    """
    count, size = distances.shape
    max_relevant = max(relevant.size for relevant, _ in matches)
    if max_relevant == 0:
        return [(np.empty(0, np.int64), 0)] * count
    # Shorter rows are padded with items at infinite distance and after the last position, so they rank last.
    padded = np.full((count, max_relevant), size)
    for row, (relevant, _) in zip(padded, matches, strict=True):
        row[: relevant.size] = relevant
    removed_rows = np.repeat(np.arange(count), [removed.size for _, removed in matches])
    removed_items = np.concatenate([removed for _, removed in matches])
    device = distances.device
    removed = torch.from_numpy(removed_rows).to(device), torch.from_numpy(removed_items).to(device)
    relevant_counts = torch.tensor([[relevant.size] for relevant, _ in matches], device=device)
    positions = torch.from_numpy(padded).to(device)

    values = distances.gather(1, positions.clamp(max=size - 1)).masked_fill_(positions == size, torch.inf)
    values += 0.0  # −0 becomes 0: both are equal, but a sort by bits would order them
    values, order = values.sort(dim=1, stable=True)
    positions = positions.gather(1, order)

    # Number of relevant items that are nearer than an item, and number that are not further away.
    nearer = torch.searchsorted(values, distances, out_int32=True)
    no_further = torch.searchsorted(values, distances, right=True, out_int32=True)
    relevant_nearer = torch.searchsorted(values, values)
    relevant_no_further = torch.searchsorted(values, values, right=True)
    # The sum of both numbers orders items by distance. It is equal only for equal distances, or for items between the
    # same two relevant items. With the position as second key the search is exact for equal distances, too.
    keys = (nearer + no_further).long().mul_(size + 1).add_(torch.arange(size, device=device))
    relevant_keys = (relevant_nearer + relevant_no_further) * (size + 1) + positions
    not_behind = torch.searchsorted(relevant_keys, keys, right=True, out_int32=True)
    del keys

    equal = _items_up_to(nearer, removed, max_relevant) - _items_up_to(no_further, removed, max_relevant)
    equal_and_relevant = relevant_no_further.clamp(max=relevant_counts) - relevant_nearer
    tied = (equal > equal_and_relevant) & (torch.arange(max_relevant, device=device) < relevant_counts)
    ranks = (_items_up_to(not_behind, removed, max_relevant) + 1).cpu().numpy()
    return [
        (ranks[query, : relevant.size], int(ties))
        for query, ((relevant, _), ties) in enumerate(zip(matches, tied.sum(dim=1).tolist(), strict=True))
    ]


def _items_up_to(places: Tensor, removed: tuple[Tensor, Tensor], max_relevant: int) -> Tensor:
    """For each k below max_relevant, count the items with a place of at most k that are not removed.

    places: (c, g), from 0 to max_relevant. Returns (c, max_relevant) int64.
    """
    count = len(places)
    places = places.long()
    places[removed] = max_relevant
    bins = places.add_(torch.arange(count, device=places.device)[:, None] * (max_relevant + 1)).flatten()
    histogram = torch.bincount(bins, minlength=count * (max_relevant + 1)).view(count, max_relevant + 1)
    return histogram[:, :max_relevant].cumsum(dim=1)
