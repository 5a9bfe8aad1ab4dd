"""A training step's loss: from a batch to every branch's, over all ranks of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields

import torch
from torch import Tensor, nn

from benchmark.config.compute_setup import Shares
from benchmark.training.checkpoint import Randomness
from benchmark.training.device import Compute
from benchmark.training.distributed import SingleProcess
from benchmark.training.tasks import Task
from dcal.heads import Features
from dcal.losses import UncertaintyWeighting
from dcal.model import DCAL
from dcal.pwca import noisy_labels


class StepLoss(nn.Module):
    """The model under autocast, each branch's loss, and their weighted sum.

    With several ranks the features of all are gathered in front of the heads. So BNNeck's statistics, the classifier,
    cross-entropy and batch-hard triplets are those of the whole batch, the same on every rank; only the backbone, GLCA
    and PWCA work on the rank's share. Labels that are wrong on purpose each rank draws for its share.
    """

    def __init__(
        self, model: DCAL, weighting: UncertaintyWeighting, task: Task, compute: Compute, peers: SingleProcess
    ) -> None:
        super().__init__()
        self.model, self.weighting = model, weighting
        self.task, self.compute, self.peers = task, compute, peers
        pwca = model.pwca
        self._by_features = bool(pwca and pwca.pairs_by_features)
        self._wrong_labels = pwca.noise if pwca and pwca.regulariser == "label_noise" else 0.0

    def forward(
        self, images: Tensor, partner_images: Tensor | None, labels: Tensor, counts: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """The total loss and, without gradient, each branch's, (branches,) float64 in the order of branch_names.

        images, partner_images: this rank's, (B, 3, h, w). labels: of the whole batch. counts: how many pictures each
        rank brings.
        """
        own_labels = self.labels_to_pair_by(labels, counts, len(images))
        return self.loss(self.features(images, partner_images, own_labels), labels, counts)

    def labels_to_pair_by(self, labels: Tensor, counts: Sequence[int], rows: int) -> Tensor | None:
        """This rank's own labels, where the model finds partners by them: (rows,)."""
        if not self._by_features:
            return None
        if not counts[self.peers.rank]:  # a stand-in counts nowhere: any of its rows may meet
            return torch.arange(rows, device=labels.device)
        return self._share(labels, counts)

    def features(self, images: Tensor, partner_images: Tensor | None, own_labels: Tensor | None) -> Features:
        """Each branch's features of some of this rank's pictures. own: their labels, to pair them by."""
        with self._autocast():
            return self.model.features(images, partner_images=partner_images, labels=own_labels)

    def loss(self, features: Features, labels: Tensor, counts: Sequence[int]) -> tuple[Tensor, Tensor]:
        """What ``forward`` returns, from the features of all of this rank's images."""
        batch = Features(
            **{name: self.peers.gather(rows, counts) for name, rows in _present_features(features).items()}
        )
        with self._autocast():
            outputs = self.model.classify(batch)
        losses = {
            name: self.task.loss(branch, self._with_wrong(labels, counts), noisy=True)
            if name == "pwca" and self._wrong_labels
            else self.task.loss(branch, labels)
            for name, branch in outputs.branches().items()
        }
        return self.weighting(losses), torch.stack([loss.detach().double() for loss in losses.values()])

    def _share(self, labels: Tensor, counts: Sequence[int]) -> Tensor:
        start, count = sum(counts[: self.peers.rank]), counts[self.peers.rank]
        return labels[start : start + count]

    def _with_wrong(self, labels: Tensor, counts: Sequence[int]) -> Tensor:
        """Labels of the whole batch, some of them wrong, the same on every rank."""
        classes = self.model.sa_head.classifier.out_features
        return self.peers.gather(
            noisy_labels(self._share(labels, counts), classes, self._wrong_labels), counts
        )

    def _autocast(self) -> torch.autocast:
        amp = self.compute.amp
        return torch.autocast(self.compute.device.type, amp, enabled=amp is not None)


# --- A training step's gradients: of a rank's share at once, or part by part where a card is too small for it ---

# images, partner_images, labels, counts as StepLoss.forward has them → each branch's loss, (branches,) float64.
# Afterwards the gradients of the whole batch's loss are added to what stood in every rank's parameters.
Gradients = Callable[[Tensor, Tensor | None, Tensor, Sequence[int]], Tensor]


class FullBatch:
    """One forward and one backward pass for a rank's share. scale: the loss's, where the precision needs it."""

    def __init__(self, step_loss: StepLoss, peers: SingleProcess, scale: Callable[[Tensor], Tensor]) -> None:
        self._step_loss, self._scale = peers.parallel(step_loss), scale

    def __call__(
        self, images: Tensor, partner_images: Tensor | None, labels: Tensor, counts: Sequence[int]
    ) -> Tensor:
        total, losses = self._step_loss(images, partner_images, labels, counts)
        self._scale(total).backward()
        return losses


class AccumulatedGradients:
    """The same gradients, to rounding, with the activations of one part at a time.

    cut: how a share is cut into parts. Each draws its partners and paths for itself, the same in both passes.
    """

    def __init__(
        self,
        step_loss: StepLoss,
        peers: SingleProcess,
        scale: Callable[[Tensor], Tensor],
        *,
        cut: Shares,
        randomness: Randomness,
    ) -> None:
        self._step_loss, self._peers, self._scale = step_loss, peers, scale
        self._cut, self._randomness = cut, randomness
        peers.align(step_loss)

    def __call__(
        self, images: Tensor, partner_images: Tensor | None, labels: Tensor, counts: Sequence[int]
    ) -> Tensor:
        sizes = [size for size in self._cut.counts(len(images)) if size]
        own_labels = self._step_loss.labels_to_pair_by(labels, counts, len(images))
        inputs = (images, partner_images, own_labels)
        *parts, last = zip(*(_split(tensor, sizes) for tensor in inputs), strict=True)
        states, leaves = [], []
        for part in parts:
            states.append(self._randomness.state())
            with torch.no_grad():
                leaves.append(_leaves(self._step_loss.features(*part)))
        features = _joined([*leaves, self._step_loss.features(*last)])
        total, losses = self._step_loss.loss(features, labels, counts)
        self._scale(total).backward()
        after = self._randomness.state()
        for part, before, leaf_features in zip(parts, states, leaves, strict=True):
            self._randomness.restore(before)
            again = _present_features(self._step_loss.features(*part))
            gradients = [leaf.grad for leaf in _present_features(leaf_features).values()]
            torch.autograd.backward(list(again.values()), gradients)
        self._randomness.restore(after)
        self._peers.average(self._step_loss.parameters())
        return losses


def _split(tensor: Tensor | None, sizes: Sequence[int]) -> Sequence[Tensor | None]:
    return (None,) * len(sizes) if tensor is None else tensor.split(sizes)


def _present_features(features: Features) -> dict[str, Tensor]:
    """The branches' features that are there."""
    values = {field.name: getattr(features, field.name) for field in fields(features)}
    return {name: value for name, value in values.items() if value is not None}


def _leaves(features: Features) -> Features:
    return Features(**{name: value.requires_grad_() for name, value in _present_features(features).items()})


def _joined(parts: Sequence[Features]) -> Features:
    rows = [_present_features(part) for part in parts]
    return Features(**{name: torch.cat([part[name] for part in rows]) for name in rows[0]})
