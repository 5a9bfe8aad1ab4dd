"""Every branch, its gradients and one optimizer step against the literal float64 version of the equations."""

import pytest
import reference
import torch
from literal_step import (
    PARTNER,
    assert_same,
    branches_of,
    compare_step,
    literal_loss,
    literal_parameters,
    selections,
    total_loss,
    weighting_of,
)
from reference import Setup
from small_models import random_images, small_dcal

import dcal

CASES = {
    "baseline": Setup(),
    "glca": Setup(M=1),
    "glca, mean read-out": Setup(M=1, readout="mean"),
    "glca, two blocks": Setup(M=2),
    "glca, two blocks, mean read-out": Setup(M=2, readout="mean"),
    "glca, local keys": Setup(M=1, keys="local"),
    "glca, local keys, two blocks, mean read-out": Setup(M=2, keys="local", readout="mean"),
    "glca, by attention, mean read-out": Setup(M=1, select="attention", readout="mean"),
    "glca, by attention, local keys, two blocks": Setup(M=2, select="attention", keys="local"),
    "pwca own": Setup(T=12),
    "pwca own, last 5": Setup(T=5),
    "pwca figure": Setup(T=12, stream="figure"),
    "pwca figure, last 5": Setup(T=5, stream="figure"),
    "both": Setup(M=1, T=12),
    "both, figure": Setup(M=1, T=12, stream="figure"),
    "both, two glca blocks, mean, last 5": Setup(M=2, readout="mean", T=5),
    "both, one pair-wise block beside two glca blocks": Setup(M=2, T=1),
    "both, bnneck": Setup(M=1, T=12, head="bnneck"),
    "both, bnneck, figure, mean": Setup(M=1, readout="mean", T=12, stream="figure", head="bnneck"),
}
PAIRINGS = [(name, "batch") for name in CASES] + [(name, "loader") for name in CASES if CASES[name].T]


def model_of(setup: Setup, pairing: str = "batch") -> dcal.DCAL:
    return small_dcal(**branches_of(setup, pairing))


def distractors(setup: Setup, pairing: str) -> dict:
    if not setup.T:
        return {}
    if pairing == "loader":
        return {"partner_images": random_images(4, seed=9)}
    return {"partner": PARTNER}


@pytest.mark.parametrize(("name", "pairing"), PAIRINGS)
def test_training_step_equals_the_equations_in_float64(name, pairing):
    """Logits, features, total loss, gradients of all parameters and of w: relative difference below 1e-9."""
    setup = CASES[name]
    given = distractors(setup, pairing)
    compare_step(model_of(setup, pairing), reference.forward, setup, given, torch.float64, 1e-9)


@pytest.mark.parametrize("name", ["glca, two blocks, mean read-out", "both", "both, figure", "both, bnneck"])
def test_training_step_equals_the_equations_in_float32(name):
    """As above at float32's precision: relative difference below 1e-4."""
    setup = CASES[name]
    given = distractors(setup, "batch")
    compare_step(model_of(setup), reference.forward, setup, given, torch.float32, 1e-4)


@pytest.mark.parametrize("select", ["rollout", "attention"])
@pytest.mark.parametrize("blocks", [1, 2])
def test_selected_tokens_are_the_class_token_and_the_literal_rollouts_top_patches(blocks, select):
    setup = Setup(M=blocks, select=select)
    model = model_of(setup).double()
    chosen, expected = selections(model, reference.forward, setup, random_images(4).double())
    assert len(expected[0]) == 4  # ⌊0.25 · 16⌋
    assert chosen[:, 0].tolist() == [0] * 4
    assert [set(row[1:].tolist()) for row in chosen] == [set(row.tolist()) for row in expected]


def test_two_optimizer_steps_of_the_whole_model_equal_the_literal_adamw():
    """Parameters and w after two AdamW steps, decay 0.05 on matrices alone: within 1e-9 in float64."""
    setup, lr, decay = CASES["both"], 1e-3, 0.05
    model = model_of(setup).double()
    weighting = weighting_of(model).double()
    p, w = literal_parameters(model), weighting.w.detach().clone().requires_grad_()
    images = random_images(4).double()

    def decayed(name: str) -> bool:
        return p[name].ndim > 1

    matrices = [value for name, value in model.named_parameters() if decayed(name)]
    others = [value for name, value in model.named_parameters() if not decayed(name)]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": decay},
            {"params": [*others, *weighting.parameters()], "weight_decay": 0.0},
        ],
        lr=lr,
    )
    values = {**p, "w": w}
    moments = {name: (torch.zeros_like(v), torch.zeros_like(v)) for name, v in values.items()}
    for step in (1, 2):
        optimizer.zero_grad()
        total_loss(model, model(images, partner=torch.tensor(PARTNER)), weighting, "linear").backward()
        optimizer.step()

        result = reference.forward(values, images, setup, partner=PARTNER)
        literal_loss(result, values["w"], "linear").backward()
        for name, value in list(values.items()):
            updated, moments[name] = reference.adamw_step(
                value.detach(),
                value.grad,
                moments[name],
                step,
                lr,
                decay if name != "w" and decayed(name) else 0.0,
            )
            values[name] = updated.requires_grad_()

    assert (weighting.w - w).abs().min() > lr  # two steps of about lr each
    assert_same(weighting.w, values["w"].detach(), 1e-9, "w")
    for name, value in model.named_parameters():
        assert_same(value, values[name].detach(), 1e-9, name)
