"""The adapter of timm's SwinTransformer: PWCA alone, inside the windows of the shifted map.

A query's window meets the partner's window at the same place of the same shifted map. The relative position bias and
the shift mask of the own window serve the partner's half, too. Parameters, their names and the arithmetic of the
self-attention stream stay timm's; only its attention goes through the fused kernel here.

Shapes: a map of tokens is (B, h, w, C). The nW windows of a have each H heads of width d; windows and heads share an
axis, (B, nW·H, a, d), so that bias and mask, which differ between windows, are one for all images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import torch
from timm.models.swin_transformer import (
    SwinTransformer,
    SwinTransformerBlock,
    WindowAttention,
    window_partition,
    window_reverse,
)
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from dcal.glca import GLCA
from dcal.heads import Features, rows_from
from dcal.pwca import Distractor, Pairs, sides_of
from dcal.settings import GLCASettings


class Swin(nn.Module):
    """A timm SwinTransformer (v1).

    vit: the timm model, built with ``num_classes=0``; its feature is the mean of the last map's normalised tokens.

    Raises ValueError for variants the method is not defined on (another pooling, other blocks, dropout on the
    attention, masks made anew for every input size).
    """

    def __init__(self, vit: SwinTransformer) -> None:
        super().__init__()
        name = type(vit).__name__
        if vit.global_pool != "avg":
            raise ValueError(
                f"{name} has '{vit.global_pool}' pooling: DCAL's classifier reads the mean of the last map, "
                "build it with global_pool='avg'"
            )
        if vit.dynamic_img_size:
            raise ValueError(
                f"{name} takes any input size: DCAL needs its windows known, build it with img_size"
            )
        self.vit = vit
        for l, block in enumerate(self.blocks, start=1):
            attn = block.attn
            if (
                type(block) is not SwinTransformerBlock
                or type(attn) is not WindowAttention
                or attn.attn_drop.p
            ):
                raise ValueError(
                    f"block {l} of {name} is a {type(block).__name__} with {type(attn).__name__}: expected timm's "
                    "SwinTransformerBlock with plain window attention, without dropout on it"
                )

    @property
    def blocks(self) -> list[SwinTransformerBlock]:
        """Block 1 … L over all stages."""
        return [block for stage in self.vit.layers for block in stage.blocks]

    @property
    def depth(self) -> int:
        """L."""
        return len(self.blocks)

    @property
    def norm(self) -> nn.Module:
        return self.vit.norm

    @property
    def width(self) -> int:
        """Of the last stage, which is the feature's."""
        return self.vit.num_features

    def make_glca(self, settings: GLCASettings) -> NoReturn:
        """Raises ValueError: the paper has Swin with PWCA only."""
        raise ValueError(
            "Swin has no class token for GLCA to roll out and to query with: PWCA only (paper); leave glca out"
        )

    def plain_feature(self, images: Tensor) -> Tensor:
        """The plain backbone: timm's own forward up to the pooled feature, (B, D)."""
        return self.vit.forward_head(self.vit.forward_features(images), pre_logits=True)

    def features(self, images: Tensor, targets: int, glca: GLCA | None, pairs: Pairs | None) -> Features:
        """Each branch's pooled feature behind the final norm.

        images: (S, 3, h, w), of which the first ``targets`` are classified; the others are distractors alone, or
        without pairs the second stream. glca: None, ``make_glca`` gives none.
        """
        first_pwca = self.depth - pairs.blocks if pairs else self.depth
        streams = len(images)
        x = self.vit.patch_embed(images)  # the PWCA stream, once there, lies behind the self-attention stream
        l = 0
        for stage in self.vit.layers:
            x = stage.downsample(x)
            again = stage.grad_checkpointing and torch.is_grad_enabled()
            for block in stage.blocks:
                if l >= first_pwca:
                    x = _run(again, paired_block, block, x, streams, pairs.partner, pairs.stream)
                else:
                    x = _run(again, plain_block, block, x)
                l += 1
        pooled = self.vit.forward_head(self.norm(x), pre_logits=True)
        return Features(pooled[:targets], pwca=rows_from(pooled, streams if pairs else targets))


