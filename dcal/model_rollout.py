"""Rollout of a model of any family on a batch of images."""

from __future__ import annotations

import torch
from timm.models.cait import Cait
from torch import Tensor, nn

from dcal.backbones.class_token import ClassTokenBackbone
from dcal.head_fusion import HeadFusion
from dcal.hooks import RolloutHooks
from dcal.inspection import inspect, inspect_vit
from dcal.model import DCAL
from dcal.rolled_out import Layers, Rollout


@torch.no_grad()
def rollout(
    model: nn.Module, images: Tensor, layers: Layers | None = None, head_fusion: HeadFusion = "mean"
) -> Rollout:
    """Accumulated attention of the class token (Eq. 2) in one forward pass.

    model: a DCAL model, a timm VisionTransformer or Cait, or whatever ``RolloutHooks`` knows, in eval mode.
    images: (B, 3, h, w), normalised.
    layers: (a, b), counted from 1; None: 1 … L−M, the blocks by which GLCA selects, with M = 1 in a model without GLCA.
    head_fusion: ``mean`` (the method's), ``max`` or ``min``, as in ``rollout_row``.
    Raises ValueError for a model in training mode, and as ``inspect`` and ``RolloutHooks``.
    """
    if model.training:
        raise ValueError(
            "rollout looks at a model in eval mode, found one in training mode: call model.eval()"
        )
    if isinstance(model, DCAL | Cait | ClassTokenBackbone):
        inspect_model = inspect if isinstance(model, DCAL) else inspect_vit
        maps = inspect_model(model, images, layers, head_fusion)
        return Rollout(maps.rollout, maps.layers, grid=maps.grid)
    with RolloutHooks(model) as hooks:
        model(images)
    return hooks.rollout(layers, head_fusion)
