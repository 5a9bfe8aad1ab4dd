"""Parameter groups, learning rates and schedule of the recipe."""

import copy
import dataclasses
import math

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer

from benchmark.config import resolve
from benchmark.config.grid import select
from benchmark.training import optim
from dcal.backbones.vit import PlainViT
from dcal.losses import UncertaintyWeighting
from dcal.model import DCAL
from dcal.settings import GLCASettings, PWCASettings


@pytest.fixture
def train():
    cell = select(["cub/deit_tiny/dcal"])[0]
    return resolve.resolve(cell, 0, resolve.load_profile("paper"), {}).settings.train


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


def trained(train, model, weighting, steps, *, fused=True, state=None):
    """The optimizer after some steps on fixed gradients; the parameters move in place."""
    optimizer = optim.make_optimizer(model, weighting, train)
    if state is not None:
        optimizer.load_state_dict(state)
    assert all(group["fused"] for group in optimizer.param_groups)
    for group in optimizer.param_groups:
        group["fused"] = fused
    parameters = [*model.parameters(), *weighting.parameters()]
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
    return optimizer


def copies(model, weighting, count):
    return [(copy.deepcopy(model), copy.deepcopy(weighting)) for _ in range(count)]


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_the_fused_update_is_the_plain_one_to_rounding(model, weighting, train, name):
    train = dataclasses.replace(train, optimizer=name, momentum=0.9, lr=0.5)
    pairs = copies(model, weighting, 2)
    fused, plain = (of_one for of_one, _ in pairs)
    trained(train, *pairs[0], range(3))
    trained(train, *pairs[1], range(3), fused=False)
    assert any(not torch.equal(a, b) for a, b in zip(fused.parameters(), model.parameters(), strict=True))
    for (key, value), expected in zip(fused.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-6, msg=key)


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_a_resumed_optimizer_goes_on_bit_for_bit(model, weighting, train, name):
    train = dataclasses.replace(train, optimizer=name, momentum=0.9, lr=0.5)
    whole, broken = copies(model, weighting, 2)
    trained(train, *whole, range(4))
    state = copy.deepcopy(trained(train, *broken, range(2)).state_dict())
    trained(train, *broken, range(2, 4), state=state)
    for value, expected in zip(broken[0].parameters(), whole[0].parameters(), strict=True):
        assert torch.equal(value, expected)


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


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_a_state_from_before_updates_were_fused_and_weights_channels_last_goes_on_as_it_was(name):
    """A fused update reads memory: a moment that lies in another order than its weight would be scrambled."""

    def made(memory_format):
        torch.manual_seed(0)
        conv = torch.nn.Conv2d(3, 8, 3).to(memory_format=memory_format)
        return conv, {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name]

    def step(conv, optimizer, number):
        images = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(number))
        conv(images).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    options = {"momentum": 0.9} if name == "sgd" else {}
    old, kind = made(torch.contiguous_format)
    before = kind(old.parameters(), lr=1e-3, fused=False, **options)
    for number in range(3):
        step(old, before, number)
    new, _ = made(torch.channels_last)
    new.load_state_dict(old.state_dict())
    after = kind(new.parameters(), lr=1e-3, fused=True, **options)
    optim.load_optimizer(after, copy.deepcopy(before.state_dict()))
    assert all(group["fused"] for group in after.param_groups)
    for number in range(3, 6):
        step(old, before, number)
        step(new, after, number)
    torch.testing.assert_close(new.weight, old.weight, rtol=1e-5, atol=1e-7)
