"""Attention rollout (Eq. 2) of the class token, as a chain of row vectors.

Ŝ_i = S̄_i S̄_{i-1} … S̄_1 with S̄_l = 0.5·S_l + 0.5·E and S_l the mean over the heads. The paper reads only the first row
of Ŝ_i, the class token's. A row times a matrix is a row, so the chain
r ← e_CLS, r ← 0.5·r + 0.5·mean_h(r S_l^h) for l = i … 1
gives it in O(N²) a block, while the product of matrices costs O(N³), and it needs one head's S_l at a time.
Rows of S̄ sum to 1, so r sums to 1: nothing is normalised again.

The paper has one S and does not say how heads are fused; this code takes the mean. With ``max`` or ``min`` the rows of
S̄ do not sum to 1, each has another sum, and the products would grow or vanish over the blocks. Each row of S̄ is
therefore divided by its sum, as in vit-explain, and r sums to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from dcal.settings import require_choice

# (Q, K) of a block, each (B, H, N+1, d), unscaled.
QueriesKeys = tuple[Tensor, Tensor]
# Size of the maps that are computed at once: this, or one head's map of the whole batch if that is larger.
SCORE_BYTES = 8 * 2**20


@torch.no_grad()
def rollout_row(queries_keys: Sequence[QueriesKeys], head_fusion: HeadFusion = "mean") -> Tensor:
    """First row of Ŝ_i, the accumulated attention of the class token, (B, N+1).

    queries_keys: (Q, K) of blocks 1 … i in order, each (B, H, N+1, d), unscaled. head_fusion: ``mean``, ``max`` or
    ``min`` of the heads.
    float32 (float64 for float64 input), without gradient; every row sums to 1.
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
    """mean_h(r S^h) with S^h = softmax(Q_h K_hᵀ/√d), (B, N+1) in row's dtype.

    row: r, (B, N+1). q, k: (B, H, N+1, d). At most one head's map of the batch exists at once, or SCORE_BYTES.
    """
    if torch.compiler.is_exporting():  # a graph for any batch size has no loop over the batch
        maps = attention_map(q.to(row.dtype), k.to(row.dtype))
        return (row[:, None, None, :] @ maps).squeeze(2).mean(dim=1)
    batch, heads, tokens, width = q.shape
    map_bytes = tokens * tokens * row.element_size()
    # For each map: scores, softmax, and copies of queries and keys.
    bytes_per_map = 2 * map_bytes + 3 * tokens * width * row.element_size()
    at_once = max(1, max(SCORE_BYTES, batch * map_bytes) // bytes_per_map)
    images, heads_at_once = max(1, min(batch, at_once)), min(heads, max(1, at_once // max(1, batch)))
    # Allocated once: new pages of memory cost as much time as the products.
    scores, maps = row.new_empty(2, images * heads_at_once, tokens, tokens)
    total = torch.zeros_like(row)
    for i in range(0, batch, images):
        for h in range(0, heads, heads_at_once):
            part = slice(i, i + images), slice(h, h + heads_at_once)
            q_h = (q[part].to(row.dtype) * width**-0.5).flatten(0, 1)
            k_h = k[part].to(row.dtype).flatten(0, 1)
            s_h, size = torch.bmm(q_h, k_h.transpose(-2, -1), out=scores[: len(q_h)]), q[part].shape[:2]
            s_h = torch.softmax(s_h, dim=-1, out=maps[: len(q_h)]).unflatten(0, size)
            total[part[0]] += (row[part[0], None, None, :] @ s_h).squeeze(2).sum(dim=1)
    return total / heads


def row_times_fused(
    row: Tensor, q: Tensor, k: Tensor, maps: Callable[[Tensor, Tensor], Tensor], head_fusion: HeadFusion
) -> Tensor:
    """r S̄ with fused heads and each row of S̄ divided by its sum, (B, N+1) in row's dtype.

    row: r of the first n tokens, (B, n). q: their queries, (B, H, n, d). k: (B, H, N+1, d). maps: function of some of
    the queries and all keys that returns S, (B, H, ·, N+1). As many rows of S̄ at a time as SCORE_BYTES hold.
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
        del fused  # or the maps of the next rows would exist beside it
    return out


@torch.no_grad()
def rollout_matrix(attention_maps: Iterable[Tensor], head_fusion: HeadFusion = "mean") -> Tensor:
    """The complete Ŝ_i from attention maps, for inspection, (B, N+1, N+1): O(N³) a block.

    attention_maps: S of blocks 1 … i, each (B, H, N+1, N+1), rows sum to 1; of a generator one map exists at a time.
    Rows of the result sum to 1 with any fusion. dtype and errors as ``rollout_row``.
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
    """S = softmax(QKᵀ/√d) of a block, (B, H, n, n'). Training stores no such map. q: (B, H, n, d). k: (B, H, n', d)."""
    return ((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)).softmax(dim=-1)


def rows_at_once(q: Tensor, k: Tensor, size: int) -> int:
    """Number of query rows, at least 1, whose map over all heads has at most ``size`` bytes. q, k: (B, H, ·, d)."""
    if torch.compiler.is_exporting():
        return q.shape[2]
    batch, heads, _, _ = q.shape
    # Autocast computes float32 maps from bfloat16 scores.
    return max(1, size // max(1, batch * heads * k.shape[2] * max(4, q.element_size())))


# --- Fusion of the H attention maps of a block into one: mean, maximum or minimum over the heads ---

HeadFusion = Literal["mean", "max", "min"]
_FUSE = {"mean": torch.mean, "max": torch.amax, "min": torch.amin}


def fuse_heads(maps: Tensor, head_fusion: HeadFusion) -> Tensor:
    """Fused map, (B, n, n'). maps: (B, H, n, n'), rows sum to 1; with ``max`` and ``min`` the result's do not."""
    return _FUSE[head_fusion](maps, dim=1)


# --- Result of an attention rollout: the class token's response to each token, as patches, heatmap and top tokens ---

Layers = tuple[int, int]


@dataclass(frozen=True)
class Rollout:
    """Accumulated attention of the class token (Eq. 2).

    row: (B, P + N), response to each token: P prefix tokens, the class token first, then N patches. Each row sums to 1.
    layers: (a, b), the blocks of the rollout, counted from 1, inclusive.
    prefix: P; more than 1 where a distillation token or registers follow the class token.
    grid: rows and columns of patches, N their product; None where unknown.
    """

    row: Tensor
    layers: Layers
    prefix: int = 1
    grid: tuple[int, int] | None = None

    def cls_attention(self) -> Tensor:
        """Response to the patches, (B, N); its sum is 1 less the response to the prefix tokens."""
        return self.row[:, self.prefix :]

    def heatmap(self) -> Tensor:
        """Response to the patches by their place in the image, (B, rows, columns).

        Raises ValueError without a grid, or for a grid of another number of patches.
        """
        patches = self.cls_attention()
        if self.grid is None or self.grid[0] * self.grid[1] != patches.shape[1]:
            raise ValueError(
                f"the rollout has {patches.shape[1]} patches and its grid is {self.grid}: reshape cls_attention() to "
                "(B, rows, columns) yourself"
            )
        return patches.unflatten(1, self.grid)

    def top_tokens(self, ratio: float) -> Tensor:
        """Indices of the ⌊R·N⌋ patches with the highest response among all tokens, best first, (B, ⌊R·N⌋). ratio: R."""
        return select_top_tokens(self.row, ratio, prefix=self.prefix)


def rollout_layers(layers: Layers | None, depth: int, glca_blocks: int = 1) -> Layers:
    """The blocks of a rollout: ``layers``, or 1 … L−M if None. depth: L. glca_blocks: M.

    Raises ValueError for layers that are not 1 ≤ a ≤ b ≤ L.
    """
    first, last = layers or (1, depth - glca_blocks)
    if not 1 <= first <= last <= depth:
        raise ValueError(
            f"layers {first}-{last}: expected a-b with 1 ≤ a ≤ b ≤ {depth}, the blocks of this backbone"
        )
    return first, last


# --- The tokens with the highest response to the class token: GLCA's local queries, ⌊R·N⌋ of N patches ---


def number_of_top_tokens(ratio: float, patches: int) -> int:
    """⌊R·N⌋. ratio: R in (0, 1]. patches: N. Raises ValueError where this is 0 or more than N."""
    count = math.floor(ratio * patches + 1e-9)  # 0.29 · 100 is 28.999… in floating point
    if count < 1:
        raise ValueError(f"R = {ratio} of {patches} patches selects none: raise R or the input size")
    if count > patches:
        raise ValueError(f"R = {ratio} of {patches} patches selects {count}: R is a share in (0, 1]")
    return count


def select_top_tokens(row: Tensor, ratio: float, *, prefix: int = 1) -> Tensor:
    """Indices of the ⌊R·N⌋ patches with the highest response among all prefix + N tokens, best first, (B, ⌊R·N⌋).

    row: (B, prefix + N), response of each token, such as a rollout's row. ratio: R. prefix: number of tokens before the
    patches, the class token first; they are not selected and not counted in N.
    Raises ValueError as ``number_of_top_tokens``.
    """
    patches = row[:, prefix:]
    return patches.topk(number_of_top_tokens(ratio, patches.shape[1]), dim=1).indices + prefix


def top_token_mask(row: Tensor, ratio: float, *, prefix: int = 1) -> Tensor:
    """The same selection as a mask of all tokens, (B, prefix + N), False for the prefix tokens. Arguments as above."""
    index = select_top_tokens(row, ratio, prefix=prefix)
    return torch.zeros_like(row, dtype=torch.bool).scatter_(1, index, True)


def local_queries(row: Tensor, ratio: float, *, prefix: int = 1) -> Tensor:
    """Indices of GLCA's queries, (B, 1 + ⌊R·N⌋): the class token, then the selected patches. Arguments as above."""
    patches = select_top_tokens(row, ratio, prefix=prefix)
    return torch.cat((patches.new_zeros(len(patches), 1), patches), dim=1)
