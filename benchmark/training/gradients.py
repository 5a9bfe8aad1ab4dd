"""A training step's gradients: of a rank's share at once, or part by part where a card is too small for it.

In parts, each picture's features are computed twice: once to learn the loss's gradient by them, which needs the whole
batch (BNNeck's statistics, batch-hard triplets) and no activations of the backbone, and once to pass that gradient on
(Gao et al. 2021, arXiv:2101.06983, section 3). The last part's are computed once only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields

import torch
from torch import Tensor

from benchmark.config.world import Shares
from benchmark.training.distributed import Alone
from benchmark.training.randomness import Randomness
from benchmark.training.step import StepLoss
from dcal.heads import Features

# images, partner_images, labels, counts as StepLoss.forward has them → each branch's loss, (branches,) float64.
# Afterwards the gradients of the whole batch's loss are added to what stood in every rank's parameters.
Gradients = Callable[[Tensor, Tensor | None, Tensor, Sequence[int]], Tensor]


class AtOnce:
    """One forward and one backward pass for a rank's share. scale: the loss's, where the precision needs it."""

    def __init__(self, step_loss: StepLoss, peers: Alone, scale: Callable[[Tensor], Tensor]) -> None:
        self._step_loss, self._scale = peers.parallel(step_loss), scale

    def __call__(
        self, images: Tensor, partner_images: Tensor | None, labels: Tensor, counts: Sequence[int]
    ) -> Tensor:
        total, losses = self._step_loss(images, partner_images, labels, counts)
        self._scale(total).backward()
        return losses


class InParts:
    """The same gradients, to rounding, with the activations of one part at a time.

    cut: how a share is cut into parts. Each draws its partners and paths for itself, the same in both passes.
    """

    def __init__(
        self,
        step_loss: StepLoss,
        peers: Alone,
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
        own = self._step_loss.labels_to_pair_by(labels, counts, len(images))
        given = (images, partner_images, own)
        *parts, last = zip(*(_split(tensor, sizes) for tensor in given), strict=True)
        drawn, leaves = [], []
        for part in parts:
            drawn.append(self._randomness.state())
            with torch.no_grad():
                leaves.append(_leaves(self._step_loss.features(*part)))
        features = _joined([*leaves, self._step_loss.features(*last)])
        total, losses = self._step_loss.loss(features, labels, counts)
        self._scale(total).backward()
        after = self._randomness.state()
        for part, before, found in zip(parts, drawn, leaves, strict=True):
            self._randomness.restore(before)
            again = _by_name(self._step_loss.features(*part))
            of_loss = [leaf.grad for leaf in _by_name(found).values()]
            torch.autograd.backward(list(again.values()), of_loss)
        self._randomness.restore(after)
        self._peers.average(self._step_loss.parameters())
        return losses


def _split(tensor: Tensor | None, sizes: Sequence[int]) -> Sequence[Tensor | None]:
    return (None,) * len(sizes) if tensor is None else tensor.split(sizes)


def _by_name(features: Features) -> dict[str, Tensor]:
    """The branches' features that are there."""
    values = {field.name: getattr(features, field.name) for field in fields(features)}
    return {name: value for name, value in values.items() if value is not None}


def _leaves(features: Features) -> Features:
    return Features(**{name: value.requires_grad_() for name, value in _by_name(features).items()})


def _joined(parts: Sequence[Features]) -> Features:
    rows = [_by_name(part) for part in parts]
    return Features(**{name: torch.cat([part[name] for part in rows]) for name in rows[0]})
