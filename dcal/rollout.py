"""Attention rollout (Eq. 2) of the class token, as a chain of row vectors.

Ŝ_i = S̄_i S̄_{i-1} … S̄_1 with S̄_l = 0.5·S_l + 0.5·E and S_l the mean over the heads. The paper only reads the
first row of Ŝ_i, the class token's. A row times a matrix is a row, so the chain
r ← e_CLS, r ← 0.5·r + 0.5·mean_h(r S_l^h) for l = i … 1
gives it in O(N²) a block where the product of matrices costs O(N³), and needs one head's S_l at a time.
Rows of S̄ sum to 1, hence so does r: nothing is renormalised.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# Heads' maps are made as many at a time as fit in here, or in one head's map of the whole batch.
SCORE_BYTES = 8 * 2**20


@torch.no_grad()
def rollout_row(queries_keys: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """First row of Ŝ_i, the accumulated attention of the class token.

    queries_keys: (Q, K) of blocks 1 … i in order, each (B, H, N+1, d), unscaled.
    Returns (B, N+1) in float32 (float64 for float64 input), without gradient; every row sums to 1.
    """
    if not queries_keys:
        raise ValueError("rollout needs the queries and keys of at least one block")
    q, _ = queries_keys[-1]
    row = torch.zeros(q.shape[0], q.shape[2], dtype=_at_least_float32(q.dtype), device=q.device)
    row[:, 0] = 1.0
    with torch.autocast(q.device.type, enabled=False):
        for q, k in reversed(queries_keys):
            row = 0.5 * row + 0.5 * row_times_scores(row, q.detach(), k.detach())
    return row


def row_times_scores(row: Tensor, q: Tensor, k: Tensor) -> Tensor:
    """mean_h(r S^h) with S^h = softmax(Q_h K_hᵀ/√d), never holding more than one head's map or SCORE_BYTES.

    row: (B, N+1); q, k: (B, H, N+1, d). Returns (B, N+1) in row's dtype.
    """
    batch, heads, tokens, width = q.shape
    of_one = tokens * tokens * row.element_size()
    # For each map: scores, their softmax, and what is made of its queries and keys.
    of_each_map = 2 * of_one + 3 * tokens * width * row.element_size()
    at_once = max(1, max(SCORE_BYTES, batch * of_one) // of_each_map)
    images, of_each = min(batch, at_once), min(heads, max(1, at_once // batch))
    # Made once: new pages of memory cost as much as the products.
    scores, maps = row.new_empty(2, images * of_each, tokens, tokens)
    total = torch.zeros_like(row)
    for i in range(0, batch, images):
        for h in range(0, heads, of_each):
            part = slice(i, i + images), slice(h, h + of_each)
            q_h = (q[part].to(row.dtype) * width**-0.5).flatten(0, 1)
            k_h = k[part].to(row.dtype).flatten(0, 1)
            s_h, size = torch.bmm(q_h, k_h.transpose(-2, -1), out=scores[: len(q_h)]), q[part].shape[:2]
            s_h = torch.softmax(s_h, dim=-1, out=maps[: len(q_h)]).unflatten(0, size)
            total[part[0]] += (row[part[0], None, None, :] @ s_h).squeeze(2).sum(dim=1)
    return total / heads


@torch.no_grad()
def rollout_matrix(attention_maps: Sequence[Tensor]) -> Tensor:
    """The whole Ŝ_i from explicit maps, to look at: O(N³) a block.

    attention_maps: S of blocks 1 … i, each (B, H, N+1, N+1), rows summing to 1. Returns (B, N+1, N+1).
    """
    if not attention_maps:
        raise ValueError("rollout needs the attention map of at least one block")
    product = None
    for maps in attention_maps:
        s_bar = 0.5 * maps.mean(dim=1)
        s_bar.diagonal(dim1=-2, dim2=-1).add_(0.5)
        product = s_bar if product is None else s_bar @ product
    return product


@torch.no_grad()
def attention_map(q: Tensor, k: Tensor) -> Tensor:
    """S = softmax(QKᵀ/√d) of one block, (B, H, N+1, N+1). On demand only: training never stores this."""
    return ((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)).softmax(dim=-1)


def _at_least_float32(dtype: torch.dtype) -> torch.dtype:
    return dtype if dtype in (torch.float32, torch.float64) else torch.float32
