"""Small stand-ins of the paper's families, registered with timm so that `dcal.build` finds them.

12 blocks each, heads of width 16, 4 × 4 patches at the native input size. `FAMILIES` has one row for every
backbone of Table 1: a family added to the table is added here and every test that runs over families finds it.
"""

from functools import partial

import timm
import torch
from timm.layers import GroupNormAct, HybridEmbed, StdConv2dSame
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.resnetv2 import ResNetV2
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn

import dcal


def small_cfg(
    *, first_conv: str = "patch_embed.proj", classifier: str = "head", side: int = 32, **more
) -> dict:
    """What timm keeps of an architecture's weights. side: native input size; more: keys of a family's own."""
    return {
        "hf_hub_id": "timm/",
        "num_classes": 0,
        "input_size": (3, side, side),
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
        "first_conv": first_conv,
        "classifier": classifier,
        **more,
    }


default_cfgs = generate_default_cfgs(
    {
        "small_vit.test": small_cfg(),
        "small_hybrid.test": small_cfg(side=64, first_conv="patch_embed.backbone.stem.conv"),
    }
)


@register_model
def small_vit(pretrained: bool = False, **kwargs) -> VisionTransformer:
    arguments = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "num_heads": 3, "depth": 12} | kwargs
    return build_model_with_cfg(
        VisionTransformer, "small_vit", pretrained, pretrained_filter_fn=checkpoint_filter_fn, **arguments
    )


@register_model
def small_hybrid(pretrained: bool = False, **kwargs) -> VisionTransformer:
    """A ResNet stem of stride 16 with the layers of the R50 hybrid's, one unit a stage."""
    stem = ResNetV2(
        layers=(1, 1, 1),
        channels=(16, 32, 64),
        stem_chs=16,
        num_classes=0,
        global_pool="",
        preact=False,
        stem_type="same",
        conv_layer=partial(StdConv2dSame, eps=1e-8),
        norm_layer=partial(GroupNormAct, num_groups=4),
    )
    arguments = {"img_size": 64, "patch_size": 1, "embed_dim": 48, "num_heads": 3, "depth": 12} | kwargs
    return build_model_with_cfg(
        VisionTransformer,
        "small_hybrid",
        pretrained,
        pretrained_filter_fn=checkpoint_filter_fn,
        embed_layer=partial(HybridEmbed, backbone=stem),
        **arguments,
    )


# Table 1's backbones: architecture and what tells it apart here (heads as in the original, 16 wide).
FAMILIES = {
    "deit_tiny": ("small_vit", {"embed_dim": 48, "num_heads": 3}),
    "deit_small": ("small_vit", {"embed_dim": 96, "num_heads": 6}),
    "deit_base": ("small_vit", {"embed_dim": 192, "num_heads": 12}),
    "vit_base": ("small_vit", {"embed_dim": 192, "num_heads": 12}),
    "r50_vit_base": ("small_hybrid", {"embed_dim": 192, "num_heads": 12}),
}
NATIVE = {"small_vit": 32, "small_hybrid": 64}


def small_backbone(family: str = "deit_tiny", **kwargs) -> VisionTransformer:
    """A headless timm model of a family."""
    architecture, arguments = FAMILIES[family]
    return timm.create_model(architecture, **({"num_classes": 0} | arguments | kwargs))


def spread_out(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Gives every parameter a size at which it shows in the outputs: timm's initialisation leaves attention
    almost uniform and all biases 0, so a wrong softmax, scale or bias could hide in it."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            if parameter.ndim == 1 and name.endswith("weight"):
                parameter.copy_(1 + 0.2 * noise)  # normalisation
            elif parameter.ndim == 1:
                parameter.copy_(0.2 * noise)
            elif "qkv" in name:
                parameter.copy_(2.0 * noise / parameter.shape[-1] ** 0.5)
            else:
                parameter.copy_(noise / parameter[0].numel() ** 0.5)
    return model


def small_dcal(
    *,
    classes: int = 5,
    image_size: int | tuple[int, int] = 32,
    seed: int = 0,
    drop_path: float = 0.0,
    **settings,
) -> dcal.DCAL:
    """A DCAL model of the small ViT with visible weights, in training mode, without stochastic depth."""
    torch.manual_seed(seed)
    model = dcal.build(
        "small_vit.test", classes, image_size=image_size, weights="random", drop_path=drop_path, **settings
    )
    return spread_out(model, seed).train()


def random_images(count: int, size: int | tuple[int, int] = 32, seed: int = 1) -> torch.Tensor:
    height, width = (size, size) if isinstance(size, int) else size
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(seed))
