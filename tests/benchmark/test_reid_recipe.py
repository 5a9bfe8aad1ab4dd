"""The Re-ID recipe's numbers that need no data: learning rates, weight decay, groups, heads."""

import math

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer

from benchmark.config import resolve
from benchmark.config.grid import select
from benchmark.training import optim
from benchmark.training.tasks import TASKS
from dcal.backbones.vit import PlainViT
from dcal.heads import Branch
from dcal.losses import UncertaintyWeighting
from dcal.model import DCAL
from dcal.settings import GLCASettings, PWCASettings

STEPS = [190] * 120


@pytest.fixture
def train():
    cell = select(["market/deit_tiny/dcal"])[0]
    return resolve.resolve(cell, 0, resolve.load_profile("paper"), {}).settings.train


@pytest.fixture
def model():
    torch.manual_seed(0)
    vit = VisionTransformer(img_size=32, patch_size=8, embed_dim=24, depth=12, num_heads=2, num_classes=0)
    return DCAL(PlainViT(vit), 5, head="bnneck", glca=GLCASettings(), pwca=PWCASettings())


@pytest.fixture
def optimizer(model, train):
    return optim.make_optimizer(model, UncertaintyWeighting(model.branch_names), train)


@pytest.mark.parametrize(
    ("epoch", "rate"), [(1, 0.001664), (4, 0.006416), (5, 0.007966), (60, 0.004008), (120, 0.000016)]
)
def test_the_published_recipes_learning_rates(optimizer, train, epoch, rate):
    schedule = optim.Schedule(optimizer, train, STEPS)
    for step in (0, 1, 189):
        schedule.set(epoch - 1, step)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(rate, abs=5e-7)


def literal_rate(lr, n, epochs=120, warmup=5, low=0.008 * 0.002, start=0.008 * 0.01):
    if n < warmup:
        return start + n * (lr - start) / warmup
    return low + 0.5 * (lr - low) * (1 + math.cos(math.pi * n / epochs))


def test_every_epochs_rates_and_the_biases_doubled_ones(optimizer, train):
    schedule = optim.Schedule(optimizer, train, STEPS)
    for epoch in range(119):
        schedule.set(epoch, 7)
        rates = {group["initial_lr"]: group["lr"] for group in optimizer.param_groups}
        assert set(rates) == {0.008, 0.016}
        for lr, rate in rates.items():
            assert rate == pytest.approx(literal_rate(lr, epoch + 1), rel=1e-12)


def test_everything_decays_but_the_uncertainty_weights_and_only_biases_are_doubled(model, train):
    weighting = UncertaintyWeighting(model.branch_names)
    groups = optim.parameter_groups(model, weighting, train)
    parameters = (*model.named_parameters(), *weighting.named_parameters())
    names = {id(parameter): name for name, parameter in parameters if parameter.requires_grad}
    seen = []
    for group in groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            seen.append(name)
            assert group["weight_decay"] == (0.0 if name == "w" else 1e-4), name
            assert group["lr"] == (0.016 if name.endswith(".bias") else 0.008), name
    assert sorted(seen) == sorted(names.values())
    assert "sa_head.neck.weight" in seen
    assert "sa_head.neck.bias" not in seen  # frozen at 0


def test_momentum_and_optimizer(optimizer):
    assert type(optimizer) is torch.optim.SGD
    assert all(group["momentum"] == 0.9 for group in optimizer.param_groups)


def test_the_first_group_learns_at_the_rate_that_the_history_shows(optimizer):
    assert optimizer.param_groups[0]["lr"] == 0.008


def test_classifiers_start_small_and_without_bias():
    torch.manual_seed(0)
    vit = VisionTransformer(img_size=32, patch_size=8, embed_dim=192, depth=12, num_heads=3, num_classes=0)
    model = DCAL(PlainViT(vit), 751, head=TASKS["reid"].head, glca=GLCASettings())
    for head in (model.sa_head, model.glca_head):
        assert head.classifier.bias is None
        assert head.classifier.weight.std().item() == pytest.approx(0.001, rel=0.02)
        assert head.neck.bias.abs().max() == 0
        assert not head.neck.bias.requires_grad


def test_a_branchs_loss_is_cross_entropy_plus_the_batch_hard_soft_margin_triplet():
    torch.manual_seed(1)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    feature, logits = torch.randn(6, 7), torch.randn(6, 3)
    expected = 0.0
    for a in range(6):
        distance = [math.dist(feature[a].tolist(), feature[b].tolist()) for b in range(6)]
        farthest = max(distance[b] for b in range(6) if labels[b] == labels[a])
        nearest = min(distance[b] for b in range(6) if labels[b] != labels[a])
        exponentials = [math.exp(value) for value in logits[a].double().tolist()]
        expected -= math.log(exponentials[labels[a]] / sum(exponentials)) / 6
        expected += math.log1p(math.exp(farthest - nearest)) / 6
    found = TASKS["reid"].loss(Branch(logits, feature), labels)
    assert found.item() == pytest.approx(expected, rel=1e-5)
    assert TASKS["reid"].loss(Branch(logits.bfloat16(), feature.bfloat16()), labels).dtype == torch.float32
