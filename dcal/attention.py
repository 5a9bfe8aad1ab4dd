"""The three attentions of the paper as functions of queries, keys and values.

q, k, v are (B, H, tokens, d), H heads of width d. Every function calls the fused kernel
(`scaled_dot_product_attention`, which scales by 1/√d), so no B×H×N×N tensor of scores is kept.
"""

from __future__ import annotations

import torch
from timm.layers import Attention
from torch import Tensor, nn
from torch.nn import functional as F


def self_attention(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """Eq. 1, f_SA(Q, K, V) = softmax(QKᵀ/√d) V, (B, H, N+1, d).

    bias: added to the scores, (1, H, N+1, N+1); None in the paper (Swin has one).
    """
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def global_local_attention(q_local: Tensor, k_global: Tensor, v_global: Tensor) -> Tensor:
    """Eq. 3, f_GLCA(Qˡ, Kᵍ, Vᵍ) = softmax(Qˡ Kᵍᵀ/√d) Vᵍ, (B, H, 1+⌊R·N⌋, d).

    q_local: (B, H, 1+⌊R·N⌋, d), the class token and the selected patches. k_global, v_global: (B, H, N+1, d).
    """
    return F.scaled_dot_product_attention(q_local, k_global, v_global)


def pairwise_attention(
    q1: Tensor, k1: Tensor, v1: Tensor, k2: Tensor, v2: Tensor, bias: Tensor | None = None
) -> Tensor:
    """Eq. 4, f_PWCA(Q₁, K_c, V_c) = softmax(Q₁ K_cᵀ/√d) V_c with K_c = [K₁; K₂], V_c = [V₁; V₂], (B, H, N+1, d).

    All are (B, H, N+1, d); the 2N+2 scores of a query share one softmax. bias: as in ``self_attention``, for the keys
    of each of the two images.
    """
    k_c = torch.cat((k1, k2), dim=2)
    v_c = torch.cat((v1, v2), dim=2)
    if bias is not None:
        bias = torch.cat((bias, bias), dim=-1)
    return F.scaled_dot_product_attention(q1, k_c, v_c, attn_mask=bias)


# --- The linear layers of timm's multi-head attention ---


def queries_keys_values(attn: Attention, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Q = XW_Q, K = XW_K, V = XW_V."""
    q, k, v = _split_heads(attn.qkv(x), 3, attn)
    return attn.q_norm(q), attn.k_norm(k), v


def queries(attn: Attention, x: Tensor) -> Tensor:
    """Q alone."""
    weight, bias = _rows(attn.qkv, slice(0, attn.attn_dim))
    (q,) = _split_heads(F.linear(x, weight, bias), 1, attn)
    return attn.q_norm(q)


def keys_values(attn: Attention, x: Tensor) -> tuple[Tensor, Tensor]:
    """K and V alone."""
    weight, bias = _rows(attn.qkv, slice(attn.attn_dim, None))
    k, v = _split_heads(F.linear(x, weight, bias), 2, attn)
    return attn.k_norm(k), v


def output(attn: Attention, heads: Tensor) -> Tensor:
    """Concatenated heads times W_O, (B, n, D). heads: (B, H, n, d)."""
    batch, _, tokens, _ = heads.shape
    concatenation = heads.transpose(1, 2).reshape(batch, tokens, attn.attn_dim)
    return attn.proj_drop(attn.proj(attn.norm(concatenation)))


def _split_heads(tokens: Tensor, parts: int, attn: Attention) -> tuple[Tensor, ...]:
    """(B, n, parts · H · d) to ``parts`` tensors (B, H, n, d)."""
    batch, count, _ = tokens.shape
    parts_and_heads = tokens.reshape(batch, count, parts, attn.num_heads, attn.head_dim)
    return torch.unbind(parts_and_heads.permute(2, 0, 3, 1, 4))


def _rows(linear: nn.Linear, rows: slice) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of some of a layer's outputs."""
    return linear.weight[rows], None if linear.bias is None else linear.bias[rows]
