"""Blocks run again in the backward pass: the same loss and gradients, and nothing kept from inside a block."""

import pytest
import torch
from small_models import random_images, small_dcal

import dcal

METHODS = {
    "baseline": {},
    "dcal": {"glca": dcal.GLCASettings(ratio=0.25), "pwca": dcal.PWCASettings()},
    "figure, T = 5": {"pwca": dcal.PWCASettings(stream="figure", blocks=5)},
}


def step(settings: dict, *, again: bool) -> tuple[torch.Tensor, dict[str, torch.Tensor], int]:
    """Loss, gradients, and bytes kept for the backward pass, with stochastic depth drawing from the same state."""
    model = small_dcal(drop_path=0.3, **settings)
    model.set_grad_checkpointing(again)
    torch.manual_seed(3)
    kept = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = model(random_images(6))
    loss = sum(branch.logits.square().mean() for branch in outputs.branches().values())
    loss.backward()
    return (
        loss.detach(),
        {name: p.grad for name, p in model.named_parameters() if p.grad is not None},
        sum(kept.values()),
    )


@pytest.mark.parametrize("settings", METHODS.values(), ids=METHODS)
def test_gradients_are_the_same_and_less_is_kept(settings):
    loss, gradients, kept = step(settings, again=False)
    loss_again, gradients_again, kept_again = step(settings, again=True)
    torch.testing.assert_close(loss_again, loss)
    torch.testing.assert_close(gradients_again, gradients)
    assert kept_again < 0.6 * kept
