"""Optimizer and learning rate of a recipe."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import torch
from timm.scheduler import CosineLRScheduler
from torch import Tensor, nn

from benchmark.config.settings import TrainSettings
from dcal.losses import UncertaintyWeighting
from dcal.model import DCAL


def scaled_lr(train: TrainSettings) -> float:
    """The paper's lr_scaled = lr / lr_batch × batch size."""
    return train.lr / train.lr_batch * train.batch_size


def make_optimizer(
    model: DCAL, weighting: UncertaintyWeighting, train: TrainSettings
) -> torch.optim.Optimizer:
    """AdamW, L2-coupled Adam or SGD over the model's and the weighting's parameters, by the recipe's groups.

    Fused: one pass over all parameters a step, on CPUs and GPUs; equal to the plain update up to rounding.
    """
    groups = parameter_groups(model, weighting, train)
    lr = scaled_lr(train)
    if train.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=train.momentum, fused=True)
    kind = torch.optim.AdamW if train.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=lr, fused=True)


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Go on with an optimizer's saved state, also with one that was saved before updates were fused or weights laid out
    as they are now: a fused update reads a parameter's memory and its moments' in the same order.
    """
    optimizer.load_state_dict(state)
    for group in optimizer.param_groups:
        group["fused"], group["foreach"] = True, None
    for parameter, moments in optimizer.state.items():
        for name, value in moments.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                alike = torch.empty_like(parameter, memory_format=torch.preserve_format)
                moments[name] = alike.to(value.dtype).copy_(value)


def parameter_groups(model: DCAL, weighting: UncertaintyWeighting, train: TrainSettings) -> list[dict]:
    """Groups by weight decay and learning rate, together every trainable parameter once.

    Weight decay: on weight matrices only, not on norms, biases, class token and position embedding; with
    ``decay_all`` on all of them (Re-ID). Never on the uncertainty weights. Biases learn at ``bias_lr`` × lr.
    The first group learns at lr itself: its rate is the one that the history shows.
    """
    exempt = {f"backbone.vit.{name}" for name in model.backbone.vit.no_weight_decay()}
    lr = scaled_lr(train)
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in _trainable(model):
        decays = train.decay_all or not (parameter.ndim <= 1 or name in exempt)
        is_bias = train.bias_lr != 1 and name.endswith(".bias")
        groups.setdefault((is_bias, not decays), []).append(parameter)
    groups.setdefault((False, True), []).extend(parameter for _, parameter in _trainable(weighting))
    return [
        {
            "params": parameters,
            "lr": lr * (train.bias_lr if is_bias else 1.0),
            "weight_decay": 0.0 if spared else train.weight_decay,
        }
        for (is_bias, spared), parameters in sorted(groups.items(), key=lambda item: item[0])
        if parameters
    ]


class Schedule:
    """Learning rate of every step: linear warm-up, then one cosine, timm's.

    steps: of each epoch of the run.
    With ``schedule="step"`` it moves at every step, from lr at the first one towards its end after the last.
    With ``schedule="epoch"`` epoch n, from 1, has the cosine's value at n: the first epoch is already one step up the
    warm-up, and the last one at the minimum, as in TransReID, whose Re-ID recipe this is. Warm-up starts from
    ``warmup_start`` × lr and the cosine ends at ``lr_min`` × lr, in all groups: biases with a doubled rate rise from
    and fall to the same values.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, train: TrainSettings, steps: Sequence[int]) -> None:
        self._by_epoch = train.schedule == "epoch"
        self._starts = [0, *itertools.accumulate(steps)]
        lr = scaled_lr(train)
        warmup = train.warmup_epochs if self._by_epoch else self._starts[train.warmup_epochs]
        self._cosine = CosineLRScheduler(
            optimizer,
            t_initial=train.epochs if self._by_epoch else self._starts[-1],
            lr_min=lr * train.lr_min,
            warmup_t=warmup,
            warmup_lr_init=lr * train.warmup_start,
            t_in_epochs=self._by_epoch,
        )

    def set(self, epoch: int, step: int) -> None:
        """Set the rates of step ``step`` of epoch ``epoch``, both from 0."""
        if self._by_epoch:
            self._cosine.step(epoch + 1)
        else:
            self._cosine.step_update(self._starts[epoch] + step)


def _trainable(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    return ((name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad)
