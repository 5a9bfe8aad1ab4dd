"""A small Cait, registered with timm: 4 talking-head blocks on 4 × 4 patches and 2 class-attention blocks, 3 heads.

Blocks and heads differ in number, and none of them equals the number of patches, so that mixed-up axes cannot fit.
"""

import timm
import torch
from small_models import small_cfg, spread_out
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.cait import Cait, checkpoint_filter_fn

import dcal
from dcal.backbones import make_adapter
from dcal.model import DCAL

PATCH_BLOCKS, L, HEADS = 4, 6, 3

default_cfgs = generate_default_cfgs({"small_cait.test": small_cfg()})


@register_model
def small_cait(pretrained: bool = False, **kwargs) -> Cait:
    arguments = {
        "img_size": 32,
        "patch_size": 8,
        "embed_dim": 24,
        "num_heads": HEADS,
        "depth": PATCH_BLOCKS,
        "depth_token_only": L - PATCH_BLOCKS,
        "init_values": 1e-5,
    }
    return build_model_with_cfg(
        Cait, "small_cait", pretrained, pretrained_filter_fn=checkpoint_filter_fn, **arguments | kwargs
    )


def visible(model: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """As ``spread_out``, and LayerScale near 1: at CaiT's 1e-5 no block would show in the outputs."""
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for name, value in spread_out(model, seed).named_parameters():
            if "gamma" in name:
                value.copy_(0.8 + 0.2 * torch.randn(value.shape, generator=generator, dtype=torch.float64))
            elif name.endswith(("attn.q.weight", "attn.k.weight")):
                value.mul_(2)
    return model


def small_cait_dcal(
    *,
    classes: int = 5,
    image_size: int | tuple[int, int] = 32,
    seed: int = 0,
    drop_path: float = 0.0,
    class_blocks: int = L - PATCH_BLOCKS,
    **settings,
) -> dcal.DCAL:
    """A DCAL model of the small Cait with visible weights, in training mode, without stochastic depth."""
    torch.manual_seed(seed)
    backbone = timm.create_model(
        "small_cait",
        num_classes=0,
        img_size=image_size,
        drop_path_rate=drop_path,
        depth_token_only=class_blocks,
    )
    return visible(DCAL(make_adapter(backbone), classes, **settings), seed).train()
