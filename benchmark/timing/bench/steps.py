"""What is timed of a model: a training step and an inference, the suite's own and the plain timm model's."""

from __future__ import annotations

from dataclasses import dataclass

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import dcal
from benchmark.config.datasets import DATASETS
from benchmark.config.grid import all_cells
from benchmark.config.resolve import Config, load_profile, resolve
from benchmark.config.settings import TrainSettings
from benchmark.training.device import Compute
from benchmark.training.distributed import SingleProcess
from benchmark.training.models import build_model
from benchmark.training.optim import make_optimizer, scaled_lr
from benchmark.training.step import StepLoss
from benchmark.training.tasks import TASKS

PROFILE = "paper"


@dataclass(frozen=True)
class StepBatch:
    """Pictures and labels as a training step gets them, made up. images: (B, 3, h, w) normalised; labels: (B,)."""

    images: Tensor
    labels: Tensor


def load_recipe(cell: str) -> Config:
    """The paper's settings of a cell."""
    (named_cell,) = (candidate for candidate in all_cells() if candidate.id == cell)
    return resolve(named_cell, 0, load_profile(PROFILE), {})


def class_count(config: Config) -> int:
    """As many as the official training set has."""
    official = DATASETS[config.cell.dataset].official
    return official["classes"] if config.cell.task == "fgvc" else official["train_ids"]


def random_batch(config: Config, size: int, compute: Compute) -> StepBatch:
    """A batch of the recipe's input size; of Re-ID identities as many pictures each as the recipe takes."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(size, 3, *config.settings.data.crop, generator=generator)
    pictures_each = config.settings.train.instances if config.cell.task == "reid" else 1
    labels = torch.arange(size) // pictures_each % class_count(config)
    return StepBatch(images.to(compute.device), labels.to(compute.device))


class Ours:
    """The suite's own model and step of a cell, by its recipe. Weights are random: times do not depend on them."""

    def __init__(
        self, config: Config, batch: StepBatch, compute: Compute, *, drop_path: float | None = None
    ) -> None:
        settings, self.batch, self.compute = config.settings, batch, compute
        self.task = TASKS[config.cell.task]
        torch.manual_seed(0)
        model = build_model(config, class_count(config), weights="random", drop_path=drop_path)
        self.model = model.to(compute.device)
        self.weighting = dcal.UncertaintyWeighting(self.model.branch_names).to(compute.device)
        self.loss = StepLoss(self.model, self.weighting, self.task, compute, SingleProcess())
        self.optimizer = make_optimizer(self.model, self.weighting, settings.train)

    def train(self) -> None:
        """One step: forward, losses, backward, optimizer."""
        total, _ = self.loss(self.batch.images, None, self.batch.labels, (len(self.batch.labels),))
        descend(total, self.optimizer)

    @torch.no_grad()
    def infer(self) -> Tensor:
        """The prediction that a test reads: SA and GLCA together, rollout and selection included."""
        with autocast(self.compute):
            outputs = self.model(self.batch.images)
            read = dcal.class_scores if self.task.head == "linear" else dcal.retrieval_features
            return read(outputs)["both"]


class Plain:
    """The timm model of the same tag with a linear classifier, by timm's own forward, and the recipe's optimizer."""

    def __init__(self, config: Config, batch: StepBatch, compute: Compute) -> None:
        settings, self.batch, self.compute = config.settings, batch, compute
        torch.manual_seed(0)
        self.model = timm.create_model(
            config.tag,
            pretrained=False,
            num_classes=class_count(config),
            img_size=settings.data.crop,
            drop_path_rate=settings.model.drop_path,
        ).to(compute.device)
        self.optimizer = plain_optimizer(self.model, settings.train)

    def train(self) -> None:
        """One step: forward, cross-entropy, backward, optimizer."""
        with autocast(self.compute):
            logits = self.model(self.batch.images)
        descend(F.cross_entropy(logits.float(), self.batch.labels), self.optimizer)

    @torch.no_grad()
    def infer(self) -> Tensor:
        """Class probabilities."""
        with autocast(self.compute):
            return self.model(self.batch.images).float().softmax(dim=-1)


SIDES = {"ours": Ours, "timm": Plain}


def plain_optimizer(model: nn.Module, train: TrainSettings) -> torch.optim.Optimizer:
    """The recipe's kind of optimizer, fused, over one group."""
    lr = scaled_lr(train)
    if train.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), lr=lr, momentum=train.momentum, fused=True)
    return torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=train.weight_decay, fused=True)


def descend(loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
    """Backward and one step of the optimizer."""
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def make_state(optimizer: torch.optim.Optimizer) -> None:
    """What the optimizer keeps from its first step on, made by a step over gradients of zero, which are given back."""
    fill_gradients(optimizer)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def fill_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Gradients as a step leaves them behind, of zero."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            # Ones times zero: zeros_like may be memory that nobody has touched, which is not resident.
            parameter.grad = torch.ones_like(parameter).mul_(0)


def autocast(compute: Compute) -> torch.autocast:
    """As training and evaluation have it: bf16 on a GPU, nothing on a CPU."""
    return torch.autocast(compute.device.type, compute.amp, enabled=compute.amp is not None)
