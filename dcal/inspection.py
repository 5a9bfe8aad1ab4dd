"""Attention maps of a model: the class token's rollout over any blocks (Eq. 2), GLCA's attention, selected patches.

One forward pass in eval mode with the method's own functions. Of each block its queries and keys are kept, not a
B×H×N×N map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from timm.models.cait import Cait
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from dcal.attention_rollout import HeadFusion, Layers, QueriesKeys, Rollout, rollout_layers
from dcal.backbones import Backbone, make_adapter
from dcal.backbones.cait import PatchThenClassViT
from dcal.backbones.class_token import ClassTokenBackbone, class_token_row
from dcal.backbones.swin import Swin
from dcal.backbones.vit import PlainViT, encoder_block
from dcal.blocks import keys_values, queries
from dcal.glca import GLCA, gather_tokens
from dcal.heads import Branch
from dcal.hooks import RolloutHooks
from dcal.model import DCAL, Outputs


@dataclass(frozen=True)
class Inspection:
    """Attention maps of a model on a batch of images.

    grid: rows and columns of patches, N their product; patch i is at divmod(i, columns).
    rollout: (B, N+1), the class token's row of S̄_b … S̄_a, which sums to 1; index 0 is the class token itself.
    layers: (a, b), counted from 1, inclusive.
    outputs: the model's outputs, as of its forward pass; None for a plain backbone without a classifier.
    glca: (B, N+1), attention of GLCA's class token in its last block, mean of the heads; None without GLCA. With
        ``keys="local"`` it is 0 for tokens that are not local.
    selected: (B, ⌊R·N⌋), the local queries as indices of the N patches, best first; None without GLCA.
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
    """Attention maps of a DCAL model or a baseline.

    images: (B, 3, h, w), normalised. layers: (a, b) of the rollout; None: 1 … L−M, the blocks by which GLCA selects,
    with M = 1 for a baseline. head_fusion: of the rollout, ``mean``, ``max`` or ``min``; GLCA selects by the mean.
    With ``select="random"`` the selected patches are those of the model's next forward pass: the state of its generator
    does not change.
    Raises ValueError for a model in training mode, for layers that are not 1 ≤ a ≤ b ≤ L or end before the class token
    attends (CaiT-XS24: b is 25 or 26), and for Swin.
    """
    if model.training:
        raise ValueError(
            "inspect looks at a model in eval mode, found one in training mode: call model.eval()"
        )
    glca = model.glca
    first, last = _rollout_layers(layers, model.backbone, glca.settings.blocks if glca else 1)
    x, queries_keys, local = _forward(model.backbone, images, glca)
    outputs = Outputs(
        model.sa_head(model.backbone.norm(x[:, 0])),
        model.glca_head(glca.read_out(local.tokens)) if glca else None,
    )
    row = model.backbone.rollout_row(queries_keys[first - 1 : last], first, head_fusion)
    attention, selected = (local.attention, local.index[:, 1:] - 1) if local else (None, None)
    return Inspection(model.backbone.grid, row, (first, last), outputs, attention, selected)


@torch.no_grad()
def inspect_vit(
    vit: VisionTransformer | Cait | ClassTokenBackbone,
    images: Tensor,
    layers: Layers | None = None,
    head_fusion: HeadFusion = "mean",
) -> Inspection:
    """Attention maps of a plain timm ViT or Cait, and its outputs if it has a classifier; the rest as ``inspect`` of a
    baseline.

    Raises ValueError as ``inspect``, and for a model of a family without adapter.
    """
    backbone = vit if isinstance(vit, ClassTokenBackbone) else make_adapter(vit)
    if backbone.vit.training:
        raise ValueError("inspect_vit looks at a model in eval mode, found one in training mode: call eval()")
    first, last = _rollout_layers(layers, backbone, 1)
    x, queries_keys, _ = _forward(backbone, images, None)
    x = backbone.norm(x)
    has_classifier = backbone.vit.num_classes
    outputs = Outputs(Branch(backbone.vit.forward_head(x), x[:, 0])) if has_classifier else None
    row = backbone.rollout_row(queries_keys[first - 1 : last], first, head_fusion)
    return Inspection(backbone.grid, row, (first, last), outputs)


@dataclass
class _LocalTokens:
    """GLCA's tokens behind one of its blocks.

    tokens: (B, 1+⌊R·N⌋, D). index: (B, 1+⌊R·N⌋), among all tokens. attention: of the class token there, (B, N+1).
    """

    tokens: Tensor
    index: Tensor
    attention: Tensor | None = None


def _forward(
    backbone: Backbone, images: Tensor, glca: GLCA | None
) -> tuple[Tensor, list[QueriesKeys], _LocalTokens | None]:
    """X_L, (B, N+1, D), (Q, K) of each block, and GLCA's tokens behind its last block."""
    if isinstance(backbone, Swin):
        raise ValueError("Swin has no class token to roll out to: only the logits can be looked at")
    first_glca = backbone.depth - glca.settings.blocks if glca else backbone.depth
    x, queries_keys, local = backbone.embed(images), [], None
    for l in range(backbone.depth):
        if l == first_glca:
            index = _select(glca, backbone, queries_keys)
            local = _LocalTokens(gather_tokens(x, index), index)
        if l >= first_glca:
            local.attention = _attention(glca, l - first_glca, local, x)
            local.tokens = glca.step(l - first_glca, local.tokens, x)
        x, q_k = _run_block(backbone, l, x)
        queries_keys.append(q_k)
    return x, queries_keys, local


def _run_block(backbone: ClassTokenBackbone, l: int, x: Tensor) -> tuple[Tensor, QueriesKeys]:
    """As ``ClassTokenBackbone.run_block``, with the queries of all tokens in a ViT's last block, too."""
    if isinstance(backbone, PlainViT):
        return encoder_block(backbone.blocks[l], x)
    return backbone.run_block(l, x)


def _select(glca: GLCA, backbone: ClassTokenBackbone, queries_keys: Sequence[QueriesKeys]) -> Tensor:
    """GLCA's selection, (B, 1+⌊R·N⌋); the state of its generator does not change."""
    state = glca.generator.get_state()
    try:
        return glca.select(backbone.response(glca, queries_keys))
    finally:
        glca.generator.set_state(state)


def _attention(glca: GLCA, m: int, local: _LocalTokens, x: Tensor) -> Tensor:
    """Attention of GLCA's class token to all tokens in block m, counted from 0, (B, N+1). x: as in ``GLCA.step``."""
    block = glca.blocks[m]
    q, (k, _) = queries(block, local.tokens[:, :1]), keys_values(block, glca.key_tokens(local.tokens, x))
    row = class_token_row(q, k)
    if glca.settings.keys == "global":
        return row
    return row.new_zeros(x.shape[:2]).scatter(1, local.index, row)


def _rollout_layers(layers: Layers | None, backbone: Backbone, glca_blocks: int) -> Layers:
    """As ``rolled_out.rollout_layers``; for CaiT they must end in class attention. glca_blocks: M."""
    first, last = rollout_layers(layers, backbone.depth, glca_blocks)
    if isinstance(backbone, PatchThenClassViT) and last <= backbone.patch_depth:
        raise ValueError(
            f"layers {first}-{last}: the class token attends from block {backbone.patch_depth + 1} on, expected a-b "
            f"with b from there to {backbone.depth}"
        )
    return first, last


# --- Rollout of a model of any family on a batch of images ---


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
