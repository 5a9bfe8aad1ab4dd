"""Which adapter stands between a timm model and the method."""

from __future__ import annotations

from timm.models.vision_transformer import VisionTransformer
from torch import nn

from dcal.plain_vit import PlainViT


def adapter_for(model: nn.Module) -> PlainViT:
    """The adapter of a timm model's family. Raises ValueError for families that have none."""
    if isinstance(model, VisionTransformer):
        return PlainViT(model)
    raise ValueError(
        f"DCAL has no adapter for {type(model).__name__}: expected a timm VisionTransformer (ViT, DeiT, hybrid). "
        "To add a family, write its adapter beside dcal/plain_vit.py"
    )
