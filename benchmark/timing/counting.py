"""Parameters and multiply-adds of models, counted on the real modules without storage or weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import dcal
from benchmark.records.forecasts import GLCACost
from dcal.settings import GLCASettings


def multiply_adds(call: Callable[[], object]) -> int:
    """Of what ``call`` computes. The counter takes a multiply-add for two; the math kernel shows it the attention."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() // 2


def parameters(*modules: nn.Module) -> int:
    """Numbers to be learnt in the modules."""
    return sum(value.numel() for module in modules for value in module.parameters())


def on_meta(
    tag: str, classes: int, size: tuple[int, int], settings: GLCASettings
) -> tuple[dcal.DCAL, dcal.DCAL]:
    """A baseline and the same with GLCA, in eval mode: shapes are all that counting needs."""
    with torch.device("meta"):
        baseline, model = (
            dcal.build(tag, classes, image_size=size, weights="random", glca=glca).eval()
            for glca in (None, settings)
        )
    return baseline, model


@torch.no_grad()
def glca_cost(
    tag: str, classes: int, size: tuple[int, int], settings: GLCASettings, *, classifier: bool
) -> GLCACost:
    """What GLCA adds to a ViT with one GLCA block, on one image.

    size: (height, width) in pixels. classifier: whether the classifiers count, which a retrieval model does not use.
    """
    baseline, model = on_meta(tag, classes, size, settings)
    heads = [model.glca_head] if classifier else []
    counted_model = baseline if classifier else baseline.features
    patches, width = model.glca.patches, model.backbone.width
    tokens = torch.empty(1, patches + 1, width, device="meta")
    local = torch.empty(1, 1 + model.glca.count, width, device="meta")
    images = torch.empty(1, 3, *size, device="meta")

    def glca() -> None:
        feature = model.glca.read_out(model.glca.step(0, local, tokens))
        for head in heads:
            head(feature)

    attention = model.backbone.vit.blocks[0].attn
    block = torch.zeros(1, attention.num_heads, patches + 1, attention.head_dim)
    rolled = [(block, block)] * (model.backbone.depth - settings.blocks)
    return GLCACost(
        parameters=parameters(baseline if classifier else baseline.backbone),
        added_parameters=parameters(model.glca, *heads),
        multiply_adds=multiply_adds(lambda: counted_model(images)),
        added_multiply_adds=multiply_adds(glca),
        rollout_multiply_adds=multiply_adds(lambda: dcal.rollout_row(rolled)),
    )
