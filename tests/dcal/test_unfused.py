"""What the bench measures ours against computes what the paper's equations say, and what ours does."""

import pytest
import reference
import torch
import unfused
from reference import Setup
from small_models import random_images, small_dcal

import dcal

SETUP = Setup(M=1, T=12)
PARTNER = [2, 0, 3, 1]
LABELS = [0, 3, 1, 3]
W = torch.tensor([0.3, -0.7, 1.1], dtype=torch.float64)
BRANCHES = ("sa", "glca", "pwca")


def double(model):
    return {
        name: value.detach().double().clone().requires_grad_() for name, value in model.state_dict().items()
    }


def unfused_step(p, images, *, pair_streams):
    """Its result, and its loss after the backward pass."""
    found = unfused.forward(
        p,
        images,
        torch.tensor(PARTNER),
        heads=SETUP.heads,
        patch=SETUP.patch,
        blocks=SETUP.L,
        ratio=SETUP.R,
        pair_streams=pair_streams,
    )
    loss = unfused.loss(found.logits, torch.tensor(LABELS), W)
    loss.backward()
    return found, loss


@pytest.fixture(scope="module")
def model():
    settings = {"glca": dcal.GLCASettings(ratio=SETUP.R), "pwca": dcal.PWCASettings()}
    return small_dcal(**settings).double()


@pytest.fixture(scope="module", params=[False, True], ids=["batch's tokens", "pairs' own stream"])
def found(model, request):
    """Parameters with their gradients, result, loss."""
    p = double(model)
    return p, *unfused_step(p, random_images(4).double(), pair_streams=request.param)


def assert_close(found, expected, tolerance=1e-9):
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= tolerance * expected.abs().max()


def assert_same_gradients(found, expected):
    """Every parameter's, relative to the largest of all: a key's bias has a gradient of zero."""
    assert {*found} == {*expected}
    largest = max(gradient.abs().max() for gradient in expected.values())
    for name, gradient in expected.items():
        assert (found[name] - gradient).abs().max() <= 1e-9 * largest, name


def gradients(named):
    return {name: value.grad for name, value in named if value.grad is not None}


def test_logits_selection_loss_and_gradients_equal_the_equations_one_image_and_head_at_a_time(model, found):
    p, result, loss = found
    q = double(model)
    literal = reference.forward(q, random_images(4).double(), SETUP, partner=PARTNER)
    losses = [reference.cross_entropy(literal.logits[branch], LABELS) for branch in BRANCHES]
    expected = reference.uncertainty_loss(losses, W)
    expected.backward()
    for branch in BRANCHES:
        assert_close(result.logits[branch], literal.logits[branch])
    assert result.selected.tolist() == [chosen.tolist() for chosen in literal.selected]
    assert_close(loss, expected)
    assert_same_gradients(gradients(p.items()), gradients(q.items()))


def test_logits_and_gradients_equal_the_models(model, found):
    p, result, _ = found
    model.zero_grad(set_to_none=True)
    outputs = model(random_images(4).double(), partner=torch.tensor(PARTNER)).branches()
    weighting = dcal.UncertaintyWeighting(BRANCHES).double()
    with torch.no_grad():
        weighting.w.copy_(W)
    losses = {
        name: torch.nn.functional.cross_entropy(one.logits, torch.tensor(LABELS))
        for name, one in outputs.items()
    }
    weighting(losses).backward()
    assert tuple(outputs) == tuple(result.logits)
    for name, branch in outputs.items():
        assert_close(result.logits[name], branch.logits)
    assert_same_gradients(gradients(p.items()), gradients(model.named_parameters()))


def test_with_pairs_streams_each_second_image_runs_through_the_network(model, monkeypatch):
    """One more pass of all blocks but the last, whose output nobody attends to; and its images are embedded."""
    passes = []
    for name in ("embedded", "attention_block", "pairwise_block"):
        whole = getattr(unfused, name)
        counted = lambda *given, name=name, whole=whole: passes.append(name) or whole(*given)  # noqa: E731
        monkeypatch.setattr(unfused, name, counted)
    counts = []
    for pair_streams in (False, True):
        passes.clear()
        unfused_step(double(model), random_images(4).double(), pair_streams=pair_streams)
        counts.append([passes.count(name) for name in ("embedded", "attention_block", "pairwise_block")])
    assert counts == [[1, SETUP.L + 1, SETUP.L], [2, 2 * SETUP.L, SETUP.L]]
