"""Choice of the adapter between a timm model and the method."""

from __future__ import annotations

from timm.models.cait import Cait
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from dcal.backbones.cait import PatchThenClassViT
from dcal.backbones.swin import Swin
from dcal.backbones.vit import PlainViT

Backbone = PlainViT | PatchThenClassViT | Swin
EXPECTED = "a timm VisionTransformer (ViT, DeiT, hybrid), Cait or SwinTransformer"


def make_adapter(model: nn.Module) -> Backbone:
    """Adapter of a timm model by its family. Raises ValueError for a family without adapter."""
    if isinstance(model, VisionTransformer):
        return PlainViT(model)
    if isinstance(model, SwinTransformer):
        return Swin(model)
    if isinstance(model, Cait):
        return PatchThenClassViT(model)
    raise ValueError(
        f"DCAL has no adapter for {type(model).__name__}: expected {EXPECTED}. To add a family, write its adapter "
        "beside dcal/backbones/vit.py"
    )
