"""Where a model looks: the class token's rollout over any blocks (Eq. 2), GLCA's attention and selected patches.

One forward pass in eval mode by the method's own functions. Kept of each block are its queries and keys, never a
B×H×N×N map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from timm.models.cait import Cait
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from dcal.backbones import adapter_for
from dcal.blocks import keys_values, queries
from dcal.cait import PatchThenClassViT
from dcal.class_token import class_token_row
from dcal.glca import GLCA, gather_tokens
from dcal.head_fusion import HeadFusion
from dcal.heads import Branch
from dcal.model import DCAL, Outputs
from dcal.plain_vit import PlainViT, encoder_block
from dcal.rolled_out import Layers, legal_layers
from dcal.swin import Swin

Backbone = PlainViT | PatchThenClassViT


@dataclass(frozen=True)
class Inspection:
    """What was seen. grid: patches as (rows, columns), N their product; patch i lies at divmod(i, columns).

    rollout: (B, N+1), row of the class token of S̄_b … S̄_a; each row sums to 1, place 0 is the class token's own share.
    layers: (a, b), counted from 1, inclusive.
    outputs: what the model says, as its own forward; None for a plain backbone without a classifier.
    glca: (B, N+1), softmax of GLCA's class token in its last block, mean over the heads; None without GLCA. With
        ``keys="local"`` it is 0 where no local token lies.
    selected: (B, ⌊R·N⌋), the local queries as indices into the N patches, best first; None without GLCA.
    """

    grid: tuple[int, int]
    rollout: Tensor
    layers: Layers
    outputs: Outputs | None
    glca: Tensor | None = None
    selected: Tensor | None = None


@torch.no_grad()
def inspect(
    model: DCAL, images: Tensor, layers: Layers | None = None, head_fusion: HeadFusion = "mean"
) -> Inspection:
    """Look into a DCAL model or a baseline.

    images: (B, 3, h, w), normalised. layers: (a, b) for the rollout; none: 1 … L−M, the blocks GLCA selects by, and
    for a baseline 1 … L−1, the same with M = 1. head_fusion: of the rollout alone, ``mean``, ``max`` or ``min``; GLCA
    selects by the mean.
    With ``select="random"`` the patches drawn are those that the model's next forward pass draws: its generator is left
    as it was.
    Raises ValueError for a model in training mode, for layers that are not 1 ≤ a ≤ b ≤ L or end before the class token
    attends (CaiT-XS24: b is 25 or 26), and for Swin.
    """
    if model.training:
        raise ValueError(
            "inspect looks at a model in eval mode, found one in training mode: call model.eval()"
        )
    glca = model.glca
    first, last = _checked(layers, model.backbone, glca.settings.blocks if glca else 1)
    x, queries_keys, local = _stream(model.backbone, images, glca)
    outputs = Outputs(
        model.sa_head(model.backbone.norm(x[:, 0])),
        model.glca_head(glca.read_out(local.tokens)) if glca else None,
    )
    return Inspection(
        model.backbone.grid,
        model.backbone.rollout_row(queries_keys[first - 1 : last], first, head_fusion),
        (first, last),
        outputs,
        local and local.attention,
        local and local.index[:, 1:] - 1,
    )


@torch.no_grad()
def inspect_vit(
    vit: VisionTransformer | Cait | Backbone,
    images: Tensor,
    layers: Layers | None = None,
    head_fusion: HeadFusion = "mean",
) -> Inspection:
    """Look into a plain timm ViT or Cait, with its classifier if it has one; the rest as for ``inspect`` of a baseline.

    Raises ValueError as ``inspect``, and for a model that DCAL has no adapter for.
    """
    backbone = vit if isinstance(vit, Backbone) else adapter_for(vit)
    if backbone.vit.training:
        raise ValueError("inspect_vit looks at a model in eval mode, found one in training mode: call eval()")
    first, last = _checked(layers, backbone, 1)
    x, queries_keys, _ = _stream(backbone, images, None)
    x = backbone.norm(x)
    outputs = None
    if backbone.vit.num_classes:
        outputs = Outputs(Branch(backbone.vit.forward_head(x), x[:, 0]))
    row = backbone.rollout_row(queries_keys[first - 1 : last], first, head_fusion)
    return Inspection(backbone.grid, row, (first, last), outputs)


@dataclass
class _Local:
    """GLCA on its way through its blocks. tokens: (B, 1+R, D), at places index among all; attention: of the last block
    so far, (B, N+1).
    """

    tokens: Tensor
    index: Tensor
    attention: Tensor | None = None


def _stream(
    backbone: Backbone, images: Tensor, glca: GLCA | None
) -> tuple[Tensor, list[tuple[Tensor, Tensor]], _Local | None]:
    """X_L, (Q, K) of every block, and GLCA behind its last block."""
    if isinstance(backbone, Swin):
        raise ValueError("Swin has no class token to roll out to: only the logits can be looked at")
    first_glca = backbone.depth - glca.settings.blocks if glca else backbone.depth
    x, queries_keys, local = backbone.embed(images), [], None
    for l in range(backbone.depth):
        if l >= first_glca:
            if local is None:
                index = _selected(glca, backbone, queries_keys)
                local = _Local(gather_tokens(x, index), index)
            local.attention = _attention(glca, l - first_glca, local, x)
            local.tokens = glca.step(l - first_glca, local.tokens, x)
        x, (q, k) = _behind_block(backbone, l, x)
        queries_keys.append((q, k))
    return x, queries_keys, local


def _behind_block(backbone: Backbone, l: int, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Block l, counted from 0, with all its queries: the tokens behind it and its (Q, K)."""
    if isinstance(backbone, PlainViT):  # run_block has the class token's query alone in the last block
        return encoder_block(backbone.blocks[l], x)
    return backbone.run_block(l, x)


def _selected(glca: GLCA, backbone: Backbone, queries_keys: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """GLCA's own selection, which leaves its generator where it was."""
    state = glca.generator.get_state()
    try:
        return glca.select(backbone.response(glca, queries_keys))
    finally:
        glca.generator.set_state(state)


def _attention(glca: GLCA, m: int, local: _Local, x: Tensor) -> Tensor:
    """GLCA's class token's row in block m, counted from 0, over all tokens."""
    block = glca.blocks[m]
    q, (k, _) = queries(block, local.tokens[:, :1]), keys_values(block, glca.key_tokens(local.tokens, x))
    row = class_token_row(q, k)
    if glca.settings.keys == "global":
        return row
    return row.new_zeros(x.shape[:2]).scatter(1, local.index, row)


def _checked(layers: Layers | None, backbone: Backbone, glca_blocks: int) -> Layers:
    first, last = legal_layers(layers, backbone.depth, glca_blocks)
    if isinstance(backbone, PatchThenClassViT) and last <= backbone.patch_depth:
        raise ValueError(
            f"layers {first}-{last}: the class token attends from block {backbone.patch_depth + 1} on, expected a-b "
            f"with b from there to {backbone.depth}"
        )
    return first, last
