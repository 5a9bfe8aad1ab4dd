"""Workload of a run: steps of an epoch and pictures of an evaluation, from the data at hand or from official counts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np

from benchmark.config.datasets import DATASETS
from benchmark.config.resolve import Config
from benchmark.config.settings import DataSettings
from benchmark.data.fgvc import FGVCDataset
from benchmark.data.reid import ReIDDataset
from benchmark.data.samplers import IdentityBatches, ShuffledBatches
from dcal.settings import GLCASettings, PWCASettings

AT_HAND, OFFICIAL = "data at hand", "official counts"


@dataclass(frozen=True)
class DatasetCounts:
    """Counts of a dataset as a run reads it.

    classes: of the classifier.
    train: training pictures.
    steps: of an epoch; of the first one if epochs differ.
    test: pictures of an evaluation.
    queries, gallery, identities, cameras: of the ranking; 0 without one.
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

    def is_complete(self, other: DatasetCounts) -> bool:
        """Whether there are as many classes and pictures as in ``other``, the official counts."""
        return (self.classes, self.train, self.test) == (other.classes, other.train, other.test)


def counts_key(config: Config) -> str:
    """Key of everything that determines the counts."""
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


def count_dataset(config: Config, dataset: FGVCDataset | ReIDDataset) -> DatasetCounts:
    """Count the data at hand, with the steps of the run's own sampler. Raises DataError as the sampler."""
    common = {
        "classes": len(dataset.classes),
        "train": len(dataset.train),
        "steps": _steps(config, dataset.train.labels),
        "source": AT_HAND,
    }
    if isinstance(dataset, FGVCDataset):
        return DatasetCounts(**common, test=len(dataset.test))
    return DatasetCounts(**common, **_ranking_counts(dataset.counts))


def official_counts(config: Config) -> DatasetCounts:
    """Counts of the complete dataset, without reading it.

    Assumes the same number of pictures for every class or identity: for class_limit and for the P×K batches.
    Raises DataError as the sampler.
    """
    official, data = DATASETS[config.cell.dataset].official, config.settings.data
    if config.cell.task == "fgvc":
        classes = min(data.class_limit or official["classes"], official["classes"])
        train, test = (official[name] * classes // official["classes"] for name in ("train", "test"))
        return DatasetCounts(classes, train, _steps(config, np.arange(train) % classes), test, OFFICIAL)
    classes, train = (
        official["train_ids"],
        official["train"] + (official.get("val", 0) if data.merge_val else 0),
    )
    steps = _steps(config, np.arange(train) % classes)
    return DatasetCounts(
        classes=classes, train=train, steps=steps, source=OFFICIAL, **_ranking_counts(official)
    )


def _ranking_counts(counts: Mapping[str, int]) -> dict[str, int]:
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


# --- What determines the time of a training step, except the machine ---


@dataclass(frozen=True)
class StepWorkload:
    """Everything that determines the time of a training step and of an evaluation batch on a machine.

    Seeds, learning rates, picture contents and weights do not.

    crop: height and width of the input.
    classes: of the classifier.
    erase: probability that a picture has a box that is filled on the device.
    tuning: the Tuning as text, as in TUNE.
    glca, pwca: settings of the method, None for a run without.
    """

    tag: str
    task: Literal["fgvc", "reid"]
    crop: tuple[int, int]
    batch_size: int
    classes: int
    optimizer: str
    precision: str
    drop_path: float
    erase: float
    tuning: str
    glca: dict[str, object] | None
    pwca: dict[str, object] | None

    @property
    def key(self) -> str:
        """Digest of all fields, the same in every process."""
        return digest(asdict(self))

    def share(self, ranks: int) -> StepWorkload:
        """The workload of one of several ranks."""
        return replace(self, batch_size=self.batch_size // ranks)

    def __str__(self) -> str:
        branches = (
            _branch_text("GLCA", self.glca, GLCASettings()),
            _branch_text("PWCA", self.pwca, PWCASettings()),
        )
        method = " + ".join(filter(None, branches)) or "baseline"
        height, width = self.crop
        tuned = f", {self.tuning}" if self.tuning else ""
        return (
            f"{self.tag}, {height}×{width}, batch {self.batch_size}, {self.classes} classes, {method}{tuned}"
        )


def _branch_text(name: str, settings: dict[str, object] | None, defaults: GLCASettings | PWCASettings) -> str:
    """Name of a branch and its settings that differ from the defaults: ``GLCA ratio=0.3``; "" for no branch."""
    if settings is None:
        return ""
    changes = (f" {key}={value}" for key, value in settings.items() if value != getattr(defaults, key))
    return name + "".join(changes)


def step_workload(config: Config, classes: int, tuning: str = "") -> StepWorkload:
    """The workload of a run. classes: of its data. tuning: its Tuning as text."""
    settings = config.settings
    return StepWorkload(
        tag=config.tag,
        task=config.cell.task,
        crop=settings.data.crop,
        batch_size=settings.train.batch_size,
        classes=classes,
        optimizer=settings.train.optimizer,
        precision=settings.train.precision,
        drop_path=settings.model.drop_path,
        erase=settings.data.erase,
        tuning=tuning,
        glca=asdict(config.glca) if config.glca else None,
        pwca=asdict(config.pwca) if config.pwca else None,
    )


def reading_key(dataset: str, data: DataSettings, *, in_process: bool) -> str:
    """Key of everything that determines the time to read a picture. in_process: whether the run decodes it itself."""
    return digest({"dataset": dataset, "data": asdict(data), "in_process": in_process})


def digest(value: object) -> str:
    """Digest of a JSON value, 16 hexadecimal digits."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
