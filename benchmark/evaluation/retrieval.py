"""Retrieval on the whole test split: features of every branch, ranked exactly (Re-ID)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from benchmark.data.loader import Batch, Prepare
from benchmark.data.reid import ReIDDataset
from benchmark.evaluation.classification import Whole, digest, evaluating, own
from benchmark.evaluation.nearest import nearest
from benchmark.evaluation.ranking import Items, Ranking, rank_features
from dcal.model import DCAL
from dcal.prediction import retrieval_features

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
