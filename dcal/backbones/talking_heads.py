"""CaiT's self-attention block on patches alone, which mixes the heads before and behind the softmax (talking heads).

Of each block only queries, keys and values are kept for the backward pass. A fused kernel would need the mixing inside
its heads, each H times as wide; so B×H×N×N maps are computed here, for some rows of queries at a time, and again in
the backward pass.
"""

from __future__ import annotations

import torch
from timm.models.cait import LayerScaleBlock, TalkingHeadAttn
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dcal.attention_rollout import SCORE_BYTES, QueriesKeys, rows_at_once
from dcal.backbones.class_attention import layer_scale_rest
from dcal.pwca import Pairs

# Size of the map of the query rows that are computed together; about five such maps exist at once in a backward pass.
MAP_BYTES = 64 * 2**20


def talking_block(
    block: LayerScaleBlock, x: Tensor, pairs: Pairs | None = None
) -> tuple[Tensor, QueriesKeys]:
    """A talking-heads block, with ``pairs`` also PWCA: scores Q₁[K₁; K₂]ᵀ of both images' keys, first mixing, one
    softmax over 2N, second mixing, times [V₁; V₂].

    x: (S, N, D), patches, behind the first pair-wise block (S + B, N, D). Returns the patches behind the block, (S, N,
    D), with pairs (S + B, N, D), and (Q, K) of x for the rollout.
    """
    q, k, v = queries_keys_values(block, x)
    if pairs is None:
        return layer_scale_rest(block, x, talking_heads_attention(block.attn, q, k, v)), (q, k)
    heads = torch.cat(paired_talking_heads_attention(block.attn, q, k, v, pairs))
    return layer_scale_rest(block, pairs.residual(x), heads), (q, k)


def queries_keys_values(block: LayerScaleBlock, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Q, K, V of all patches, each (B, H, N, d), unscaled. x: (B, N, D)."""
    batch, patches, width = x.shape
    heads = block.attn.num_heads
    qkv = block.attn.qkv(block.norm1(x)).reshape(batch, patches, 3, heads, width // heads)
    return torch.unbind(qkv.permute(2, 0, 3, 1, 4))


def talking_heads_attention(attn: TalkingHeadAttn, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """W_w softmax(W_l QKᵀ/√d) V, (B, H, n, d). W_l and W_w mix the heads, each with a bias (Shazeer et al. 2020).

    q: (B, H, n, d). k, v: (B, H, n', d). With a gradient, the maps are computed again in the backward pass.
    """
    parts = []
    for rows in q.split(rows_at_once(q, k, MAP_BYTES), dim=2):
        if torch.is_grad_enabled():  # no random numbers in it
            part = checkpoint(_attention, attn, rows, k, v, use_reentrant=False, preserve_rng_state=False)
        else:
            part = _attention(attn, rows, k, v)
        parts.append(part)
    return torch.cat(parts, dim=2)


def paired_talking_heads_attention(
    attn: TalkingHeadAttn, q: Tensor, k: Tensor, v: Tensor, pairs: Pairs
) -> tuple[Tensor, Tensor]:
    """Attention of both streams, (S, H, N, d) and (B, H, N, d). q, k, v: as in ``Pairs.split``."""
    batch = pairs.split(q, k, v)
    (q_1, k_1, v_1), (k_2, v_2) = batch.target, batch.distractor
    sa = talking_heads_attention(attn, *batch.sa)
    k_c, v_c = torch.cat((k_1, k_2), dim=2), torch.cat((v_1, v_2), dim=2)
    return sa, talking_heads_attention(attn, q_1, k_c, v_c)


def row_times_maps(attn: TalkingHeadAttn, row: Tensor, q: Tensor, k: Tensor) -> Tensor:
    """mean_h(r S^h), (B, N) in row's dtype, with S the softmax maps before the second mixing.

    row: r, (B, N). q, k: (B, H, N, d). As many rows of S at a time as SCORE_BYTES hold.
    """
    total = torch.zeros_like(row)
    q, k = q.to(row.dtype), k.to(row.dtype)
    at_once = rows_at_once(q, k, SCORE_BYTES)
    for part, queries in zip(row.split(at_once, dim=1), q.split(at_once, dim=2), strict=True):
        maps = softmax_maps(attn, queries, k)
        total += (part[:, None, None, :] @ maps).squeeze(2).mean(dim=1)
        del maps  # or the maps of the next rows would exist beside it
    return total


def softmax_maps(attn: TalkingHeadAttn, q: Tensor, k: Tensor) -> Tensor:
    """softmax(W_l QKᵀ/√d), (B, H, n, n'), rows sum to 1. q: (B, H, n, d). k: (B, H, n', d)."""
    return _mix_heads(attn.proj_l, (q * attn.scale) @ k.transpose(-2, -1)).softmax(dim=-1)


def _attention(attn: TalkingHeadAttn, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """As ``talking_heads_attention``, all rows at once."""
    return _mix_heads(attn.proj_w, softmax_maps(attn, q, k)) @ v


def _mix_heads(mixing: nn.Linear, maps: Tensor) -> Tensor:
    """Each head's map as a weighted sum of all heads' maps and a bias. maps: (B, H, n, n').

    One product over the heads; timm moves the heads to the last axis and back, which copies every map.
    """
    batch, heads, *sides = maps.shape
    weight = mixing.weight.to(maps.dtype).expand(batch, heads, heads)
    bias = mixing.bias.to(maps.dtype)[:, None]
    return torch.baddbmm(bias, weight, maps.flatten(2)).unflatten(2, sides)
