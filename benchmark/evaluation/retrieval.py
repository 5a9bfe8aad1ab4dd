"""Retrieval on the whole test split (re-identification): exact ranking by the features of every branch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmark.data.loader import ImageBatch, Prepare
from benchmark.data.reid import ReIDDataset, ReIDSplit
from benchmark.evaluation.classification import Gather, digest, evaluation_mode, local_rows
from benchmark.evaluation.ranking import MEMORY_BYTES, Items, Ranking, distance_blocks, rank_features
from dcal.model import DCAL, retrieval_features

RANKS = (1, 5, 10)
NEAREST = 10  # first pictures of each ranked list, stored for figures
# Evaluation protocol, stored in every record.
PROTOCOL = (
    "single query; gallery pictures of the query's identity and camera removed; L2-normalised features before the "
    "neck, no flip test, no re-ranking; average precision without interpolation"
)


@dataclass(frozen=True)
class RetrievalResult:
    """Ranking of the gallery for all queries, by branch.

    Branches: ``both`` (the paper's feature; SA alone for a baseline), and with GLCA ``sa`` and ``glca``.

    identities, cameras: (q,) of the queries, in the split's order.
    rankings: branch → ranking.
    nearest: computes (q, NEAREST) gallery positions of each query's first pictures by ``both``; −1 where there are
        fewer. A function, because it takes as long as a ranking and evaluations during training need only metrics.
    digests: branch → ``classification.digest`` of its features, queries first.
    """

    identities: np.ndarray
    cameras: np.ndarray
    rankings: dict[str, Ranking]
    nearest: Callable[[], np.ndarray]
    digests: dict[str, str]

    def metrics(self) -> dict[str, float]:
        """mAP, R1, R5 and R10 over the valid queries, in percent; with GLCA also with prefix ``sa_`` and ``glca_``."""
        metrics = {}
        for branch, ranking in self.rankings.items():
            prefix = "" if branch == "both" else f"{branch}_"
            metrics[f"{prefix}mAP"] = ranking.mean_ap()
            metrics |= {f"{prefix}R{rank}": ranking.cmc(rank) for rank in RANKS}
        return metrics

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that predictions.npz stores for each query: identity, camera, the nearest pictures, and by branch
        the AP, the rank of the first relevant picture (0: there is none) and the number of ties (see ``Ranking``).
        """
        arrays = {
            "identities": self.identities.astype(np.int32),
            "cameras": self.cameras.astype(np.int32),
            "both_nearest": self.nearest().astype(np.int32),
        }
        for branch, ranking in self.rankings.items():
            arrays[f"{branch}_ap"] = ranking.ap
            arrays[f"{branch}_first_hit"] = ranking.first_hit.astype(np.int32)
            arrays[f"{branch}_rank1_correct"] = ranking.first_hit == 1
            arrays[f"{branch}_ties"] = ranking.ties.astype(np.int32)
        return arrays

    def notes(self) -> dict[str, int]:
        """Counts for the paper's feature: queries, queries without a relevant picture (not evaluated), and ties."""
        paper_ranking = self.rankings["both"]
        return {
            "queries": len(paper_ranking.ap),
            "queries_without_match": int((~paper_ranking.valid).sum()),
            "ties": int(paper_ranking.ties.sum()),
        }


def retrieve(
    model: DCAL,
    dataset: ReIDDataset,
    batches: Iterable[ImageBatch],
    prepare: Prepare,
    gather: Gather = local_rows,
) -> RetrievalResult:
    """Compute the features of all queries and gallery pictures, then rank the gallery for every query.

    Features are L2-normalised float32. They are ranked on the model's device.

    batches: the dataset's test split in order, queries first.
    prepare: turns uint8 pictures (B, h, w, 3) into the model's normalised input.
    gather: joins this rank's features with those of the other ranks, in the split's order; every rank ranks all.
    """
    features: dict[str, list[torch.Tensor]] = {}
    with evaluation_mode(model):
        for batch in batches:
            branches = retrieval_features(model(prepare(batch.images)))
            if len(branches) == 2:  # without GLCA, "both" equals "sa"
                del branches["sa"]
            for branch, feature in branches.items():
                features.setdefault(branch, []).append(feature)
        queries = len(dataset.query)
        query_items, gallery_items = _items(dataset.query), _items(dataset.gallery)
        rankings, digests = {}, {}
        for branch in tuple(features):
            all_features = gather(torch.cat(features.pop(branch)))
            digests[branch] = digest(all_features)
            inputs = all_features[:queries], all_features[queries:], query_items, gallery_items
            rankings[branch] = rank_features(*inputs)
            if branch == "both":
                nearest_places = partial(nearest, *inputs, NEAREST)
    return RetrievalResult(query_items.identities, query_items.cameras, rankings, nearest_places, digests)


def _items(split: ReIDSplit) -> Items:
    return Items(np.asarray(split.labels), np.asarray(split.cameras))


# --- First gallery pictures of every query ---


def nearest(
    queries: Tensor,
    gallery: Tensor,
    query_items: Items,
    gallery_items: Items,
    count: int,
    *,
    memory_bytes: int = MEMORY_BYTES,
) -> np.ndarray:
    """Gallery positions of each query's first ``count`` pictures, (q, count) int64; −1 where there are fewer.

    queries: (q, D), gallery: (g, D), as for ``ranking.rank_features``, which checks them.
    memory_bytes: limit of the working memory, features not included. At least one query is processed at a time.
    """
    nearest_places = np.full((len(queries), count), -1, np.int64)
    queries, gallery = queries.detach().float(), gallery.detach().float()
    identities, cameras, query_identities, query_cameras = (
        torch.from_numpy(np.ascontiguousarray(values)).to(gallery.device)
        for items in (gallery_items, query_items)
        for values in (items.identities, items.cameras)
    )
    first_query = 0
    for block in distance_blocks(queries, gallery, memory_bytes=memory_bytes // 4):
        rows = slice(first_query, first_query + len(block))
        removed = (identities == query_identities[rows, None]) & (cameras == query_cameras[rows, None])
        # The block may be changed until the next one; cosines are finite, so infinity ranks last.
        block.masked_fill_(removed, torch.inf)
        kth_distances = block.kthvalue(min(count, block.shape[1]), dim=1, keepdim=True).values
        for query, (row, kth_distance) in enumerate(
            zip(block, kth_distances, strict=True), start=first_query
        ):
            # All pictures up to the k-th distance, ties included; ties are ordered by gallery position.
            places = torch.nonzero((row <= kth_distance) & (row < torch.inf))[:, 0]
            order = row[places].sort(stable=True).indices[:count]
            nearest_places[query, : len(order)] = places[order].cpu().numpy()
        first_query += len(block)
    return nearest_places
