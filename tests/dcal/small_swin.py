"""A small Swin, registered with timm as ``small_swin.test``: 8 blocks in 4 stages, windows of 4×4, heads 8 wide.

What its maps show, stage by stage, at the input sizes of ``SIZES`` (patches are 2×2):

- ``whole``: 16, 8, 4 and 2 wide: shifted windows that fit, one window alone, a window that shrinks to the map.
- ``filled``: 14×10, 7×5, 4×3, 2×2: rows and columns are filled up to whole windows, and before 2×2 merging.
- ``tall``: 18×6, 9×3, 5×2, 3×1: a window that shrinks in one direction and shifts in the other, as Swin-T's last
  stage does at 256×128.
"""

import timm
import torch
from small_models import small_cfg, spread_out
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from timm.models.swin_transformer import SwinTransformer, checkpoint_filter_fn

import dcal

SIZES = {"whole": (32, 32), "filled": (28, 20), "tall": (36, 12)}
DEPTHS, HEADS, WINDOW, PATCH = (2, 2, 2, 2), (2, 4, 8, 16), 4, 2

default_cfgs = generate_default_cfgs(
    {"small_swin.test": small_cfg(classifier="head.fc", pool_size=(2, 2), fixed_input_size=True)}
)


@register_model
def small_swin(pretrained: bool = False, **kwargs) -> SwinTransformer:
    arguments = {
        "img_size": 32,
        "patch_size": PATCH,
        "embed_dim": 16,
        "depths": DEPTHS,
        "num_heads": HEADS,
        "window_size": WINDOW,
    } | kwargs
    return build_model_with_cfg(
        SwinTransformer, "small_swin", pretrained, pretrained_filter_fn=checkpoint_filter_fn, **arguments
    )


def small_swin_backbone(**kwargs) -> SwinTransformer:
    """A headless timm model, without stochastic depth."""
    return timm.create_model("small_swin", **({"num_classes": 0, "drop_path_rate": 0.0} | kwargs))


def small_swin_dcal(
    size: tuple[int, int] = SIZES["filled"], *, drop_path: float = 0.0, **settings
) -> dcal.DCAL:
    """A DCAL model of the small Swin with visible weights, in training mode."""
    torch.manual_seed(0)
    model = dcal.build(
        "small_swin.test", 5, image_size=size, weights="random", drop_path=drop_path, **settings
    )
    return spread_out(model).train()
