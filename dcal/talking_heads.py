"""CaiT's self-attention block: heads that are mixed before and behind the softmax (talking heads), on patches alone.

Of each block only queries, keys and values are kept for the backward pass. A fused kernel would need the mixing folded
into its heads, each H times as wide, so the B×H×N×N maps are made here, for some rows of queries at a time, and made
again in the backward pass.
"""

from __future__ import annotations

import torch
from timm.models.cait import LayerScaleBlock, TalkingHeadAttn
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dcal.attention_rollout import SCORE_BYTES, rows_at_once
from dcal.blocks import rest_of_block
from dcal.class_attention import layer_scaled_rest
from dcal.pwca import Distractor, sides_of

# Rows of queries are taken together as long as one map of theirs fits in here; about five are alive in a backward pass.
MAP_BYTES = 64 * 2**20

rest_of_block.register(LayerScaleBlock, layer_scaled_rest)


def talking_block(block: LayerScaleBlock, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """A block as it is. x: (B, N, D), patches; returns those behind it and its (Q, K), which the rollout reads."""
    q, k, v = queries_keys_values(block, x)
    return rest_of_block(block, x, talking_heads_attention(block.attn, q, k, v)), (q, k)


def paired_talking_block(
    block: LayerScaleBlock, x: Tensor, images: int, partner: Tensor | None, stream: Distractor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """A block for the self-attention stream and the PWCA stream together, as ``pwca.paired_block``.

    Keys and values of both images are concatenated before the heads are mixed: scores Q₁[K₁; K₂]ᵀ, first mixing, one
    softmax over 2N, second mixing, times [V₁; V₂].
    """
    q, k, v = queries_keys_values(block, x)
    q, k, v, tokens = (sides_of(tensor, images, partner, stream) for tensor in (q, k, v, x))
    attended = (
        talking_heads_attention(block.attn, q.sa, k.sa, v.sa),
        talking_heads_attention(
            block.attn, q.one, torch.cat((k.one, k.two), dim=2), torch.cat((v.one, v.two), dim=2)
        ),
    )
    x = rest_of_block(block, tokens.residual, torch.cat(attended))
    return x, (q.sa, k.sa)


def queries_keys_values(block: LayerScaleBlock, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Q, K, V of all patches. x: (B, N, D); each result: (B, H, N, d), unscaled."""
    batch, patches, width = x.shape
    heads = block.attn.num_heads
    qkv = block.attn.qkv(block.norm1(x)).reshape(batch, patches, 3, heads, width // heads)
    return torch.unbind(qkv.permute(2, 0, 3, 1, 4))


def talking_heads_attention(attn: TalkingHeadAttn, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """W_w softmax(W_l QKᵀ/√d) V, the heads mixed by W_l and W_w, each with a bias (Shazeer et al. 2020).

    q: (B, H, n, d); k, v: (B, H, n', d). Returns (B, H, n, d). With a gradient, the maps are made again in backward.
    """
    attended = []
    for rows in q.split(rows_at_once(q, k, MAP_BYTES), dim=2):
        if torch.is_grad_enabled():
            # Nothing in it is drawn at random.
            part = checkpoint(_attended, attn, rows, k, v, use_reentrant=False, preserve_rng_state=False)
        else:
            part = _attended(attn, rows, k, v)
        attended.append(part)
    return torch.cat(attended, dim=2)


def row_times_maps(attn: TalkingHeadAttn, row: Tensor, q: Tensor, k: Tensor) -> Tensor:
    """mean_h(r S^h) with S the softmax maps before the second mixing, of as many rows at a time as SCORE_BYTES hold.

    row: (B, N); q, k: (B, H, N, d). Returns (B, N) in row's dtype.
    """
    total = torch.zeros_like(row)
    q, k = q.to(row.dtype), k.to(row.dtype)
    at_once = rows_at_once(q, k, SCORE_BYTES)
    for part, queries in zip(row.split(at_once, dim=1), q.split(at_once, dim=2), strict=True):
        maps = softmax_maps(attn, queries, k)
        total += (part[:, None, None, :] @ maps).squeeze(2).mean(dim=1)
        del maps  # or the next rows' would be made beside it
    return total


def softmax_maps(attn: TalkingHeadAttn, q: Tensor, k: Tensor) -> Tensor:
    """softmax(W_l QKᵀ/√d), (B, H, n, n'): rows sum to 1. q: (B, H, n, d); k: (B, H, n', d)."""
    return _mixed(attn.proj_l, (q * attn.scale) @ k.transpose(-2, -1)).softmax(dim=-1)


def _attended(attn: TalkingHeadAttn, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return _mixed(attn.proj_w, softmax_maps(attn, q, k)) @ v


def _mixed(mixing: nn.Linear, maps: Tensor) -> Tensor:
    """Each head's map a weighted sum of all heads' and a bias. maps: (B, H, n, n').

    One product over heads; timm moves the heads last and back, which copies every map in strides.
    """
    batch, heads, *sides = maps.shape
    weight = mixing.weight.to(maps.dtype).expand(batch, heads, heads)
    bias = mixing.bias.to(maps.dtype)[:, None]
    return torch.baddbmm(bias, weight, maps.flatten(2)).unflatten(2, sides)
