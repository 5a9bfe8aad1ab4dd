"""Blocks run again in the backward pass against the same step without."""

from collections.abc import Callable

import torch

import dcal


def assert_same_with_less_kept(build: Callable[[], dcal.DCAL], images: torch.Tensor) -> None:
    """Equal loss and gradients, stochastic depth drawing from the same state; bytes kept for the backward pass fall
    below 0.6. build: makes the same model every time."""
    (loss, gradients, kept), (loss_again, gradients_again, kept_again) = (
        _step(build(), images, again=again) for again in (False, True)
    )
    torch.testing.assert_close(loss_again, loss)
    torch.testing.assert_close(gradients_again, gradients)
    assert kept_again < 0.6 * kept


def _step(
    model: dcal.DCAL, images: torch.Tensor, *, again: bool
) -> tuple[torch.Tensor, dict[str, torch.Tensor], int]:
    """Loss, gradients, and bytes kept for the backward pass."""
    model.set_grad_checkpointing(again)
    torch.manual_seed(3)
    kept = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        outputs = model(images)
    loss = sum(branch.logits.square().mean() for branch in outputs.branches().values())
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return loss.detach(), gradients, sum(kept.values())
