"""Swin's branches and all gradients against the literal float64 version of the equations."""

import pytest
import reference
import reference_swin
import torch
from literal_step import assert_as_literal, literal_parameters
from reference_swin import Setup
from small_models import random_images
from small_swin import DEPTHS, HEADS, PATCH, SIZES, WINDOW, small_swin_dcal
from torch.nn import functional as F

import dcal

PARTNER = [2, 0, 1]
LABELS = [0, 3, 4]

# size, T, stream, pairing, head
CASES = {
    "baseline, whole windows": ("whole", 0, "own", "batch", "linear"),
    "baseline, filled windows": ("filled", 0, "own", "batch", "linear"),
    "own, whole windows": ("whole", 8, "own", "batch", "linear"),
    "own, filled windows": ("filled", 8, "own", "batch", "linear"),
    "own, tall": ("tall", 8, "own", "batch", "linear"),
    "own, filled windows, loader": ("filled", 8, "own", "loader", "linear"),
    "own, bnneck": ("tall", 8, "own", "batch", "bnneck"),
    "own from the middle of a stage": ("filled", 5, "own", "batch", "linear"),
    "own from a stage's start": ("filled", 6, "own", "loader", "linear"),
    "own, last block": ("tall", 1, "own", "batch", "linear"),
    "figure": ("filled", 8, "figure", "batch", "linear"),
    "figure from the middle of a stage": ("tall", 5, "figure", "loader", "linear"),
}


@pytest.mark.parametrize("name", CASES)
def test_swins_training_step_equals_the_equations_in_float64(name):
    """Logits, features, total loss and gradients of all parameters: relative difference below 1e-9."""
    compare_step(CASES[name], torch.float64, 1e-9)


@pytest.mark.parametrize("name", ["own, filled windows", "own, tall"])
def test_swins_training_step_equals_the_equations_in_float32(name):
    compare_step(CASES[name], torch.float32, 1e-4)


def compare_step(case: tuple, dtype: torch.dtype, tolerance: float) -> None:
    size, T, stream, pairing, head = case
    pwca = dcal.PWCASettings(blocks=T, stream=stream, pairing=pairing) if T else None
    model = small_swin_dcal(SIZES[size], head=head, pwca=pwca).to(dtype)
    weighting = dcal.UncertaintyWeighting(model.branch_names).to(dtype)
    images, others = (random_images(3, SIZES[size], seed).to(dtype) for seed in (1, 9))
    p = literal_parameters(model)

    given = {}
    if T:
        given = {"partner": PARTNER} if pairing == "batch" else {"partner_images": others}
    outputs = model(images, **{name: torch.as_tensor(value) for name, value in given.items()})
    labels = torch.tensor(LABELS)
    loss = weighting({name: F.cross_entropy(b.logits, labels) for name, b in outputs.branches().items()})
    loss.backward()

    if "partner_images" in given:
        given["partner_images"] = others.double()
    setup = Setup(DEPTHS, HEADS, WINDOW, PATCH, T, stream, head)
    result = reference_swin.forward(p, images.double(), setup, **given)
    losses = [reference.cross_entropy(logits, LABELS) for logits in result.logits.values()]
    expected = reference.uncertainty_loss(losses, torch.zeros(2)) if T else losses[0]
    expected.backward()

    assert_as_literal(model, outputs, loss, p, result, expected, tolerance)
