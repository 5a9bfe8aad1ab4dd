"""How many steps an epoch has, and how many pictures an evaluation: from data at hand or official counts (no torch)."""

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


# --- What the time of a training step depends on, beside the machine ---


@dataclass(frozen=True)
class Shape:
    """Runs of one shape take the same time for a step, and for a batch of an evaluation, on the same machine.

    crop: height and width of the input. classes: of the classifier. erase: probability that a picture has a box to be
    filled on the device. tuning: as TUNE has it. glca, pwca: settings of the method, None where a run is without.
    Seeds, learning rates and what the pictures show are not in it, nor are the weights' values.
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
        """The same for equal shapes, in any process."""
        return digest(asdict(self))

    def share(self, ranks: int) -> Shape:
        """What each of so many ranks computes of a step."""
        return replace(self, batch_size=self.batch_size // ranks)

    def __str__(self) -> str:
        branches = (_text("GLCA", self.glca, GLCASettings()), _text("PWCA", self.pwca, PWCASettings()))
        method = " + ".join(filter(None, branches)) or "baseline"
        height, width = self.crop
        tuned = f", {self.tuning}" if self.tuning else ""
        return (
            f"{self.tag}, {height}×{width}, batch {self.batch_size}, {self.classes} classes, {method}{tuned}"
        )


def _text(name: str, settings: dict[str, object] | None, usual: GLCASettings | PWCASettings) -> str:
    """A branch and what of it differs from FGVC's: ``GLCA ratio=0.3``; "" for none."""
    if settings is None:
        return ""
    differs = (f" {key}={value}" for key, value in settings.items() if value != getattr(usual, key))
    return name + "".join(differs)


def shape_of(config: Config, classes: int, tuning: str = "") -> Shape:
    """The shape of a run whose data have so many classes. tuning: its Tuning as text."""
    settings = config.settings
    return Shape(
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


def pictures_key(dataset: str, data: DataSettings, *, in_process: bool) -> str:
    """Of what a picture's way into a batch depends on. in_process: decoded by the run itself, not by a worker."""
    return digest({"dataset": dataset, "data": asdict(data), "in_process": in_process})


def digest(value: object) -> str:
    """16 hexadecimal digits of a JSON value."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
