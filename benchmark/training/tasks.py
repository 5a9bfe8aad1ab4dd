"""What differs between the two tasks in a run: head, loss of a branch, batches, evaluation, what a result states."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.config.settings import TrainSettings
from benchmark.data.fgvc import FGVCDataset
from benchmark.data.loader import ImageBatch, Prepare
from benchmark.data.reid import ReIDDataset
from benchmark.data.samplers import IdentityBatches, Sampler, ShuffledBatches
from benchmark.evaluation.classification import Gather, local_rows, predict
from benchmark.evaluation.retrieval import PROTOCOL, retrieve
from benchmark.training.device import Compute
from dcal.heads import Branch
from dcal.losses import soft_margin_triplet
from dcal.model import DCAL

Dataset = FGVCDataset | ReIDDataset


class Evaluation(Protocol):
    """What an evaluation found. digests: branch → ``evaluate.digest`` of its logits, or of its features."""

    digests: dict[str, str]

    def metrics(self) -> dict[str, float]:
        """In percent, by the names that records use."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Per test image or query: what predictions.npz holds."""

    def notes(self) -> dict[str, int]:
        """Counts that a reader of the metrics should know; may be empty."""


@dataclass(frozen=True)
class Task:
    """A task.

    head: the model's. metric: the one that "best epoch" is about.
    loss: L_b of one branch, a scalar from its output and (B,) labels; noisy=True where some of these are wrong on
        purpose.
    sampler: the training batches of a run from dataset, settings and seed.
    evaluate: everything the test split says about a model; batches are this rank's of the test split, in order, and
        its last argument puts all ranks' findings together.
    facts: what a record says of the dataset besides its coverage.
    """

    head: str
    metric: str
    loss: Callable[..., Tensor]
    sampler: Callable[[Dataset, TrainSettings, int], Sampler]
    evaluate: Callable[[DCAL, Dataset, Iterable[ImageBatch], Prepare, Gather], Evaluation]
    facts: Callable[[Dataset], dict[str, object]]


def _cross_entropy(branch: Branch, labels: Tensor, *, noisy: bool = False) -> Tensor:
    return F.cross_entropy(branch.logits.float(), labels)


def _cross_entropy_and_triplet(branch: Branch, labels: Tensor, *, noisy: bool = False) -> Tensor:
    return _cross_entropy(branch, labels) + soft_margin_triplet(branch.feature, labels, noisy=noisy)


def _shuffled(dataset: Dataset, train: TrainSettings, seed: int) -> Sampler:
    return ShuffledBatches(len(dataset.train), train.batch_size, seed)


def _by_identity(dataset: Dataset, train: TrainSettings, seed: int) -> Sampler:
    identities = train.batch_size // train.instances
    return IdentityBatches(dataset.train.labels, identities, train.instances, seed)


def _fgvc_facts(dataset: FGVCDataset) -> dict[str, object]:
    return {
        "classes": len(dataset.classes),
        "train_images": len(dataset.train),
        "test_images": len(dataset.test),
    }


def _reid_facts(dataset: ReIDDataset) -> dict[str, object]:
    return {
        "version": dataset.edition,
        "protocol": PROTOCOL,
        "classes": len(dataset.classes),
        "train_images": len(dataset.train),
        "query_images": len(dataset.query),
        "gallery_images": len(dataset.gallery),
        "skipped_images": len(dataset.skipped),
    }


TASKS = {
    "fgvc": Task("linear", "top1", _cross_entropy, _shuffled, predict, _fgvc_facts),
    "reid": Task("bnneck", "mAP", _cross_entropy_and_triplet, _by_identity, retrieve, _reid_facts),
}


def evaluate_model(
    task: Task,
    model: DCAL,
    dataset: Dataset,
    batches: Iterable[ImageBatch],
    prepare: Prepare,
    compute: Compute,
    whole: Gather = local_rows,
) -> Evaluation:
    """Evaluate a model on a test split, in the precision of ``compute``; arguments as ``Task.evaluate``.

    The same code in training, at its end, and for a finished run.
    """
    with torch.autocast(compute.device.type, compute.amp, enabled=compute.amp is not None):
        return task.evaluate(model, dataset, batches, prepare, whole)
