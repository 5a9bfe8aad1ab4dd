"""Every branch, its gradients and one optimizer step against the literal float64 version of the equations."""

import pytest
import reference
import torch
from reference import Setup
from small_models import random_images, small_dcal
from torch.nn import functional as F

import dcal

# Distractors of a batch of four, a derangement, and labels that give every anchor a positive and a negative.
PARTNER = [2, 0, 3, 1]
LABELS = [0, 3, 0, 3]

CASES = {
    "baseline": Setup(),
    "glca": Setup(M=1),
    "glca, mean read-out": Setup(M=1, readout="mean"),
    "glca, two blocks": Setup(M=2),
    "glca, two blocks, mean read-out": Setup(M=2, readout="mean"),
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
    return small_dcal(
        head=setup.head,
        glca=dcal.GLCASettings(blocks=setup.M, ratio=setup.R, readout=setup.readout) if setup.M else None,
        pwca=dcal.PWCASettings(blocks=setup.T, stream=setup.stream, pairing=pairing) if setup.T else None,
    )


def literal_parameters(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {
        name: value.detach().double().clone().requires_grad_()
        for name, value in model.state_dict().items()
        if value.is_floating_point()
    }


def distractors(setup: Setup, pairing: str) -> dict:
    if not setup.T:
        return {}
    if pairing == "loader":
        return {"partner_images": random_images(4, seed=9)}
    return {"partner": torch.tensor(PARTNER)}


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


def assert_same(found: torch.Tensor, expected: torch.Tensor, tolerance: float, what: str) -> None:
    """Largest difference, relative to the largest value expected."""
    assert found.shape == expected.shape, what
    scale = max(expected.abs().max().item(), 1e-3)
    difference = (found.double() - expected).abs().max().item() / scale
    assert difference < tolerance, (
        f"{what}: differs by {difference:.1e} of {scale:.1e}, allowed {tolerance:.0e}"
    )


@pytest.mark.parametrize(("name", "pairing"), PAIRINGS)
def test_training_step_equals_the_equations_in_float64(name, pairing):
    """Logits, features, total loss, gradients of all parameters and of w: relative difference below 1e-9."""
    compare_step(CASES[name], pairing, torch.float64, 1e-9)


@pytest.mark.parametrize("name", ["glca, two blocks, mean read-out", "both", "both, figure", "both, bnneck"])
def test_training_step_equals_the_equations_in_float32(name):
    """As above at float32's precision: relative difference below 1e-4."""
    compare_step(CASES[name], "batch", torch.float32, 1e-4)


def compare_step(setup: Setup, pairing: str, dtype: torch.dtype, tolerance: float) -> None:
    model = model_of(setup, pairing).to(dtype)
    weighting = weighting_of(model).to(dtype)
    images, pairs = random_images(4).to(dtype), distractors(setup, pairing)
    p = literal_parameters(model)
    w = weighting.w.detach().double().clone().requires_grad_() if weighting.w is not None else None

    outputs = model(images, **{k: v.to(dtype) if v.is_floating_point() else v for k, v in pairs.items()})
    loss = total_loss(model, outputs, weighting, setup.head)
    loss.backward()

    if "partner" in pairs:
        pairs = {"partner": PARTNER}
    elif pairs:
        pairs = {"partner_images": pairs["partner_images"].double()}
    result = reference.forward(p, images.double(), setup, **pairs)
    expected = literal_loss(result, w, setup.head)
    expected.backward()

    assert list(outputs.branches()) == list(result.logits)
    for branch, output in outputs.branches().items():
        assert_same(output.feature, result.features[branch], tolerance, f"{branch} feature")
        assert_same(output.logits, result.logits[branch], tolerance, f"{branch} logits")
    assert_same(loss, expected, tolerance, "total loss")
    if w is not None:
        assert_same(weighting.w.grad, w.grad, tolerance, "gradient of w")
    trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
    for name, value in trained.items():
        assert value.grad is not None, f"{name} got no gradient"
        assert_same(value.grad, p[name].grad, tolerance, f"gradient of {name}")


@pytest.mark.parametrize("blocks", [1, 2])
def test_selected_tokens_are_the_class_token_and_the_literal_rollouts_top_patches(blocks):
    setup = Setup(M=blocks)
    model = model_of(setup).double()
    images = random_images(4).double()
    chosen = []
    select = model.glca.select
    model.glca.select = lambda *given: chosen.append(select(*given)) or chosen[-1]
    model(images)
    expected = reference.forward(literal_parameters(model), images, setup).selected
    assert len(expected[0]) == 4  # ⌊0.25 · 16⌋
    assert chosen[0][:, 0].tolist() == [0] * 4
    assert [set(row[1:].tolist()) for row in chosen[0]] == [set(row.tolist()) for row in expected]


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
