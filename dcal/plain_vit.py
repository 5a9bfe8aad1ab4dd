"""The adapter of timm's VisionTransformer: tokens in, blocks with GLCA and PWCA beside them, features out.

The self-attention stream stays timm's: parameters, their names and the arithmetic are untouched.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from timm.layers import Attention, HybridEmbed
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dcal.blocks import class_token_queries, plain_block, queries_keys_values
from dcal.glca import GLCA, gather_tokens
from dcal.heads import Features
from dcal.pwca import Pairs, paired_block
from dcal.rollout import rollout_row
from dcal.settings import GLCASettings


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
        if isinstance(vit.patch_embed, HybridEmbed):
            # Convolutions read all channels of a place at once; pictures arrive in this order, too.
            for layer in vit.patch_embed.modules():
                if isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1):
                    layer.to(memory_format=torch.channels_last)

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

    @property
    def depth(self) -> int:
        """L."""
        return len(self.blocks)

    def make_glca(self, settings: GLCASettings) -> GLCA:
        """GLCA beside the last M blocks. Raises ValueError if these are all of them."""
        if settings.blocks >= self.depth:
            raise ValueError(
                f"M = {settings.blocks} GLCA blocks beside {self.depth} blocks leave none for the rollout"
            )
        rows, columns = self.grid
        return GLCA(self.blocks[-settings.blocks :], self.norm, rows * columns, settings)

    def plain_feature(self, images: Tensor) -> Tensor:
        """The plain backbone: timm's own forward up to the normalised class token, (B, D)."""
        return self.vit.forward_features(images)[:, 0]

    def features(self, images: Tensor, targets: int, glca: GLCA | None, pairs: Pairs | None) -> Features:
        """Each branch's class token behind its final norm.

        images: (S, 3, h, w), of which the first ``targets`` are classified; the others are distractors alone.
        """
        first_glca = self.depth - glca.settings.blocks if glca else self.depth
        first_pwca = self.depth - pairs.blocks if pairs else self.depth
        streams = len(images)
        x = self.embed(images)  # X_0; the PWCA stream, once there, lies behind the self-attention stream
        local = None
        queries_keys = []
        for l, block in enumerate(self.blocks):
            if l >= first_glca:
                if local is None:
                    index = glca.select(targets, lambda: rollout_row(queries_keys))
                    local = gather_tokens(x[:targets], index)
                local = glca.step(l - first_glca, local, x[:targets])
            read = class_token_queries if l == self.depth - 1 else queries_keys_values
            if l >= first_pwca:
                x, (q, k) = self._run(paired_block, block, x, streams, pairs.partner, pairs.stream, read)
            else:
                x, (q, k) = self._run(plain_block, block, x, read)
            if l < first_glca and glca:
                queries_keys.append((q[:targets].detach(), k[:targets].detach()))

        class_tokens = self.norm(x[:, 0])
        return Features(
            class_tokens[:targets],
            glca.read_out(local) if glca else None,
            class_tokens[streams:] if pairs else None,
        )

    def _run(self, function: Callable, *arguments: object) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        if self.vit.grad_checkpointing and torch.is_grad_enabled():
            return checkpoint(function, *arguments, use_reentrant=False)
        return function(*arguments)
