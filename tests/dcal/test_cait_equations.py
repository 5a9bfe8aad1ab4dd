"""DCAL on CaiT: every branch and its gradients against the literal float64 version of the equations."""

import pytest
import reference_cait
import torch
from reference_cait import CaitSetup
from small_cait import small_cait_dcal
from small_models import random_images
from test_equations import (
    PARTNER,
    assert_same,
    literal_loss,
    literal_parameters,
    total_loss,
    weighting_of,
)

import dcal
from dcal import talking_heads

CASES = {
    "baseline": CaitSetup(),
    "glca": CaitSetup(M=1),
    "glca, mean read-out": CaitSetup(M=1, readout="mean"),
    "glca, two blocks of three": CaitSetup(M=2, class_blocks=3, readout="mean"),
    "pwca own": CaitSetup(T=6),
    "pwca own, last 3": CaitSetup(T=3),
    "pwca own, class attention alone": CaitSetup(T=2),
    "pwca own, last": CaitSetup(T=1),
    "pwca figure": CaitSetup(T=6, stream="figure"),
    "pwca figure, last 3": CaitSetup(T=3, stream="figure"),
    "pwca figure, class attention alone": CaitSetup(T=2, stream="figure"),
    "pwca figure, last": CaitSetup(T=1, stream="figure"),
    "both": CaitSetup(M=1, T=6),
    "both, figure, mean": CaitSetup(M=1, T=6, stream="figure", readout="mean"),
    "both, bnneck": CaitSetup(M=1, T=6, head="bnneck"),
}


def model_of(setup: CaitSetup, pairing: str = "batch") -> dcal.DCAL:
    return small_cait_dcal(
        head=setup.head,
        glca=dcal.GLCASettings(blocks=setup.M, ratio=setup.R, readout=setup.readout) if setup.M else None,
        pwca=dcal.PWCASettings(blocks=setup.T, stream=setup.stream, pairing=pairing) if setup.T else None,
        class_blocks=setup.class_blocks,
    )


@pytest.mark.parametrize("name", CASES)
def test_cait_training_step_equals_the_equations_in_float64(name):
    """Features, logits, total loss, gradients of all parameters: relative difference below 1e-9."""
    setup = CASES[name]
    given = {"partner": PARTNER} if setup.T else {}
    compare_step(setup, given, torch.float64, 1e-9)


def test_cait_training_step_with_a_second_batch_equals_the_equations_in_float64():
    compare_step(
        CASES["both"], {"partner_images": random_images(4, seed=9)}, torch.float64, 1e-9, pairing="loader"
    )


def test_cait_training_step_in_parts_of_few_queries_equals_the_equations_in_float64(monkeypatch):
    """5 rows of queries at a time where the self-attention stream attends, 2 where PWCA does."""
    monkeypatch.setattr(talking_heads, "MAP_BYTES", 5 * 4 * 3 * 16 * 8)
    compare_step(CASES["both"], {"partner": PARTNER}, torch.float64, 1e-9)


def test_cait_training_step_equals_the_equations_in_float32():
    """As above at float32's precision: relative difference below 5e-4 (gradients that are 0 in theory come to 2e-7)."""
    compare_step(CASES["both"], {"partner": PARTNER}, torch.float32, 5e-4)


def compare_step(
    setup: CaitSetup, given: dict, dtype: torch.dtype, tolerance: float, pairing: str = "batch"
) -> None:
    model = model_of(setup, pairing).to(dtype)
    weighting = weighting_of(model).to(dtype)
    images = random_images(4).to(dtype)
    p = literal_parameters(model)
    w = weighting.w.detach().double().clone().requires_grad_() if weighting.w is not None else None

    tensors = {"partner": lambda i: torch.tensor(i), "partner_images": lambda x: x.to(dtype)}
    outputs = model(images, **{name: tensors[name](value) for name, value in given.items()})
    loss = total_loss(model, outputs, weighting, setup.head)
    loss.backward()

    if "partner_images" in given:
        given = {"partner_images": given["partner_images"].double()}
    result = reference_cait.forward(p, images.double(), setup, **given)
    expected = literal_loss(result, w, setup.head)
    expected.backward()

    assert list(outputs.branches()) == list(result.logits)
    for branch, output in outputs.branches().items():
        assert_same(output.feature, result.features[branch], tolerance, f"{branch} feature")
        assert_same(output.logits, result.logits[branch], tolerance, f"{branch} logits")
    assert_same(loss, expected, tolerance, "total loss")
    for name, value in model.named_parameters():
        if value.requires_grad:
            assert value.grad is not None, f"{name} got no gradient"
            assert_same(value.grad, p[name].grad, tolerance, f"gradient of {name}")


def test_cait_selects_the_class_token_and_the_literal_rollouts_top_patches():
    setup = CaitSetup(M=1)
    model = model_of(setup).double()
    images = random_images(8).double()
    chosen = []
    select = model.glca.select
    model.glca.select = lambda *given: chosen.append(select(*given)) or chosen[-1]
    model(images)
    expected = reference_cait.forward(literal_parameters(model), images, setup).selected
    assert len(expected[0]) == 4  # ⌊0.25 · 16⌋
    assert chosen[0][:, 0].tolist() == [0] * 8
    assert [row[1:].tolist() for row in chosen[0]] == [row.tolist() for row in expected]