def plain_block(block: SwinTransformerBlock, x: Tensor) -> Tensor:
    """A block as it is. x: (B, h, w, C); returns the map behind it."""
    q, k, v = queries_keys_values(block, x)
    return rest_of_block(
        block, x, F.scaled_dot_product_attention(q, k, v, attn_mask=position_scores(block, q))
    )


def paired_block(
    block: SwinTransformerBlock, x: Tensor, images: int, partner: Tensor | None, stream: Distractor
) -> Tensor:
    """Eq. 4 window by window, for the self-attention stream and the PWCA stream together.

    x: (S, h, w, C) before the first pair-wise block, when both streams still hold the same tokens, and
        (S + B, h, w, C) afterwards: the self-attention stream of S images, then the PWCA stream of the first B.
    images: S. partner, stream: as ``pwca.paired_block`` has them.

    Returns the maps of both streams, (S + B, h, w, C).
    """
    q, k, v = queries_keys_values(block, x)
    scores = position_scores(block, q)
    q, k, v, maps = (sides_of(tensor, images, partner, stream) for tensor in (q, k, v, x))
    k_c, v_c = torch.cat((k.one, k.two), dim=2), torch.cat((v.one, v.two), dim=2)
    attended = (
        F.scaled_dot_product_attention(q.sa, k.sa, v.sa, attn_mask=scores),
        F.scaled_dot_product_attention(q.one, k_c, v_c, attn_mask=torch.cat((scores, scores), dim=-1)),
    )
    return rest_of_block(block, maps.residual, torch.cat(attended))


def queries_keys_values(block: SwinTransformerBlock, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Q, K, V of all windows of the shifted map. x: (B, h, w, C); each result: (B, nW·H, a, d).

    Places that fill the map up to whole windows hold 0 behind the norm, so their keys and values are the biases of
    the projection, which timm lets the window attend to.
    """
    height, width = x.shape[1:3]
    down, right = block.shift_size
    rows, columns = block.window_size
    x = torch.roll(block.norm1(x), (-down, -right), dims=(1, 2))
    x = F.pad(x, (0, 0, 0, -width % columns, 0, -height % rows))
    windows = window_partition(x, block.window_size).reshape(len(x), -1, rows * columns, x.shape[-1])
    split = block.attn.qkv(windows).unflatten(-1, (3, block.attn.num_heads, -1))  # (B, nW, a, 3, H, d)
    return torch.unbind(split.permute(3, 0, 1, 4, 2, 5).flatten(2, 3))


def position_scores(block: SwinTransformerBlock, q: Tensor) -> Tensor:
    """What is added to the scores of each window, (1, nW·H, a, a): relative position bias, and −100 between tokens
    that only the shift made neighbours. q: the block's queries, (B, nW·H, a, d)."""
    bias = block.attn._get_rel_pos_bias()
    if block.attn_mask is None:
        return bias.repeat(1, q.shape[1] // block.attn.num_heads, 1, 1)
    return (bias + block.attn_mask.unsqueeze(1)).flatten(0, 1).unsqueeze(0)


def rest_of_block(block: SwinTransformerBlock, x: Tensor, attended: Tensor) -> Tensor:
    """Everything of a block behind its attention: output projection, windows back into the map, residual, LN, FFN,
    residual.

    x: (B, h, w, C), the residual stream; attended: (B, nW·H, a, d). Stochastic depth draws once per row of the batch.
    """
    attn = block.attn
    _, height, width, channels = x.shape
    down, right = block.shift_size
    rows, columns = block.window_size
    merged = attended.unflatten(1, (-1, attn.num_heads)).transpose(2, 3).flatten(3)  # (B, nW, a, H·d)
    windows = attn.proj_drop(attn.proj(merged)).reshape(-1, rows, columns, channels)
    whole = window_reverse(windows, block.window_size, height + -height % rows, width + -width % columns)
    shifted_back = torch.roll(whole[:, :height, :width], (down, right), dims=(1, 2))
    x = x + block.drop_path1(shifted_back)
    return x + block.drop_path2(block.mlp(block.norm2(x)))


def _run(again: bool, function: Callable[..., Tensor], *arguments: object) -> Tensor:
    if again:
        return checkpoint(function, *arguments, use_reentrant=False)
    return function(*arguments)
