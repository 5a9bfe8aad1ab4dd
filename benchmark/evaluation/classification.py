"""Classification on the whole test split: predictions of every branch, exact accuracy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmark.data.fgvc import FGVCDataset
from benchmark.data.loader import ImageBatch, Prepare
from dcal.model import DCAL, class_scores

# Gathers this rank's rows (n, …) and those of the other ranks, in the split's order.
Gather = Callable[[Tensor], Tensor]


def local_rows(rows: Tensor) -> Tensor:
    """Return the rows as they are: the gathering of a run with one rank."""
    return rows


def digest(rows: Tensor) -> str:
    """sha256 of the bytes of ``rows`` (n, …) as float32. Equal digests mean outputs that are equal bit for bit."""
    return hashlib.sha256(rows.detach().float().cpu().contiguous().numpy()).hexdigest()


@dataclass(frozen=True)
class ClassificationResult:
    """Predictions for every test image, in the split's order.

    Branches: ``both`` (the paper's prediction; SA alone for a baseline), and with GLCA ``sa`` and ``glca``.

    labels: (n,) true class indices.
    predicted: branch → (n,) class indices.
    probability: branch → (n,) float32, probability of the true class; of ``both`` the mean of SA's and GLCA's.
    top5: (n,) bool, whether the label is among the five best classes of ``both``.
    classes: names of the classes, by index.
    digests: ``sa``, and with GLCA ``glca`` → ``digest`` of the branch's logits (n, classes).
    """

    labels: np.ndarray
    predicted: dict[str, np.ndarray]
    probability: dict[str, np.ndarray]
    top5: np.ndarray
    classes: tuple[str, ...]
    digests: dict[str, str]

    def metrics(self) -> dict[str, float]:
        """Accuracies in percent: top1, top5, and with GLCA sa_top1 and glca_top1."""
        branches = {"top1": "both", "sa_top1": "sa", "glca_top1": "glca"}
        values = {
            name: accuracy(self.predicted[branch] == self.labels)
            for name, branch in branches.items()
            if branch in self.predicted
        }
        return values | {"top5": accuracy(self.top5)}

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that predictions.npz stores."""
        arrays = {
            "classes": np.array(self.classes, dtype=str),
            "labels": self.labels.astype(np.int32),
            "top5_correct": self.top5,
        }
        for branch, classes in self.predicted.items():
            arrays[f"{branch}_predicted"] = classes.astype(np.int32)
            arrays[f"{branch}_correct"] = classes == self.labels
            arrays[f"{branch}_probability"] = self.probability[branch].astype(np.float32)
        return arrays

    def notes(self) -> dict[str, int]:
        """Return no notes: every test image counts."""
        return {}


@contextmanager
def evaluation_mode(model: DCAL) -> Iterator[None]:
    """Context in which the model is in eval mode and computes no gradients. Restores the model's mode at the end."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def predict(
    model: DCAL,
    dataset: FGVCDataset,
    batches: Iterable[ImageBatch],
    prepare: Prepare,
    gather: Gather = local_rows,
) -> ClassificationResult:
    """Predict every image of the batches once, whatever the batch size.

    prepare: turns uint8 images (B, h, w, 3) into the model's normalised input on its device.
    gather: joins this rank's rows with those of the other ranks.
    """
    labels, top5 = [], []
    predicted: dict[str, list[Tensor]] = {}
    probability: dict[str, list[Tensor]] = {}
    logits: dict[str, list[Tensor]] = {}
    with evaluation_mode(model):
        for batch in batches:
            outputs = model(prepare(batch.images))
            for name, branch in outputs.branches().items():
                logits.setdefault(name, []).append(branch.logits.float().cpu())
            scores = class_scores(outputs)
            if len(scores) == 2:  # without GLCA, "both" equals "sa"
                del scores["sa"]
            for branch, score in scores.items():
                score = score.cpu()
                predicted.setdefault(branch, []).append(score.argmax(dim=1))
                # "both" is the sum of two distributions: divide by its sum to get a distribution.
                distribution = score / score.sum(dim=1, keepdim=True)
                probability.setdefault(branch, []).append(distribution.gather(1, batch.labels[:, None])[:, 0])
            best = scores["both"].topk(min(5, scores["both"].shape[1]), dim=1).indices.cpu()
            top5.append((best == batch.labels[:, None]).any(dim=1))
            labels.append(batch.labels)
    return ClassificationResult(
        gather(torch.cat(labels)).numpy(),
        {branch: gather(torch.cat(parts)).numpy() for branch, parts in predicted.items()},
        {branch: gather(torch.cat(parts)).numpy() for branch, parts in probability.items()},
        gather(torch.cat(top5)).numpy(),
        dataset.classes,
        {name: digest(gather(torch.cat(parts))) for name, parts in logits.items()},
    )


# --- Classification accuracy from per-image predictions ---


def accuracy(correct: np.ndarray) -> float:
    """Share of True over the whole test set, in percent, from exact counts. correct: (n,) bool, not empty."""
    if correct.size == 0:
        raise ValueError("accuracy of no images is undefined")
    return 100.0 * int(np.count_nonzero(correct)) / correct.size
