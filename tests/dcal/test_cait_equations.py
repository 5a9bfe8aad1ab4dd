"""DCAL on CaiT: every branch and its gradients against the literal float64 version of the equations."""

import pytest
import reference_cait
import torch
from literal_step import PARTNER, branches_of, compare_step, selections
from reference_cait import CaitSetup
from small_cait import small_cait_dcal
from small_models import random_images

import dcal
from dcal.backbones import talking_heads

CASES = {
    "baseline": CaitSetup(),
    "glca": CaitSetup(M=1),
    "glca, mean read-out": CaitSetup(M=1, readout="mean"),
    "glca, two blocks of three": CaitSetup(M=2, class_blocks=3, readout="mean"),
    "glca, local keys": CaitSetup(M=1, keys="local"),
    "glca, by attention, local keys, two blocks of three": CaitSetup(
        M=2, class_blocks=3, select="attention", keys="local", readout="mean"
    ),
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
    return small_cait_dcal(class_blocks=setup.class_blocks, **branches_of(setup, pairing))


@pytest.mark.parametrize("name", CASES)
def test_cait_training_step_equals_the_equations_in_float64(name):
    """Features, logits, total loss, gradients of all parameters: relative difference below 1e-9."""
    setup = CASES[name]
    given = {"partner": PARTNER} if setup.T else {}
    compare_step(model_of(setup), reference_cait.forward, setup, given, torch.float64, 1e-9)


def test_cait_training_step_with_a_second_batch_equals_the_equations_in_float64():
    setup, given = CASES["both"], {"partner_images": random_images(4, seed=9)}
    compare_step(model_of(setup, "loader"), reference_cait.forward, setup, given, torch.float64, 1e-9)


def test_cait_training_step_in_parts_of_few_queries_equals_the_equations_in_float64(monkeypatch):
    """5 rows of queries at a time where the self-attention stream attends, 2 where PWCA does."""
    monkeypatch.setattr(talking_heads, "MAP_BYTES", 5 * 4 * 3 * 16 * 8)
    setup = CASES["both"]
    compare_step(model_of(setup), reference_cait.forward, setup, {"partner": PARTNER}, torch.float64, 1e-9)


def test_cait_training_step_equals_the_equations_in_float32():
    """As above at float32's precision: relative difference below 5e-4 (gradients that are 0 in theory come to 2e-7)."""
    setup = CASES["both"]
    compare_step(model_of(setup), reference_cait.forward, setup, {"partner": PARTNER}, torch.float32, 5e-4)


@pytest.mark.parametrize("select", ["rollout", "attention"])
def test_cait_selects_the_class_token_and_the_literal_rollouts_top_patches(select):
    setup = CaitSetup(M=1, select=select)
    model = model_of(setup).double()
    chosen, expected = selections(model, reference_cait.forward, setup, random_images(8).double())
    assert len(expected[0]) == 4  # ⌊0.25 · 16⌋
    assert chosen[:, 0].tolist() == [0] * 8
    assert [row[1:].tolist() for row in chosen] == [row.tolist() for row in expected]
