"""A training step of the model beside the same step by the literal equations in float64."""

from collections.abc import Callable

import reference
import torch
from small_models import random_images
from torch.nn import functional as F

import dcal

# Distractors of a batch of four, a derangement, and labels that give every anchor a positive and a negative.
PARTNER = [2, 0, 3, 1]
LABELS = [0, 3, 0, 3]


def branches_of(setup, pairing: str = "batch") -> dict:
    """What a literal setup asks of the model. setup: reference's or reference_cait's."""
    glca = {"ratio": setup.R, "readout": setup.readout, "select": setup.select, "keys": setup.keys}
    return {
        "head": setup.head,
        "glca": dcal.GLCASettings(blocks=setup.M, **glca) if setup.M else None,
        "pwca": dcal.PWCASettings(blocks=setup.T, stream=setup.stream, pairing=pairing) if setup.T else None,
    }


def literal_parameters(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {
        name: value.detach().double().clone().requires_grad_()
        for name, value in model.state_dict().items()
        if value.is_floating_point()
    }


def total_loss(
    model: dcal.DCAL, outputs: dcal.Outputs, weighting: torch.nn.Module, head: str
) -> torch.Tensor:
    labels = torch.tensor(LABELS)
    losses = {}
    for name, branch in outputs.branches().items():
        losses[name] = F.cross_entropy(branch.logits, labels)
        if head == "bnneck":
            losses[name] = losses[name] + _triplet(branch.feature, labels)
    return weighting(losses)


def _triplet(feature: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The model's triplet loss is float32 by design and tested on its own; here the equation in float64."""
    return reference.soft_margin_triplet(feature, labels.tolist())


def literal_loss(result: reference.Result, w: torch.Tensor | None, head: str) -> torch.Tensor:
    losses = []
    for branch, logits in result.logits.items():
        loss = reference.cross_entropy(logits, LABELS)
        if head == "bnneck":
            loss = loss + reference.soft_margin_triplet(result.features[branch], LABELS)
        losses.append(loss)
    return losses[0] if w is None else reference.uncertainty_loss(losses, w)


def weighting_of(model: dcal.DCAL) -> dcal.UncertaintyWeighting:
    weighting = dcal.UncertaintyWeighting(model.branch_names)
    if weighting.w is not None:
        with torch.no_grad():
            weighting.w.copy_(torch.tensor([0.3, -0.7, 1.1])[: len(weighting.w)])
    return weighting


def compare_step(
    model: dcal.DCAL, forward: Callable, setup, given: dict, dtype: torch.dtype, tolerance: float
) -> None:
    """A step of four images, everything in it within a relative difference.

    given: the distractors, {"partner": rows} or {"partner_images": images}. forward: the literal one, of setup.
    """
    model = model.to(dtype)
    weighting = weighting_of(model).to(dtype)
    images = random_images(4).to(dtype)
    p = literal_parameters(model)
    w = weighting.w.detach().double().clone().requires_grad_() if weighting.w is not None else None

    tensors = {"partner": torch.tensor, "partner_images": lambda x: x.to(dtype)}
    outputs = model(images, **{name: tensors[name](value) for name, value in given.items()})
    loss = total_loss(model, outputs, weighting, setup.head)
    loss.backward()

    if "partner_images" in given:
        given = {"partner_images": given["partner_images"].double()}
    result = forward(p, images.double(), setup, **given)
    expected = literal_loss(result, w, setup.head)
    expected.backward()

    assert_as_literal(model, outputs, loss, p, result, expected, tolerance)
    if w is not None:
        assert_same(weighting.w.grad, w.grad, tolerance, "gradient of w")


def assert_as_literal(
    model: dcal.DCAL,
    outputs: dcal.Outputs,
    loss: torch.Tensor,
    p: dict[str, torch.Tensor],
    result: reference.Result,
    expected: torch.Tensor,
    tolerance: float,
) -> None:
    """Branches, total loss and every parameter's gradient after both backward passes.

    p, result, expected: the literal parameters, outputs and loss.
    """
    assert list(outputs.branches()) == list(result.logits)
    for branch, output in outputs.branches().items():
        assert_same(output.feature, result.features[branch], tolerance, f"{branch} feature")
        assert_same(output.logits, result.logits[branch], tolerance, f"{branch} logits")
    assert_same(loss, expected, tolerance, "total loss")
    for name, value in model.named_parameters():
        if value.requires_grad:
            assert value.grad is not None, f"{name} got no gradient"
            assert_same(value.grad, p[name].grad, tolerance, f"gradient of {name}")


def selections(
    model: dcal.DCAL, forward: Callable, setup, images: torch.Tensor
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Tokens that the model's GLCA chooses, a row an image, and the patches that the literal one does."""
    chosen = []
    select = model.glca.select
    model.glca.select = lambda *given: chosen.append(select(*given)) or chosen[-1]
    model(images)
    return chosen[0], forward(literal_parameters(model), images, setup).selected


def assert_same(found: torch.Tensor, expected: torch.Tensor, tolerance: float, what: str) -> None:
    """Largest difference, relative to the largest value expected."""
    assert found.shape == expected.shape, what
    scale = max(expected.abs().max().item(), 1e-3)
    difference = (found.double() - expected).abs().max().item() / scale
    assert difference < tolerance, (
        f"{what}: differs by {difference:.1e} of {scale:.1e}, allowed {tolerance:.0e}"
    )
