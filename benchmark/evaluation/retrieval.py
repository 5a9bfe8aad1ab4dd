"""Retrieval on the whole test split: features of every branch, ranked exactly (Re-ID)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from benchmark.data.loader import Batch, Prepare
from benchmark.data.reid import ReIDDataset
from benchmark.evaluation.classification import Whole, digest, evaluating, own
from benchmark.evaluation.ranking import MEMORY_BYTES, Items, Ranking, distance_blocks, rank_features
from dcal.model import DCAL, retrieval_features

RANKS = (1, 5, 10)
NEAREST = 10  # pictures of a ranked list that are kept, to be looked at
# Part of every record: what the numbers mean.
PROTOCOL = (
    "single query; gallery pictures of the query's identity and camera removed; L2-normalised features before the "
    "neck, no flip test, no re-ranking; average precision without interpolation"
)


@dataclass(frozen=True)
class Retrieval:
    """Rankings by branch: ``both`` (the paper's feature; SA alone for a baseline), and with GLCA ``sa`` and ``glca``.

    identities, cameras: (q,), of the queries, in the split's order.
    nearest: finds (q, NEAREST), of ``both``: places in the gallery of each query's first pictures, −1 where there are
        fewer. It takes as long as a ranking, and an evaluation in mid-training asks for metrics alone.
    digests: branch → ``evaluate.digest`` of its features, those of the queries first.
    """

    identities: np.ndarray
    cameras: np.ndarray
    rankings: dict[str, Ranking]
    nearest: Callable[[], np.ndarray]
    digests: dict[str, str]

    def metrics(self) -> dict[str, float]:
        """mAP, R1, R5, R10, and with GLCA each with ``sa_`` and ``glca_`` in front, in percent of valid queries."""
        return {
            ("" if branch == "both" else f"{branch}_") + name: value
            for branch, ranking in self.rankings.items()
            for name, value in _metrics(ranking).items()
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """What predictions.npz holds, per query: identity, camera, the first pictures found, and by branch AP, the rank
        of the first right picture (0: there is none to find) and how many right ones tie with a wrong one.
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
        """Queries that have no right picture from another camera and are left out, and ties, of the paper's feature."""
        both = self.rankings["both"]
        return {
            "queries": len(both.ap),
            "queries_without_match": int((~both.valid).sum()),
            "ties": int(both.ties.sum()),
        }


def _metrics(ranking: Ranking) -> dict[str, float]:
    return {"mAP": ranking.mean_ap(), **{f"R{rank}": ranking.cmc(rank) for rank in RANKS}}


def retrieve(
    model: DCAL, dataset: ReIDDataset, batches: Iterable[Batch], prepare: Prepare, whole: Whole = own
) -> Retrieval:
    """Features of all queries and gallery pictures, then every query ranked.

    batches: of the dataset's test split in order, queries first. prepare: uint8 (B, h, w, 3) to the model's
    normalised input. whole: this rank's features to all ranks', in the split's order; every rank ranks them all.
    Features are L2-normalised float32 and ranked where the model is.
    """
    features: dict[str, list[torch.Tensor]] = {}
    with evaluating(model):
        for batch in batches:
            found = retrieval_features(model(prepare(batch.images)))
            if len(found) == 2:  # SA alone: both is the same
                del found["sa"]
            for branch, feature in found.items():
                features.setdefault(branch, []).append(feature)
        queries = len(dataset.query)
        asked, there = _items(dataset.query), _items(dataset.gallery)
        rankings, digests = {}, {}
        for branch in tuple(features):
            every = whole(torch.cat(features.pop(branch)))
            digests[branch] = digest(every)
            rankings[branch] = rank_features(every[:queries], every[queries:], asked, there)
            if branch == "both":
                first = partial(nearest, every[:queries], every[queries:], asked, there, NEAREST)
    return Retrieval(asked.identities, asked.cameras, rankings, first, digests)


def _items(split: object) -> Items:
    return Items(np.asarray(split.labels), np.asarray(split.cameras))


# --- The head of every query's ranked list: which gallery pictures come first (re-identification) ---


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
