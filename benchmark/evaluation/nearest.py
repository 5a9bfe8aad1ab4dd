"""The head of every query's ranked list: which gallery pictures come first (re-identification).

The same order as in ranking.py: pictures with the query's identity and camera are removed, the rest is ordered by
distance, equal distances by gallery order.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from benchmark.evaluation.ranking import MEMORY_BYTES, Items, distance_blocks


def nearest(
    queries: Tensor,
    gallery: Tensor,
    query_items: Items,
    gallery_items: Items,
    count: int,
    *,
    memory_bytes: int = MEMORY_BYTES,
) -> np.ndarray:
    """Places in the gallery of each query's first ``count`` pictures, (q, count) int64; −1 where there are fewer.

    queries: (q, D), gallery: (g, D), as for ``ranking.rank_features``, which checks them.
    memory_bytes: bound of the working memory beside the features; a single query is the least done at once.
    """
    found = np.full((len(queries), count), -1, np.int64)
    queries, gallery = queries.detach().float(), gallery.detach().float()
    identities, cameras = (_on(gallery, items) for items in (gallery_items.identities, gallery_items.cameras))
    own_identities, own_cameras = (
        _on(gallery, items) for items in (query_items.identities, query_items.cameras)
    )
    done = 0
    for block in distance_blocks(queries, gallery, memory_bytes=memory_bytes // 4):
        rows = slice(done, done + len(block))
        removed = (identities == own_identities[rows, None]) & (cameras == own_cameras[rows, None])
        # The block is ours until the next one; a cosine is finite, so infinity stands behind every picture.
        block.masked_fill_(removed, torch.inf)
        last = block.kthvalue(min(count, block.shape[1]), dim=1, keepdim=True).values
        for query, (row, place) in enumerate(zip(block, last, strict=True), start=done):
            # All up to the last distance, ties included: which of those come first, their places say.
            places = torch.nonzero((row <= place) & (row < torch.inf))[:, 0]
            order = row[places].sort(stable=True).indices[:count]
            found[query, : len(order)] = places[order].cpu().numpy()
        done += len(block)
    return found


def _on(like: Tensor, values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(like.device)
