"""Attention rollout (Eq. 2) of the class token, as a chain of row vectors.

Ŝ_i = S̄_i S̄_{i-1} … S̄_1 with S̄_l = 0.5·S_l + 0.5·E and S_l the mean over the heads. The paper only reads the
first row of Ŝ_i, the class token's. A row times a matrix is a row, so the chain
r ← e_CLS, r ← 0.5·r + 0.5·mean_h(r S_l^h) for l = i … 1
gives it in O(N²) a block where the product of matrices costs O(N³), and needs one head's S_l at a time.
Rows of S̄ sum to 1, hence so does r: nothing is renormalised.

The paper writes one S and leaves the heads open; the mean is the method's reading. With the heads fused by ``max`` or
``min`` the rows of S̄ sum to something else, differently for every token, and the products would grow or vanish over the
blocks. So each row of S̄ is divided by its sum, as vit-explain means to, and r sums to 1 again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from dcal.head_fusion import HeadFusion, fuse_heads
from dcal.settings import require_choice

# (Q, K) of a block, each (B, H, N+1, d), unscaled.
QueriesKeys = tuple[Tensor, Tensor]
# Heads' maps are made as many at a time as fit in here, or in one head's map of the whole batch.
SCORE_BYTES = 8 * 2**20


@torch.no_grad()
def rollout_row(queries_keys: Sequence[QueriesKeys], head_fusion: HeadFusion = "mean") -> Tensor:
    """First row of Ŝ_i, the accumulated attention of the class token.

    queries_keys: (Q, K) of blocks 1 … i in order, each (B, H, N+1, d), unscaled. head_fusion: ``mean``, ``max`` or
    ``min`` of the heads.
    Returns (B, N+1) in float32 (float64 for float64 input), without gradient; every row sums to 1.
    Raises ValueError without a block, or for another fusion.
    """
    if not queries_keys:
        raise ValueError("rollout needs the queries and keys of at least one block")
    require_choice("head_fusion", head_fusion, HeadFusion)
    q, _ = queries_keys[-1]
    row = torch.zeros(
        q.shape[0], q.shape[2], dtype=torch.promote_types(q.dtype, torch.float32), device=q.device
    )
    row[:, 0] = 1.0
    with torch.autocast(q.device.type, enabled=False):
        for q, k in reversed(queries_keys):
            if head_fusion == "mean":
                row = 0.5 * row + 0.5 * row_times_scores(row, q.detach(), k.detach())
            else:
                row = row_times_fused(row, q.detach(), k.detach(), attention_map, head_fusion)
    return row


def row_times_scores(row: Tensor, q: Tensor, k: Tensor) -> Tensor:
    """mean_h(r S^h) with S^h = softmax(Q_h K_hᵀ/√d), never holding more than one head's map or SCORE_BYTES.

    row: (B, N+1); q, k: (B, H, N+1, d). Returns (B, N+1) in row's dtype.
    """
    if torch.compiler.is_exporting():  # a graph for batches of any size has no loop over the batch
        maps = attention_map(q.to(row.dtype), k.to(row.dtype))
        return (row[:, None, None, :] @ maps).squeeze(2).mean(dim=1)
    batch, heads, tokens, width = q.shape
    of_one = tokens * tokens * row.element_size()
    # For each map: scores, their softmax, and what is made of its queries and keys.
    of_each_map = 2 * of_one + 3 * tokens * width * row.element_size()
    at_once = max(1, max(SCORE_BYTES, batch * of_one) // of_each_map)
    images, of_each = max(1, min(batch, at_once)), min(heads, max(1, at_once // max(1, batch)))
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


def row_times_fused(
    row: Tensor, q: Tensor, k: Tensor, maps: Callable[[Tensor, Tensor], Tensor], head_fusion: HeadFusion
) -> Tensor:
    """r S̄ with the heads' maps fused and each row of S̄ divided by its sum, as many rows at a time as SCORE_BYTES hold.

    row: (B, n), the share of the first n tokens, of which q are the queries (B, H, n, d); k: (B, H, N+1, d).
    maps: S of some of the queries and all keys, (B, H, ·, N+1). Returns (B, N+1) in row's dtype.
    """
    out = row.new_zeros(row.shape[0], k.shape[2])
    q, k = q.to(row.dtype), k.to(row.dtype)
    at_once, start = rows_at_once(q, k, SCORE_BYTES), 0
    for part, queries in zip(row.split(at_once, dim=1), q.split(at_once, dim=2), strict=True):
        fused = fuse_heads(maps(queries, k), head_fusion)
        share = part / (0.5 + 0.5 * fused.sum(dim=-1))
        out += 0.5 * (share[:, None, :] @ fused).squeeze(1)
        out[:, start : start + part.shape[1]] += 0.5 * share
        start += part.shape[1]
        del fused  # or the next rows' would be made beside it
    return out


@torch.no_grad()
def rollout_matrix(attention_maps: Iterable[Tensor], head_fusion: HeadFusion = "mean") -> Tensor:
    """The whole Ŝ_i from explicit maps, to look at: O(N³) a block.

    attention_maps: S of blocks 1 … i, each (B, H, N+1, N+1), rows summing to 1; a generator's are held one at a time.
    Returns (B, N+1, N+1), rows summing to 1 with any fusion. dtype and errors as ``rollout_row``.
    """
    require_choice("head_fusion", head_fusion, HeadFusion)
    product = None
    for maps in attention_maps:
        s_bar = 0.5 * fuse_heads(maps.to(torch.promote_types(maps.dtype, torch.float32)), head_fusion)
        s_bar.diagonal(dim1=-2, dim2=-1).add_(0.5)
        if head_fusion != "mean":
            s_bar /= s_bar.sum(dim=-1, keepdim=True)
        with torch.autocast(s_bar.device.type, enabled=False):
            product = s_bar if product is None else s_bar @ product
    if product is None:
        raise ValueError("rollout needs the attention map of at least one block")
    return product


@torch.no_grad()
def attention_map(q: Tensor, k: Tensor) -> Tensor:
    """S = softmax(QKᵀ/√d) of one block, (B, H, N+1, N+1). On demand only: training never stores this."""
    return ((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)).softmax(dim=-1)


def rows_at_once(q: Tensor, k: Tensor, size: int) -> int:
    """Rows of queries whose map, over all images and heads, has at most ``size`` bytes, and at least one row."""
    if torch.compiler.is_exporting():
        return q.shape[2]
    batch, heads, _, _ = q.shape
    # Autocast's softmax makes float32 maps of bfloat16 scores.
    return max(1, size // max(1, batch * heads * k.shape[2] * max(4, q.element_size())))
