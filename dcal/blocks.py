"""The parts of timm's pre-norm encoder block: queries, keys and values before the attention, and the rest behind it.
Parameters, their names and the arithmetic are timm's.

``queries``, ``keys_values`` and ``rest_of_block`` are what GLCA needs of a block; CaiT's blocks register their own
(dcal/backbones/class_attention.py, dcal/backbones/talking_heads.py).
"""

from __future__ import annotations

from functools import singledispatch

from timm.models.vision_transformer import Block
from torch import Tensor

from dcal import attention


def queries_keys_values(block: Block, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Q = LN(X)W_Q, K = LN(X)W_K, V = LN(X)W_V, each (B, H, n, d). x: (B, n, D)."""
    return attention.queries_keys_values(block.attn, block.norm1(x))


@singledispatch
def queries(block: Block, x: Tensor) -> Tensor:
    """Q alone, (B, H, n, d). x: (B, n, D)."""
    return attention.queries(block.attn, block.norm1(x))


@singledispatch
def keys_values(block: Block, x: Tensor) -> tuple[Tensor, Tensor]:
    """K and V alone, each (B, H, n, d). x: (B, n, D)."""
    return attention.keys_values(block.attn, block.norm1(x))


@singledispatch
def rest_of_block(block: Block, x: Tensor, heads: Tensor) -> Tensor:
    """Tokens behind a block, (B, n, D): output projection, residual, LN, FFN, residual.

    x: (B, n, D), the residual. heads: (B, H, n, d), output of the attention. Stochastic depth draws once for each of
    the B rows.
    """
    x = x + block.drop_path1(block.ls1(attention.output(block.attn, heads)))
    return x + block.drop_path2(block.ls2(block.mlp(block.norm2(x))))
