"""CaiT's class-attention block: the class token alone queries itself and the patches, which do not change.

It registers with ``dcal.blocks`` what GLCA needs of such a block.
"""

from __future__ import annotations

import torch
from timm.models.cait import LayerScaleBlock, LayerScaleBlockClassAttn
from torch import Tensor

from dcal.attention import self_attention
from dcal.attention_rollout import QueriesKeys, attention_map
from dcal.blocks import keys_values, queries, rest_of_block
from dcal.pwca import Pairs, paired_attention


def class_block(
    block: LayerScaleBlockClassAttn, x: Tensor, pairs: Pairs | None = None
) -> tuple[Tensor, QueriesKeys]:
    """A class-attention block, with ``pairs`` also for the PWCA stream: there the class token queries the class token
    and patches of both images, 2(N+1) keys, and each stream keeps its patches.

    x: (S, N+1, D), behind the first pair-wise block (S + B, N+1, D). Returns the same with another class token, with
    pairs (S + B, N+1, D), and (Q, K) of x, (·, H, 1, d) and (·, H, N+1, d).
    """
    q, (k, v) = queries(block, x[:, :1]), keys_values(block, x)
    class_token, patches = x[:, :1], x[:, 1:]
    if pairs is None:
        heads = self_attention(q, k, v)
    else:
        heads = torch.cat(paired_attention(q, k, v, pairs))
        class_token, patches = pairs.residual(class_token), pairs.both_streams(patches)
    return torch.cat((rest_of_block(block, class_token, heads), patches), dim=1), (q, k)


def row_times_class_map(row: Tensor, q: Tensor, k: Tensor) -> Tensor:
    """r S of a class-attention block, (B, N+1) in row's dtype. Patches do not change: S is the identity in their rows.

    row: r, (B, N+1). q: (B, H, 1, d). k: (B, H, N+1, d).
    """
    class_row = attention_map(q.to(row.dtype), k.to(row.dtype)).mean(dim=1)[:, 0]
    patches = row.clone()
    patches[:, 0] = 0
    return patches + row[:, :1] * class_row


@queries.register
def _(block: LayerScaleBlockClassAttn, x: Tensor) -> Tensor:
    return _split_heads(block.attn.q(block.norm1(x)), block.attn.num_heads)


@keys_values.register
def _(block: LayerScaleBlockClassAttn, x: Tensor) -> tuple[Tensor, Tensor]:
    attn, x = block.attn, block.norm1(x)
    return _split_heads(attn.k(x), attn.num_heads), _split_heads(attn.v(x), attn.num_heads)


@rest_of_block.register(LayerScaleBlockClassAttn)
def layer_scale_rest(block: LayerScaleBlock | LayerScaleBlockClassAttn, x: Tensor, heads: Tensor) -> Tensor:
    """``blocks.rest_of_block`` of both kinds of CaiT's blocks, with LayerScale in both residual branches.

    x: (B, n, D), the residual. heads: (B, H, n, d).
    """
    output = block.attn.proj_drop(block.attn.proj(heads.transpose(1, 2).flatten(2)))
    x = x + block.drop_path(block.gamma_1 * output)
    return x + block.drop_path(block.gamma_2 * block.mlp(block.norm2(x)))


def _split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, n, H·d) to (B, H, n, d)."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)
