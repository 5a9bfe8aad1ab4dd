"""How many steps an epoch has, and how many pictures an evaluation: from data at hand or official counts (no torch)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmark.config.datasets import DATASETS
from benchmark.config.resolve import Config
from benchmark.data.fgvc import FGVCDataset
from benchmark.data.reid import ReIDDataset
from benchmark.data.samplers import IdentityBatches, ShuffledBatches
from benchmark.records.shapes import digest

AT_HAND, OFFICIAL = "data at hand", "official counts"


@dataclass(frozen=True)
class Counts:
    """Of one dataset as a run reads it.

    classes: of the classifier. train: pictures. steps: of an epoch, of the first one where epochs differ. test:
    pictures of an evaluation. queries, gallery, identities, cameras: what has to be ranked, 0 where nothing has.
    """

    classes: int
    train: int
    steps: int
    test: int
    source: Literal["data at hand", "official counts"]
    queries: int = 0
    gallery: int = 0
    identities: int = 0
    cameras: int = 0

    def is_whole(self, other: Counts) -> bool:
        """Whether these are as many classes and pictures as the official ones."""
        return (self.classes, self.train, self.test) == (other.classes, other.train, other.test)


def counts_key(config: Config) -> str:
    """Of what the counts depend on."""
    data, train = config.settings.data, config.settings.train
    return digest(
        [
            config.cell.dataset,
            data.class_limit,
            data.merge_val,
            data.skip_unparsable,
            train.batch_size,
            train.instances,
        ]
    )


def of_dataset(config: Config, dataset: FGVCDataset | ReIDDataset) -> Counts:
    """Of the data at hand, with the steps that the run's own sampler makes. Raises DataError as the sampler does."""
    whole = {
        "classes": len(dataset.classes),
        "train": len(dataset.train),
        "steps": _steps(config, dataset.train.labels),
        "source": AT_HAND,
    }
    if isinstance(dataset, FGVCDataset):
        return Counts(**whole, test=len(dataset.test))
    return Counts(**whole, **_ranked(dataset.counts))


def official(config: Config) -> Counts:
    """Of the complete dataset, without having it.

    Pictures are taken to be spread evenly over classes and identities: with class_limit the rest is in proportion, and
    P×K batches are those of such a set. Raises DataError as the sampler does.
    """
    known, data = DATASETS[config.cell.dataset].official, config.settings.data
    if config.cell.task == "fgvc":
        classes = min(data.class_limit or known["classes"], known["classes"])
        train, test = (known[name] * classes // known["classes"] for name in ("train", "test"))
        return Counts(classes, train, _steps(config, np.arange(train) % classes), test, OFFICIAL)
    classes, train = known["train_ids"], known["train"] + (known.get("val", 0) if data.merge_val else 0)
    steps = _steps(config, np.arange(train) % classes)
    return Counts(classes=classes, train=train, steps=steps, source=OFFICIAL, **_ranked(known))


def _ranked(counts: Mapping[str, int]) -> dict[str, int]:
    queries, gallery = counts["query"], counts["gallery"]
    return {
        "test": queries + gallery,
        "queries": queries,
        "gallery": gallery,
        "identities": counts["query_ids"],
        "cameras": counts["cameras"],
    }


def _steps(config: Config, labels: Sequence[int]) -> int:
    train = config.settings.train
    if config.cell.task == "fgvc":
        return ShuffledBatches(len(labels), train.batch_size, config.seed).length(0)
    identities = train.batch_size // train.instances
    return IdentityBatches(labels, identities, train.instances, config.seed).length(0)
