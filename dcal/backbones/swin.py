"""The adapter of timm's SwinTransformer: PWCA alone, inside the windows of the shifted map.

The distractor of a window is the partner's window at the same place of the same shifted map, with the same relative
position bias and shift mask. Parameters, their names and the arithmetic of the self-attention stream are timm's; its
attention uses the fused kernel here.

Shapes: a map of tokens is (B, h, w, C). It has nW windows of a tokens, each with H heads of width d. Windows and heads
share an axis, (B, nW·H, a, d), so that one tensor of bias and mask, which differ between windows, serves all images.
"""

from __future__ import annotations

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

from dcal.attention import self_attention
from dcal.glca import GLCA
from dcal.heads import Features, second_stream
from dcal.pwca import Pairs, paired_attention
from dcal.settings import GLCASettings


class Swin(nn.Module):
    """A timm SwinTransformer (v1).

    vit: the timm model, built with ``num_classes=0``; its feature is the mean of the last map behind the final norm.

    Raises ValueError for variants on which the method is not defined (another pooling, other blocks, dropout on the
    attention, input of any size).
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
        """Blocks 1 … L of all stages."""
        return [block for stage in self.vit.layers for block in stage.blocks]

    @property
    def depth(self) -> int:
        """L."""
        return len(self.blocks)

    @property
    def norm(self) -> nn.Module:
        """Final norm."""
        return self.vit.norm

    @property
    def width(self) -> int:
        """D, the width of the last stage."""
        return self.vit.num_features

    def make_glca(self, settings: GLCASettings) -> NoReturn:
        """Raises ValueError: in the paper Swin has PWCA only."""
        raise ValueError(
            "Swin has no class token for GLCA to roll out and to query with: PWCA only (paper); leave glca out"
        )

    def plain_feature(self, images: Tensor) -> Tensor:
        """Pooled feature of timm's own forward pass, (B, D). images: (B, 3, h, w), normalised."""
        return self.vit.forward_head(self.vit.forward_features(images), pre_logits=True)

    def features(self, images: Tensor, targets: int, glca: GLCA | None, pairs: Pairs | None) -> Features:
        """Each branch's pooled feature behind the final norm, (B, D).

        images, targets, pairs: as in ``ClassTokenBackbone.features``. glca: None, as ``make_glca`` gives none.
        """
        first_pwca = self.depth - pairs.blocks if pairs else self.depth
        x = self.vit.patch_embed(images)
        l = 0
        for stage in self.vit.layers:
            x = stage.downsample(x)
            for block in stage.blocks:
                arguments = block, x, pairs if l >= first_pwca else None
                if stage.grad_checkpointing and torch.is_grad_enabled():
                    x = checkpoint(window_block, *arguments, use_reentrant=False)
                else:
                    x = window_block(*arguments)
                l += 1
        pooled = self.vit.forward_head(self.norm(x), pre_logits=True)
        return Features(pooled[:targets], pwca=second_stream(pooled, len(images) if pairs else targets))


def window_block(block: SwinTransformerBlock, x: Tensor, pairs: Pairs | None = None) -> Tensor:
    """A Swin block: self-attention in each window, with ``pairs`` also PWCA (Eq. 4 in each window).

    x: (S, h, w, C), behind the first pair-wise block (S + B, h, w, C), the PWCA stream last. Returns the map behind the
    block, with pairs of both streams, (S + B, h, w, C).
    """
    q, k, v = queries_keys_values(block, x)
    bias = position_scores(block, q)
    if pairs is None:
        return rest_of_block(block, x, self_attention(q, k, v, bias))
    heads = torch.cat(paired_attention(q, k, v, pairs, bias))
    return rest_of_block(block, pairs.residual(x), heads)


def queries_keys_values(block: SwinTransformerBlock, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Q, K, V of all windows of the shifted map, each (B, nW·H, a, d). x: (B, h, w, C).

    Padding up to whole windows is 0 behind the norm: its keys and values are the projection's bias, to which timm lets
    the window attend.
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
    """Relative position bias of each window, and −100 between tokens that are neighbours by the shift only, (1, nW·H,
    a, a). q: the block's queries, (B, nW·H, a, d).
    """
    bias = block.attn._get_rel_pos_bias()
    if block.attn_mask is None:
        return bias.repeat(1, q.shape[1] // block.attn.num_heads, 1, 1)
    return (bias + block.attn_mask.unsqueeze(1)).flatten(0, 1).unsqueeze(0)


def rest_of_block(block: SwinTransformerBlock, x: Tensor, heads: Tensor) -> Tensor:
    """The map behind a block, (B, h, w, C): output projection, windows back to the map, residual, LN, FFN, residual.

    x: (B, h, w, C), the residual. heads: (B, nW·H, a, d), output of the attention. Stochastic depth draws once for each
    of the B rows.
    """
    attn = block.attn
    _, height, width, channels = x.shape
    down, right = block.shift_size
    rows, columns = block.window_size
    concatenation = heads.unflatten(1, (-1, attn.num_heads)).transpose(2, 3).flatten(3)  # (B, nW, a, H·d)
    windows = attn.proj_drop(attn.proj(concatenation)).reshape(-1, rows, columns, channels)
    padded = window_reverse(windows, block.window_size, height + -height % rows, width + -width % columns)
    output = torch.roll(padded[:, :height, :width], (down, right), dims=(1, 2))
    x = x + block.drop_path1(output)
    return x + block.drop_path2(block.mlp(block.norm2(x)))
