"""CaiT's class-attention block: the class token alone queries itself and the patches, which stay as they are.

Registers with ``dcal.blocks`` what GLCA needs of such a block.
"""

from __future__ import annotations

import torch
from timm.models.cait import LayerScaleBlock, LayerScaleBlockClassAttn
from torch import Tensor

from dcal.attention import pairwise_attention, self_attention
from dcal.attention_rollout import attention_map
from dcal.blocks import keys_values, queries, rest_of_block
from dcal.pwca import Distractor, sides_of


def class_block(block: LayerScaleBlockClassAttn, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """A block as it is. x: (B, N+1, D), class token and patches; returns the same with the class token renewed, and
    (Q, K) of the class token's query (B, H, 1, d) and of all keys (B, H, N+1, d).
    """
    q, (k, v) = queries(block, x[:, :1]), keys_values(block, x)
    class_token = rest_of_block(block, x[:, :1], self_attention(q, k, v))
    return torch.cat((class_token, x[:, 1:]), dim=1), (q, k)


def paired_class_block(
    block: LayerScaleBlockClassAttn, x: Tensor, images: int, partner: Tensor | None, stream: Distractor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """A block for the self-attention stream and the PWCA stream together, as ``pwca.paired_block``.

    The class token queries both images' class token and patches, 2(N+1) keys. Each stream keeps its patches; the PWCA
    stream's, where it only starts here, are image 1's (``own``, ``noise``) or the partner's (``figure``).
    """
    q, (k, v) = queries(block, x[:, :1]), keys_values(block, x)
    q, k, v, tokens = (sides_of(tensor, images, partner, stream) for tensor in (q, k, v, x))
    attended = (
        self_attention(q.sa, k.sa, v.sa),
        pairwise_attention(q.one, k.one, v.one, k.two, v.two),
    )
    class_tokens = torch.cat((tokens.sa[:, :1], tokens.one[:, :1]))
    class_tokens = rest_of_block(block, class_tokens, torch.cat(attended))
    pwca = tokens.two if stream == "figure" else tokens.one
    patches = torch.cat((tokens.sa[:, 1:], pwca[:, 1:]))
    return torch.cat((class_tokens, patches), dim=1), (q.sa, k.sa)


def row_times_class_map(row: Tensor, q: Tensor, k: Tensor) -> Tensor:
    """r S of a class-attention block: only the class token attends, patches stay, so S is the identity in their rows.

    row: (B, N+1); q: (B, H, 1, d); k: (B, H, N+1, d). Returns (B, N+1) in row's dtype.
    """
    attended = attention_map(q.to(row.dtype), k.to(row.dtype)).mean(dim=1)[:, 0]
    stays = row.clone()
    stays[:, 0] = 0
    return stays + row[:, :1] * attended


@queries.register
def _(block: LayerScaleBlockClassAttn, x: Tensor) -> Tensor:
    return _split_heads(block.attn.q(block.norm1(x)), block.attn.num_heads)


@keys_values.register
def _(block: LayerScaleBlockClassAttn, x: Tensor) -> tuple[Tensor, Tensor]:
    attn, x = block.attn, block.norm1(x)
    return _split_heads(attn.k(x), attn.num_heads), _split_heads(attn.v(x), attn.num_heads)


@rest_of_block.register(LayerScaleBlockClassAttn)
def layer_scaled_rest(
    block: LayerScaleBlock | LayerScaleBlockClassAttn, x: Tensor, attended: Tensor
) -> Tensor:
    """Behind the attention of either block of CaiT: projection, residual, LN, FFN, residual, each scaled by LayerScale.

    x: (B, n, D), the residual stream; attended: (B, H, n, d).
    """
    merged = attended.transpose(1, 2).flatten(2)
    merged = block.attn.proj_drop(block.attn.proj(merged))
    x = x + block.drop_path(block.gamma_1 * merged)
    return x + block.drop_path(block.gamma_2 * block.mlp(block.norm2(x)))


def _split_heads(projected: Tensor, heads: int) -> Tensor:
    return projected.unflatten(2, (heads, -1)).transpose(1, 2)
