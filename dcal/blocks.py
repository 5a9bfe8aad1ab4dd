"""timm's pre-norm encoder block taken apart where the method reaches in: at its queries, keys and values, and behind
its attention (dcal/projections.py). Parameters, their names and the arithmetic stay timm's.

``queries``, ``keys_values`` and ``rest_of_block`` are what GLCA needs of a block; another family's block registers its
own (dcal/cait.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch

from timm.models.vision_transformer import Block
from torch import Tensor

from dcal import projections
from dcal.attention import self_attention


def queries_keys_values(block: Block, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Q = LN(X)W_Q, K = LN(X)W_K, V = LN(X)W_V of all tokens. x: (B, n, D); each result: (B, H, n, d)."""
    return projections.queries_keys_values(block.attn, block.norm1(x))


@singledispatch
def queries(block: Block, x: Tensor) -> Tensor:
    """Q alone, for tokens whose keys and values nobody asks for. x: (B, n, D); result: (B, H, n, d)."""
    return projections.queries(block.attn, block.norm1(x))


@singledispatch
def keys_values(block: Block, x: Tensor) -> tuple[Tensor, Tensor]:
    """K and V alone. x: (B, n, D); each result: (B, H, n, d)."""
    return projections.keys_values(block.attn, block.norm1(x))


@singledispatch
def rest_of_block(block: Block, x: Tensor, attended: Tensor) -> Tensor:
    """Everything of a block behind its attention: output projection, residual, LN, FFN, residual.

    x: (B, n, D), the residual stream; attended: (B, H, n, d). Stochastic depth draws once per row of the batch.
    """
    x = x + block.drop_path1(block.ls1(projections.projected(block.attn, attended)))
    return x + block.drop_path2(block.ls2(block.mlp(block.norm2(x))))


Read = Callable[[Block, Tensor], tuple[Tensor, Tensor, Tensor]]


def class_token_queries(block: Block, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Q of the class token alone, (B, H, 1, d), and K, V of all tokens: as ``queries_keys_values`` for the last block,
    behind which nobody reads another token.
    """
    return queries(block, x[:, :1]), *keys_values(block, x)


def plain_block(
    block: Block, x: Tensor, read: Read = queries_keys_values
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """A block as it is (Eq. 1). x: (B, n, D); returns the tokens behind it that ``read`` queries for, and its (Q, K),
    which the rollout reads.
    """
    q, k, v = read(block, x)
    return rest_of_block(block, querying(x, q), self_attention(q, k, v)), (q, k)


def querying(x: Tensor, q: Tensor) -> Tensor:
    """The tokens (B, n, D) whose queries are (B, H, m, d): all, or the class token."""
    return x if x.shape[1] == q.shape[2] else x[:, :1]
