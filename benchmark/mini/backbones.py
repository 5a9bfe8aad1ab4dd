"""Small stand-ins of the paper's backbones, registered with timm under the names in `benchmark.backbones`.

Each is made of timm's own classes only and has the depth (12 blocks), the token layout and the state
dict names of the model it stands for; only the width and the picture are small. Native input 48×48
(36 patch tokens), meant for fine-tuning at 64×64 (64 tokens). Importing this module registers them.
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
from timm.models.resnetv2 import ResNetV2
from timm.models.vision_transformer import VisionTransformer, _create_vision_transformer
from timm.models.vision_transformer_hybrid import _create_vision_transformer_hybrid
from torch import nn

from benchmark.mini.generic import WORLDS
from benchmark.mini.identity import weights_file

INPUT_SIZE = (3, 48, 48)
ARCHITECTURES = (
    "mini_deit_tiny_patch8_48",
    "mini_deit_small_patch8_48",
    "mini_deit_base_patch8_48",
    "mini_vit_base_patch8_48",
    "mini_vit_base_r50_s8_48",
)
# As in reality, the two ViT-Base models saw another and larger set of classes than the DeiT models.
WORLD_OF = {name: "large" if "mini_vit" in name else "small" for name in ARCHITECTURES}


def _cfg(architecture: str) -> dict[str, Any]:
    deit = WORLD_OF[architecture] == "small"
    hybrid = "_r50_" in architecture
    return {
        "url": "",
        "file": str(weights_file(f"{architecture}.generic")),
        "num_classes": WORLDS[WORLD_OF[architecture]].classes,
        "input_size": INPUT_SIZE,
        "pool_size": None,
        "crop_pct": 0.9,
        "interpolation": "bicubic",
        "fixed_input_size": True,
        "mean": IMAGENET_DEFAULT_MEAN if deit else IMAGENET_INCEPTION_MEAN,
        "std": IMAGENET_DEFAULT_STD if deit else IMAGENET_INCEPTION_STD,
        "first_conv": "patch_embed.backbone.stem.conv" if hybrid else "patch_embed.proj",
        "classifier": "head",
    }


default_cfgs = generate_default_cfgs({f"{name}.generic": _cfg(name) for name in ARCHITECTURES})


def _vit(
    variant: str, pretrained: bool, width: int, heads: int, options: dict[str, Any]
) -> VisionTransformer:
    defaults = {"img_size": 48, "patch_size": 8, "embed_dim": width, "depth": 12, "num_heads": heads}
    return _create_vision_transformer(variant, pretrained=pretrained, **{**defaults, **options})


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
def mini_deit_tiny_patch8_48(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """Stand-in of DeiT-Tiny: width 48, 3 heads."""
    return _vit("mini_deit_tiny_patch8_48", pretrained, 48, 3, kwargs)


@register_model
def mini_deit_small_patch8_48(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """Stand-in of DeiT-Small: width 64, 4 heads."""
    return _vit("mini_deit_small_patch8_48", pretrained, 64, 4, kwargs)


@register_model
def mini_deit_base_patch8_48(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """Stand-in of DeiT-Base: width 72, 4 heads."""
    return _vit("mini_deit_base_patch8_48", pretrained, 72, 4, kwargs)


@register_model
def mini_vit_base_patch8_48(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """Stand-in of ViT-Base: DeiT-Base's architecture with other pretraining."""
    return _vit("mini_vit_base_patch8_48", pretrained, 72, 4, kwargs)


@register_model
def mini_vit_base_r50_s8_48(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """Stand-in of R50-ViT-Base: a ResNetV2 stem of stride 8, then 12 blocks of width 64, 4 heads."""
    defaults = {"img_size": 48, "embed_dim": 64, "depth": 12, "num_heads": 4}
    backbone = _small_resnet(kwargs.get("in_chans", 3))
    return _create_vision_transformer_hybrid(
        "mini_vit_base_r50_s8_48", backbone=backbone, pretrained=pretrained, **{**defaults, **kwargs}
    )
