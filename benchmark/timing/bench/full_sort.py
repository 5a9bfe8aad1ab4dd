"""What ranking is compared with: the usual pipeline, which holds the whole distance matrix and sorts all of it.

Written for this comparison in the form that published re-identification code has: np.argsort over the matrix, a
matrix of matches, and per query the removal of same-camera items and a cumulative sum. It is as exact as
benchmark.evaluation.ranking but for ties, whose order np.argsort leaves open.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from benchmark.evaluation.ranking import Items

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
