"""A training step's loss: from a batch to every branch's, over all ranks of a run."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmark.training.device import Compute
from benchmark.training.distributed import Alone
from benchmark.training.tasks import Task
from dcal.heads import Features
from dcal.losses import UncertaintyWeighting
from dcal.model import DCAL
from dcal.regularisers import noisy_labels


class StepLoss(nn.Module):
    """The model under autocast, each branch's loss, and their weighted sum.

    With several ranks the features of all are put together in front of the heads. So BNNeck's statistics, the
    classifier, cross-entropy and batch-hard triplets are those of the whole batch, the same on every rank; only the
    backbone, GLCA and PWCA work on the rank's share. Labels that are wrong on purpose each rank draws for its share.
    """

    def __init__(
        self, model: DCAL, weighting: UncertaintyWeighting, task: Task, compute: Compute, peers: Alone
    ) -> None:
        super().__init__()
        self.model, self.weighting = model, weighting
        self.task, self.compute, self.peers = task, compute, peers
        pwca = model.pwca
        self._by_features = bool(pwca and pwca.pairs_by_features)
        self._wrong_labels = pwca.noise if pwca and pwca.regulariser == "label_noise" else 0.0
        self._counts: Sequence[int] = ()
        if peers.size > 1:
            for head in filter(None, (model.sa_head, model.glca_head)):
                head.register_forward_pre_hook(self._whole_batch)

    def forward(
        self, images: Tensor, partner_images: Tensor | None, labels: Tensor, counts: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """The total loss and, without gradient, each branch's, (branches,) float64 in the order of branch_names.

        images, partner_images: this rank's, (B, 3, h, w). labels: of the whole batch. counts: how many pictures each
        rank brings.
        """
        own = self.labels_to_pair_by(labels, counts, len(images))
        return self.loss(self.features(images, partner_images, own), labels, counts)

    def labels_to_pair_by(self, labels: Tensor, counts: Sequence[int], rows: int) -> Tensor | None:
        """This rank's own labels, where the model finds partners by them: (rows,)."""
        if not self._by_features:
            return None
        if not counts[self.peers.rank]:  # a stand-in counts nowhere: any of its rows may meet
            return torch.arange(rows, device=labels.device)
        return self._own(labels, counts)

    def features(self, images: Tensor, partner_images: Tensor | None, own: Tensor | None) -> Features:
        """Each branch's features of some of this rank's pictures. own: their labels, to pair them by."""
        with self._autocast():
            return self.model.features(images, partner_images=partner_images, labels=own)

    def loss(self, features: Features, labels: Tensor, counts: Sequence[int]) -> tuple[Tensor, Tensor]:
        """What ``forward`` returns, from the features of all of this rank's pictures."""
        self._counts = counts
        with self._autocast():
            outputs = self.model.classify(features)
        losses = {
            name: self.task.loss(branch, self._with_wrong(labels, counts), noisy=True)
            if name == "pwca" and self._wrong_labels
            else self.task.loss(branch, labels)
            for name, branch in outputs.branches().items()
        }
        return self.weighting(losses), torch.stack([loss.detach().double() for loss in losses.values()])

    def _own(self, labels: Tensor, counts: Sequence[int]) -> Tensor:
        start, count = sum(counts[: self.peers.rank]), counts[self.peers.rank]
        return labels[start : start + count]

    def _with_wrong(self, labels: Tensor, counts: Sequence[int]) -> Tensor:
        """Labels of the whole batch, some of them wrong, the same on every rank."""
        classes = self.model.sa_head.classifier.out_features
        return self.peers.gather(noisy_labels(self._own(labels, counts), classes, self._wrong_labels), counts)

    def _autocast(self) -> torch.autocast:
        amp = self.compute.amp
        return torch.autocast(self.compute.device.type, amp, enabled=amp is not None)

    def _whole_batch(self, head: nn.Module, arguments: tuple[Tensor]) -> tuple[Tensor] | None:
        return (self.peers.gather(arguments[0], self._counts),) if head.training else None
