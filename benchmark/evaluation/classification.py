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
from benchmark.data.loader import Batch, Prepare
from dcal.model import DCAL, class_scores

# This rank's rows, (n, …), to the rows of all ranks, in the split's order.
Whole = Callable[[Tensor], Tensor]


def own(rows: Tensor) -> Tensor:
    """The rows of the only rank are all rows."""
    return rows


def digest(rows: Tensor) -> str:
    """sha256 of the bytes of ``rows`` (n, …) as float32: two models that agree in it agree in every bit."""
    return hashlib.sha256(rows.detach().float().cpu().contiguous().numpy()).hexdigest()


@dataclass(frozen=True)
class Predictions:
    """Per test image, in the split's order.

    labels: (n,); predicted: branch → (n,) class indices; top5: (n,) bool, the label among both's five best.
    probability: branch → (n,) float32, what the branch gives the true class; of ``both`` the mean of SA's and GLCA's.
    classes: names of the classes, by index.
    Branches: ``both`` (the paper's prediction; SA alone for a baseline), and with GLCA ``sa`` and ``glca``.
    digests: ``sa``, and with GLCA ``glca`` → ``digest`` of the branch's logits (n, classes).
    """

    labels: np.ndarray
    predicted: dict[str, np.ndarray]
    probability: dict[str, np.ndarray]
    top5: np.ndarray
    classes: tuple[str, ...]
    digests: dict[str, str]

    def metrics(self) -> dict[str, float]:
        """top1, top5, and with GLCA sa_top1 and glca_top1, in percent."""
        named = {"top1": "both", "sa_top1": "sa", "glca_top1": "glca"}
        values = {
            name: accuracy(self.predicted[branch] == self.labels)
            for name, branch in named.items()
            if branch in self.predicted
        }
        return values | {"top5": accuracy(self.top5)}

    def arrays(self) -> dict[str, np.ndarray]:
        """What predictions.npz holds."""
        arrays = {
            "classes": np.array(self.classes, dtype=str),
            "labels": self.labels.astype(np.int32),
            "top5_correct": self.top5,
        }
        for branch, predicted in self.predicted.items():
            arrays[f"{branch}_predicted"] = predicted.astype(np.int32)
            arrays[f"{branch}_correct"] = predicted == self.labels
            arrays[f"{branch}_probability"] = self.probability[branch].astype(np.float32)
        return arrays

    def notes(self) -> dict[str, int]:
        """None: every test image counts."""
        return {}


@contextmanager
def evaluating(model: DCAL) -> Iterator[None]:
    """The model in eval mode and without gradients, and afterwards back in its mode."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def predict(
    model: DCAL, dataset: FGVCDataset, batches: Iterable[Batch], prepare: Prepare, whole: Whole = own
) -> Predictions:
    """Predict every image of the batches. Whatever the batch size, every image counts once.

    prepare: uint8 (B, h, w, 3) to the model's normalised input on its device.
    whole: what this rank found in its batches to what all ranks found.
    """
    labels, top5 = [], []
    predicted: dict[str, list[Tensor]] = {}
    probability: dict[str, list[Tensor]] = {}
    logits: dict[str, list[Tensor]] = {}
    with evaluating(model):
        for batch in batches:
            outputs = model(prepare(batch.images))
            for name, branch in outputs.branches().items():
                logits.setdefault(name, []).append(branch.logits.float().cpu())
            scores = class_scores(outputs)
            if len(scores) == 2:  # SA alone: both is the same
                del scores["sa"]
            for branch, score in scores.items():
                score = score.cpu()
                predicted.setdefault(branch, []).append(score.argmax(dim=1))
                # "both" adds two distributions: over its sum it is one again.
                shares = score / score.sum(dim=1, keepdim=True)
                probability.setdefault(branch, []).append(shares.gather(1, batch.labels[:, None])[:, 0])
            best = scores["both"].topk(min(5, scores["both"].shape[1]), dim=1).indices.cpu()
            top5.append((best == batch.labels[:, None]).any(dim=1))
            labels.append(batch.labels)
    return Predictions(
        whole(torch.cat(labels)).numpy(),
        {branch: whole(torch.cat(parts)).numpy() for branch, parts in predicted.items()},
        {branch: whole(torch.cat(parts)).numpy() for branch, parts in probability.items()},
        whole(torch.cat(top5)).numpy(),
        dataset.classes,
        {name: digest(whole(torch.cat(parts))) for name, parts in logits.items()},
    )


# --- Classification accuracy from per-image predictions ---


def accuracy(correct: np.ndarray) -> float:
    """Share of True over the whole test set, in percent, from exact counts. correct: (n,) bool."""
    if correct.size == 0:
        raise ValueError("accuracy of no images is undefined")
    return 100.0 * int(np.count_nonzero(correct)) / correct.size
