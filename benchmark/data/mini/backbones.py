"""Small stand-ins of the paper's backbones, registered with timm under the names in `benchmark.config.backbones`.

Each is made of timm's own classes only and has the depth, the token layout and the state dict names of the
model it stands for: 12 blocks, CaiT's 24 and 2, Swin's (2, 2, 6, 2); only the width and the picture are small.
Native input 48×48 (36 patch tokens), meant for fine-tuning at 64×64 (64 tokens) and 64×32. Importing this module
registers them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from timm.data import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    IMAGENET_INCEPTION_MEAN,
    IMAGENET_INCEPTION_STD,
)
from timm.layers import GroupNormAct, StdConv2dSame
from timm.models import generate_default_cfgs, register_model
from timm.models.cait import Cait, _create_cait
from timm.models.resnetv2 import ResNetV2
from timm.models.swin_transformer import SwinTransformer, _create_swin_transformer
from timm.models.vision_transformer import VisionTransformer, _create_vision_transformer
from timm.models.vision_transformer_hybrid import _create_vision_transformer_hybrid
from torch import nn

from benchmark.config.backbones import weights_file
from benchmark.data.mini.generic import WORLDS

INPUT_SIZE = (3, 48, 48)
ARCHITECTURES = (
    "mini_deit_tiny_patch8_48",
    "mini_deit_small_patch8_48",
    "mini_deit_base_patch8_48",
    "mini_vit_base_patch8_48",
    "mini_vit_base_r50_s8_48",
    "mini_cait_xs24_48",
    "mini_swin_tiny_48",
)
# As in reality, the two ViT-Base models saw another and larger set of classes than the others.
WORLD_OF = {name: "large" if "mini_vit" in name else "small" for name in ARCHITECTURES}


def _cfg(architecture: str) -> dict[str, Any]:
    imagenet_1k = WORLD_OF[architecture] == "small"
    hybrid, swin = "_r50_" in architecture, "_swin_" in architecture
    return {
        "url": "",
        "file": str(weights_file(f"{architecture}.generic")),
        "num_classes": WORLDS[WORLD_OF[architecture]].classes,
        "input_size": INPUT_SIZE,
        "pool_size": (3, 3) if swin else None,
        "crop_pct": 0.9,
        "interpolation": "bicubic",
        "fixed_input_size": True,
        "mean": IMAGENET_DEFAULT_MEAN if imagenet_1k else IMAGENET_INCEPTION_MEAN,
        "std": IMAGENET_DEFAULT_STD if imagenet_1k else IMAGENET_INCEPTION_STD,
        "first_conv": "patch_embed.backbone.stem.conv" if hybrid else "patch_embed.proj",
        "classifier": "head.fc" if swin else "head",
    }


default_cfgs = generate_default_cfgs({f"{name}.generic": _cfg(name) for name in ARCHITECTURES})


def _register_vit(name: str, width: int, heads: int) -> None:
    """Register a ViT of 12 blocks with patches of 8×8 pixels under ``name``."""

    def build(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
        defaults = {"img_size": 48, "patch_size": 8, "embed_dim": width, "depth": 12, "num_heads": heads}
        return _create_vision_transformer(name, pretrained=pretrained, **{**defaults, **kwargs})

    build.__name__ = build.__qualname__ = name
    register_model(build)


_register_vit("mini_deit_tiny_patch8_48", width=48, heads=3)
_register_vit("mini_deit_small_patch8_48", width=64, heads=4)
_register_vit("mini_deit_base_patch8_48", width=72, heads=4)
_register_vit("mini_vit_base_patch8_48", width=72, heads=4)  # DeiT-Base's architecture with other pretraining


def _small_resnet(in_chans: int = 3) -> nn.Module:
    """Two stages of ResNetV2 with weight standardisation and GroupNorm, stride 8: (B, 128, H/8, W/8)."""
    return ResNetV2(
        layers=(1, 1),
        channels=(64, 128),
        stem_chs=32,
        num_classes=0,
        in_chans=in_chans,
        global_pool="",
        preact=False,
        stem_type="same",
        conv_layer=partial(StdConv2dSame, eps=1e-8),
        norm_layer=partial(GroupNormAct, num_groups=8),  # the default 32 groups do not divide 16 channels
    )


@register_model
def mini_vit_base_r50_s8_48(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """Stand-in of R50-ViT-Base: a ResNetV2 stem of stride 8, then 12 blocks of width 64, 4 heads."""
    defaults = {"img_size": 48, "embed_dim": 64, "depth": 12, "num_heads": 4}
    backbone = _small_resnet(kwargs.get("in_chans", 3))
    return _create_vision_transformer_hybrid(
        "mini_vit_base_r50_s8_48", backbone=backbone, pretrained=pretrained, **{**defaults, **kwargs}
    )


@register_model
def mini_cait_xs24_48(pretrained: bool = False, **kwargs: Any) -> Cait:
    """Stand-in of CaiT-XS24: width 48, 4 heads, 24 talking-head and 2 class-attention blocks.

    LayerScale starts at 0.1: the original's 1e-5 is meant for hundreds of epochs of pretraining, not for minutes.
    """
    defaults = {
        "img_size": 48,
        "patch_size": 8,
        "embed_dim": 48,
        "depth": 24,
        "num_heads": 4,
        "init_values": 0.1,
    }
    return _create_cait("mini_cait_xs24_48", pretrained=pretrained, **{**defaults, **kwargs})


@register_model
def mini_swin_tiny_48(pretrained: bool = False, **kwargs: Any) -> SwinTransformer:
    """Stand-in of Swin-T: depths (2, 2, 6, 2), widths 16 to 128, 1 to 8 heads, patch 2, windows of 4×4.

    At 48×48 the maps are 24, 12, 6 and 3 wide; at 64×64 the windows fill them exactly, as 7×7 do at 224×224; at 64×32
    the last map is smaller than a window, as at 256×128.
    """
    defaults = {
        "img_size": 48,
        "patch_size": 2,
        "embed_dim": 16,
        "depths": (2, 2, 6, 2),
        "num_heads": (1, 2, 4, 8),
        "window_size": 4,
    }
    return _create_swin_transformer("mini_swin_tiny_48", pretrained=pretrained, **{**defaults, **kwargs})
