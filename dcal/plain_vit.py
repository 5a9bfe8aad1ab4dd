"""The adapter of timm's VisionTransformer.

The self-attention stream stays timm's: parameters, their names and the arithmetic are untouched.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from timm.layers import Attention, HybridEmbed
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

from dcal.attention_rollout import rollout_row
from dcal.blocks import class_token_queries, plain_block, queries_keys_values
from dcal.class_token import BlockFunctions, ClassTokenBackbone, QueriesKeys
from dcal.glca import GLCA
from dcal.head_fusion import HeadFusion
from dcal.pwca import paired_block
from dcal.settings import GLCASettings


class PlainViT(ClassTokenBackbone):
    """A timm VisionTransformer: ViT, DeiT, and the R50 hybrid (its stem is the patch embedding).

    vit: the timm model, built with ``num_classes=0``. Token 0 must be the class token, the only prefix token.

    Raises ValueError for variants the method is not defined on (no class token, register or distillation
    tokens, gated or non-standard attention, dropout on it).
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
            plain = type(block) is Block and type(attn) is Attention
            if not plain or attn.gate is not None or attn.attn_drop.p:
                raise ValueError(
                    f"block {l} of {name} is a {type(block).__name__} with {type(attn).__name__}: expected timm's "
                    "pre-norm Block with plain multi-head attention, without dropout on it"
                )
        if isinstance(vit.patch_embed, HybridEmbed):
            # Convolutions read all channels of a place at once; pictures arrive in this order, too.
            for layer in vit.patch_embed.modules():
                if isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1):
                    layer.to(memory_format=torch.channels_last)

    @property
    def blocks(self) -> nn.Sequential:
        return self.vit.blocks

    def embed(self, images: Tensor) -> Tensor:
        """X_0: images (B, 3, h, w), normalised, to tokens (B, N+1, D) with position embeddings."""
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

    def functions(self, l: int) -> BlockFunctions:
        """The last block reads the class token's queries alone: nobody asks for what it makes of the patches."""
        read = class_token_queries if l == self.depth - 1 else queries_keys_values
        return partial(plain_block, read=read), partial(paired_block, read=read)

    def rollout_row(
        self, queries_keys: Sequence[QueriesKeys], first: int = 1, head_fusion: HeadFusion = "mean"
    ) -> Tensor:
        return rollout_row(queries_keys, head_fusion)
