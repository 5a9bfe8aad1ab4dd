"""The three attentions of the paper as functions of queries, keys and values.

Shapes: q, k, v are (B, H, tokens, d) with H heads of width d. Every function goes through the fused kernel
(`scaled_dot_product_attention` scales by 1/√d), so no B×H×N×N score tensor is kept.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def self_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Eq. 1, f_SA(Q, K, V) = softmax(QKᵀ/√d) V. Returns (B, H, N+1, d)."""
    return F.scaled_dot_product_attention(q, k, v)


def global_local_attention(q_local: Tensor, k_global: Tensor, v_global: Tensor) -> Tensor:
    """Eq. 3, f_GLCA(Qˡ, Kᵍ, Vᵍ) = softmax(Qˡ Kᵍᵀ/√d) Vᵍ.

    q_local: (B, H, 1+⌊R·N⌋, d), the class token and the selected patches; k_global, v_global: (B, H, N+1, d).
    Returns (B, H, 1+⌊R·N⌋, d).
    """
    return F.scaled_dot_product_attention(q_local, k_global, v_global)


def pairwise_attention(q1: Tensor, k1: Tensor, v1: Tensor, k2: Tensor, v2: Tensor) -> Tensor:
    """Eq. 4, f_PWCA(Q₁, K_c, V_c) = softmax(Q₁ K_cᵀ/√d) V_c with K_c = [K₁; K₂], V_c = [V₁; V₂].

    All are (B, H, N+1, d); the 2N+2 scores of a query share one softmax. Returns (B, H, N+1, d).
    """
    k_c = torch.cat((k1, k2), dim=2)
    v_c = torch.cat((v1, v2), dim=2)
    return F.scaled_dot_product_attention(q1, k_c, v_c)
