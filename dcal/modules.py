"""GLCA's and PWCA's attention as modules on embeddings, for other models; the paper's model has them in its blocks
(dcal/glca.py, dcal/pwca.py).

Embeddings are not normalised here: in a pre-norm block they come from its first layer norm. The projections W_Q, W_K,
W_V and W_O are those of ``attention``, a timm Attention, which may be replaced by a block's own: PWCA shares weights
with self-attention, ``pwca.attention = vit.blocks[0].attn``.
"""

from __future__ import annotations

from timm.layers import Attention
from torch import Tensor, nn

from dcal.attention import (
    global_local_attention,
    keys_values,
    output,
    pairwise_attention,
    queries,
    queries_keys_values,
    self_attention,
)
from dcal.attention_rollout import Rollout, local_queries
from dcal.glca import gather_tokens


class GlobalLocalCrossAttention(nn.Module):
    """Eq. 3: the class token and the ⌊R·N⌋ patches with the highest response query all tokens.

    embed_dim: D. num_heads: H, a divisor of D. ratio: R in (0, 1], 0.1 for FGVC and 0.3 for Re-ID in the paper.
    """

    def __init__(self, embed_dim: int, num_heads: int, ratio: float = 0.1) -> None:
        super().__init__()
        self.ratio = ratio
        self.attention = _attention(embed_dim, num_heads)

    def forward(self, embeddings: Tensor, response: Rollout | Tensor) -> Tensor:
        """Class token and selected patches, best first, (B, 1 + ⌊R·N⌋, D).

        embeddings: (B, P + N, D), the class token first. response: a rollout, or its row (B, 1 + N) with P = 1.
        Raises ValueError where ⌊R·N⌋ is 0, and for a response of another number of tokens.
        """
        row, prefix = (response.row, response.prefix) if isinstance(response, Rollout) else (response, 1)
        if row.shape != embeddings.shape[:2]:
            raise ValueError(
                f"the response has shape {tuple(row.shape)}: expected (B, tokens) of the embeddings, "
                f"{tuple(embeddings.shape[:2])}"
            )
        index = local_queries(row, self.ratio, prefix=prefix)
        q = queries(self.attention, gather_tokens(embeddings, index))
        k, v = keys_values(self.attention, embeddings)
        return output(self.attention, global_local_attention(q, k, v))


class PairWiseCrossAttention(nn.Module):
    """Eq. 4 in training mode: image 1 queries its own tokens and those of image 2, its distractor. In eval mode Eq. 1,
    the self-attention of image 1 with the same weights: the paper's PWCA exists in training only.

    embed_dim: D. num_heads: H, a divisor of D.
    """

    def __init__(self, embed_dim: int, num_heads: int) -> None:
        super().__init__()
        self.attention = _attention(embed_dim, num_heads)

    def forward(self, first: Tensor, second: Tensor | None = None) -> Tensor:
        """Tokens of image 1, (B, N + 1, D).

        first, second: (B, N + 1, D), embeddings of the two images of each pair; second has no effect in eval mode.
        Raises ValueError in training mode unless second has the shape of first.
        """
        q, k, v = queries_keys_values(self.attention, first)
        if not self.training:
            return output(self.attention, self_attention(q, k, v))
        if second is None or second.shape != first.shape:
            shape = "none" if second is None else tuple(second.shape)
            raise ValueError(
                f"PWCA pairs embeddings of shape {tuple(first.shape)} with as many in training, found {shape}"
            )
        return output(self.attention, pairwise_attention(q, k, v, *keys_values(self.attention, second)))


def _attention(embed_dim: int, num_heads: int) -> Attention:
    """timm's attention module. Raises ValueError for a number of heads that does not divide D."""
    if num_heads < 1 or embed_dim % num_heads:
        raise ValueError(f"{num_heads} heads for embeddings of {embed_dim}: expected a divisor of it")
    return Attention(embed_dim, num_heads, qkv_bias=True)
