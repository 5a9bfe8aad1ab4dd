"""The adapter of timm's VisionTransformer. Parameters, their names and the arithmetic of self-attention are timm's."""

from __future__ import annotations

import torch
from timm.layers import Attention, HybridEmbed
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

from dcal.attention import self_attention
from dcal.attention_rollout import QueriesKeys
from dcal.backbones.class_token import ClassTokenBackbone
from dcal.blocks import keys_values, queries, queries_keys_values, rest_of_block
from dcal.glca import GLCA
from dcal.pwca import Pairs, paired_attention
from dcal.settings import GLCASettings


class PlainViT(ClassTokenBackbone):
    """A timm VisionTransformer: ViT, DeiT, and the R50 hybrid (its stem is the patch embedding).

    vit: the timm model, built with ``num_classes=0``. Token 0 is the class token, the only prefix token.

    Raises ValueError for variants on which the method is not defined (no class token, register or distillation
    tokens, gated or other attention, dropout on it).
    """

    def __init__(self, vit: VisionTransformer) -> None:
        super().__init__(vit)
        name = type(vit).__name__
        if not vit.has_class_token or vit.num_prefix_tokens != 1 or vit.global_pool != "token":
            raise ValueError(
                f"{name} has {vit.num_prefix_tokens} prefix tokens and '{vit.global_pool}' pooling: DCAL reads "
                "one class token (rollout row, GLCA query, classifier); choose a class-token ViT"
            )
        for l, block in enumerate(vit.blocks, start=1):
            attn = block.attn
            is_plain = type(block) is Block and type(attn) is Attention
            if not is_plain or attn.gate is not None or attn.attn_drop.p:
                raise ValueError(
                    f"block {l} of {name} is a {type(block).__name__} with {type(attn).__name__}: expected timm's "
                    "pre-norm Block with plain multi-head attention, without dropout on it"
                )
        if isinstance(vit.patch_embed, HybridEmbed):
            # Convolutions read all channels of a pixel at once, and images arrive in this order.
            for layer in vit.patch_embed.modules():
                if isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1):
                    layer.to(memory_format=torch.channels_last)

    @property
    def blocks(self) -> nn.Sequential:
        """Blocks 1 … L."""
        return self.vit.blocks

    def embed(self, images: Tensor) -> Tensor:
        """X_0, tokens with position embeddings, (B, N+1, D). images: (B, 3, h, w), normalised."""
        x = self.vit.patch_embed(images)
        x = self.vit._pos_embed(x)
        x = self.vit.patch_drop(x)
        return self.vit.norm_pre(x)

    def make_glca(self, settings: GLCASettings) -> GLCA:
        """GLCA beside the last M blocks. Raises ValueError if these are all of them."""
        if settings.blocks >= self.depth:
            raise ValueError(
                f"M = {settings.blocks} GLCA blocks beside {self.depth} blocks leave none for the rollout"
            )
        rows, columns = self.grid
        return GLCA(self.blocks[-settings.blocks :], self.norm, rows * columns, settings)

    def run_block(self, l: int, x: Tensor, pairs: Pairs | None = None) -> tuple[Tensor, QueriesKeys]:
        """Block l; the last one returns the class token alone, (·, 1, D), as no other token is read behind it."""
        return encoder_block(self.blocks[l], x, pairs, class_token_only=l == self.depth - 1)


def encoder_block(
    block: Block, x: Tensor, pairs: Pairs | None = None, *, class_token_only: bool = False
) -> tuple[Tensor, QueriesKeys]:
    """An encoder block: self-attention (Eq. 1), with ``pairs`` also PWCA (Eq. 4).

    x: (S, N+1, D), behind the first pair-wise block (S + B, N+1, D), the PWCA stream last.
    class_token_only: the class token alone has a query.
    Returns the tokens that have a query, (S, n, D), with pairs (S + B, n, D), and (Q, K) of x for the rollout.
    """
    if class_token_only:
        q, (k, v) = queries(block, x[:, :1]), keys_values(block, x)
        x = x[:, :1]
    else:
        q, k, v = queries_keys_values(block, x)
    if pairs is None:
        return rest_of_block(block, x, self_attention(q, k, v)), (q, k)
    # In memory (S + B, n, H, d), as the output projection reads it.
    heads = torch.cat([stream.transpose(1, 2) for stream in paired_attention(q, k, v, pairs)]).transpose(1, 2)
    return rest_of_block(block, pairs.residual(x), heads), (q, k)
