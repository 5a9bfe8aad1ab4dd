"""Optimizer and learning rate of a recipe."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from timm.scheduler import CosineLRScheduler
from torch import nn

from benchmark.settings import TrainSettings
from dcal.losses import UncertaintyWeighting
from dcal.model import DCAL


def scaled_lr(train: TrainSettings) -> float:
    """The paper's lr_scaled = lr / lr_batch × batch size."""
    return train.lr / train.lr_batch * train.batch_size


def make_optimizer(
    model: DCAL, weighting: UncertaintyWeighting, train: TrainSettings
) -> torch.optim.Optimizer:
    """AdamW (default), L2-coupled Adam or SGD over the model's and the weighting's parameters.

    Weight decay is applied to weight matrices only: not to norms, biases, class token, position embedding, nor
    the uncertainty weights.
    """
    groups = parameter_groups(model, weighting, train.weight_decay)
    lr = scaled_lr(train)
    if train.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=train.momentum)
    kind = torch.optim.AdamW if train.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=lr, fused=True)


def parameter_groups(model: DCAL, weighting: UncertaintyWeighting, weight_decay: float) -> list[dict]:
    """Two groups, with and without weight decay, together every trainable parameter once."""
    exempt = {f"backbone.vit.{name}" for name in model.backbone.vit.no_weight_decay()}
    decayed, others = [], []
    for name, parameter in _trainable(model):
        (others if parameter.ndim <= 1 or name in exempt else decayed).append(parameter)
    others.extend(parameter for _, parameter in _trainable(weighting))
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def make_schedule(optimizer: torch.optim.Optimizer, steps: int) -> CosineLRScheduler:
    """Cosine to 0 over all steps, without warm-up: ``schedule.step_update(n)`` sets the rate of step n (from 0)."""
    return CosineLRScheduler(optimizer, t_initial=steps, lr_min=0.0, t_in_epochs=False)


def _trainable(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad)
