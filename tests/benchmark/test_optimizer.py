"""Parameter groups, learning rates and schedule of the recipe."""

import math

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer

from benchmark import config, optim
from benchmark.grid import select
from dcal.plain_vit import PlainViT
from dcal.losses import UncertaintyWeighting
from dcal.model import DCAL
from dcal.settings import GLCASettings, PWCASettings


@pytest.fixture
def train():
    cell = select(["cub/deit_tiny/dcal"])[0]
    return config.resolve(cell, 0, config.load_profile("paper"), {}).settings.train


@pytest.fixture
def model():
    torch.manual_seed(0)
    vit = VisionTransformer(img_size=32, patch_size=8, embed_dim=24, depth=12, num_heads=2, num_classes=0)
    return DCAL(PlainViT(vit), 5, glca=GLCASettings(), pwca=PWCASettings())


@pytest.fixture
def weighting(model):
    return UncertaintyWeighting(model.branch_names)


def test_the_papers_learning_rate(train):
    assert optim.scaled_lr(train) == pytest.approx(1.5625e-5)


def test_every_parameter_is_optimised_once_and_only_matrices_decay(model, weighting, train):
    decayed, others = optim.parameter_groups(model, weighting, train)
    names = {
        id(parameter): name for name, parameter in (*model.named_parameters(), *weighting.named_parameters())
    }
    decayed_names = {names[id(parameter)] for parameter in decayed["params"]}
    other_names = {names[id(parameter)] for parameter in others["params"]}
    assert decayed["weight_decay"] == 0.05
    assert others["weight_decay"] == 0.0
    assert not decayed_names & other_names
    assert len(decayed["params"]) + len(others["params"]) == len(names)
    assert decayed_names | other_names == set(names.values())
    exempt = ("norm", "bias", "cls_token", "pos_embed")
    for name in decayed_names:
        assert name.endswith("weight"), name
        assert not any(part in name for part in exempt), name
    assert "w" in other_names
    assert {"backbone.vit.cls_token", "backbone.vit.pos_embed"} <= other_names


@pytest.mark.parametrize(
    ("name", "kind"), [("adamw", torch.optim.AdamW), ("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)]
)
def test_the_optimizer_is_the_one_asked_for(model, weighting, train, name, kind):
    optimizer = optim.make_optimizer(model, weighting, train.__class__(**{**vars(train), "optimizer": name}))
    assert type(optimizer) is kind


def test_the_rate_falls_as_a_cosine_per_step_from_the_first_to_zero(model, weighting, train):
    optimizer = optim.make_optimizer(model, weighting, train)
    steps = 375 * 100
    schedule = optim.Schedule(optimizer, train, [375] * 100)
    for step in (0, 1, 374, 375, 18750, 37499):
        schedule.set(step // 375, step % 375)
        expected = 1.5625e-5 * 0.5 * (1 + math.cos(math.pi * step / steps))
        assert all(group["lr"] == pytest.approx(expected, abs=1e-16) for group in optimizer.param_groups)
    assert optimizer.param_groups[0]["lr"] < 1e-13


def test_the_rate_of_a_step_does_not_depend_on_the_steps_before(model, weighting, train):
    def rate(*visited):
        optimizer = optim.make_optimizer(model, weighting, train)
        schedule = optim.Schedule(optimizer, train, [10] * 100)
        for step in visited:
            schedule.set(step // 10, step % 10)
        return optimizer.param_groups[0]["lr"]

    assert rate(0, 1, 2, 700) == rate(700)


def test_the_uncertainty_weights_move_in_training(model, weighting, train):
    optimizer = optim.make_optimizer(model, weighting, train)
    images, labels = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 2, 3])
    for _ in range(3):
        outputs = model(images).branches()
        loss = weighting(
            {name: torch.nn.functional.cross_entropy(b.logits, labels) for name, b in outputs.items()}
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert set(weighting.weights()) == {"sa", "glca", "pwca"}
    assert all(value != 0.0 for value in weighting.weights().values())
