"""The linear layers of timm's multi-head attention: to queries, keys and values, and from the heads to the output.

x is (B, n, D); queries, keys and values are (B, H, n, d). Parameters, their names and the arithmetic are timm's.
"""

from __future__ import annotations

import torch
from timm.layers import Attention
from torch import Tensor, nn
from torch.nn import functional as F


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
