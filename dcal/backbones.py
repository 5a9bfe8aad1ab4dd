"""Adapters from timm's backbones to what the method needs: tokens in, blocks, tokens out.

The self-attention stream stays timm's: parameters, their names and the arithmetic are untouched. A block is taken
apart only where the method has to reach in: at its queries, keys and values, and behind its attention.
"""

from __future__ import annotations

import torch
from timm.layers import Attention
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F


class PlainViT(nn.Module):
    """A timm VisionTransformer: ViT, DeiT, and the R50 hybrid (its stem is the patch embedding).

    vit: the timm model, built with ``num_classes=0``. Token 0 must be the class token, the only prefix token.

    Raises ValueError for variants the method is not defined on (no class token, register or distillation
    tokens, gated or non-standard attention).
    """

    def __init__(self, vit: VisionTransformer) -> None:
        super().__init__()
        name = type(vit).__name__
        if not vit.has_class_token or vit.num_prefix_tokens != 1 or vit.global_pool != "token":
            raise ValueError(
                f"{name} has {vit.num_prefix_tokens} prefix tokens and '{vit.global_pool}' pooling: DCAL reads "
                "one class token (rollout row, GLCA query, classifier); choose a class-token ViT"
            )
        for l, block in enumerate(vit.blocks, start=1):
            if type(block) is not Block or type(block.attn) is not Attention or block.attn.gate is not None:
                raise ValueError(
                    f"block {l} of {name} is a {type(block).__name__} with {type(block.attn).__name__}: "
                    "expected timm's pre-norm Block with plain multi-head attention"
                )
        self.vit = vit

    @property
    def blocks(self) -> nn.Sequential:
        return self.vit.blocks

    @property
    def norm(self) -> nn.Module:
        return self.vit.norm

    @property
    def width(self) -> int:
        return self.vit.embed_dim

    @property
    def grid(self) -> tuple[int, int]:
        """Patch tokens as (rows, columns); N is their product."""
        return tuple(self.vit.patch_embed.grid_size)

    def embed(self, images: Tensor) -> Tensor:
        """X_0: images (B, 3, h, w), normalised, to tokens (B, N+1, D) with position embeddings."""
        x = self.vit.patch_embed(images)
        x = self.vit._pos_embed(x)
        x = self.vit.patch_drop(x)
        return self.vit.norm_pre(x)

    def class_token(self, images: Tensor) -> Tensor:
        """The plain backbone: timm's own forward up to the normalised class token, (B, D)."""
        return self.vit.forward_features(images)[:, 0]


def queries_keys_values(block: Block, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Q = LN(X)W_Q, K = LN(X)W_K, V = LN(X)W_V of all tokens. x: (B, n, D); each result: (B, H, n, d)."""
    attn = block.attn
    q, k, v = _split_heads(attn.qkv(block.norm1(x)), 3, attn)
    return attn.q_norm(q), attn.k_norm(k), v


def queries(block: Block, x: Tensor) -> Tensor:
    """Q alone, for tokens whose keys and values nobody asks for. x: (B, n, D); result: (B, H, n, d)."""
    attn = block.attn
    weight, bias = _rows(attn.qkv, slice(0, attn.attn_dim))
    (q,) = _split_heads(F.linear(block.norm1(x), weight, bias), 1, attn)
    return attn.q_norm(q)


def keys_values(block: Block, x: Tensor) -> tuple[Tensor, Tensor]:
    """K and V alone. x: (B, n, D); each result: (B, H, n, d)."""
    attn = block.attn
    weight, bias = _rows(attn.qkv, slice(attn.attn_dim, None))
    k, v = _split_heads(F.linear(block.norm1(x), weight, bias), 2, attn)
    return attn.k_norm(k), v


def rest_of_block(block: Block, x: Tensor, attended: Tensor) -> Tensor:
    """Everything of a block behind its attention: output projection, residual, LN, FFN, residual.

    x: (B, n, D), the residual stream; attended: (B, H, n, d). Stochastic depth draws once per row of the batch.
    """
    attn = block.attn
    batch, _, tokens, _ = attended.shape
    merged = attended.transpose(1, 2).reshape(batch, tokens, attn.attn_dim)
    merged = attn.proj_drop(attn.proj(attn.norm(merged)))
    x = x + block.drop_path1(block.ls1(merged))
    return x + block.drop_path2(block.ls2(block.mlp(block.norm2(x))))


def adapter_for(model: nn.Module) -> PlainViT:
    """The adapter of a timm model's family. Raises ValueError for families that have none."""
    if isinstance(model, VisionTransformer):
        return PlainViT(model)
    raise ValueError(
        f"DCAL has no adapter for {type(model).__name__}: expected a timm VisionTransformer (ViT, DeiT, hybrid). "
        "To add a family, write its adapter in dcal/backbones.py"
    )


def _split_heads(projected: Tensor, parts: int, attn: Attention) -> tuple[Tensor, ...]:
    batch, tokens, _ = projected.shape
    split = projected.reshape(batch, tokens, parts, attn.num_heads, attn.head_dim)
    return torch.unbind(split.permute(2, 0, 3, 1, 4))


def _rows(linear: nn.Linear, rows: slice) -> tuple[Tensor, Tensor | None]:
    return linear.weight[rows], None if linear.bias is None else linear.bias[rows]
