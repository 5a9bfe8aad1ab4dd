"""The method block by block, for backbones with a class token: their adapters derive from ``ClassTokenBackbone``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dcal.attention_rollout import HeadFusion, QueriesKeys, attention_map, rollout_row
from dcal.glca import GLCA, gather_tokens
from dcal.heads import Features, second_stream
from dcal.pwca import Pairs
from dcal.settings import GLCASettings


class ClassTokenBackbone(nn.Module, ABC):
    """GLCA beside the last M blocks, PWCA through the last T; each branch is read at its class token.

    vit: the timm model, built with ``num_classes=0``.
    """

    def __init__(self, vit: nn.Module) -> None:
        super().__init__()
        self.vit = vit

    @property
    @abstractmethod
    def blocks(self) -> Sequence[nn.Module]:
        """Blocks 1 … L."""

    @property
    def depth(self) -> int:
        """L."""
        return len(self.blocks)

    @property
    def norm(self) -> nn.Module:
        """Final norm."""
        return self.vit.norm

    @property
    def width(self) -> int:
        """D."""
        return self.vit.embed_dim

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches; N is their product."""
        return tuple(self.vit.patch_embed.grid_size)

    @abstractmethod
    def embed(self, images: Tensor) -> Tensor:
        """X_0, tokens with position embeddings. images: (B, 3, h, w), normalised."""

    @abstractmethod
    def run_block(self, l: int, x: Tensor, pairs: Pairs | None = None) -> tuple[Tensor, QueriesKeys]:
        """Self-attention block l, counted from 0, with ``pairs`` also for the PWCA stream.

        x: (S, N+1, D), the tokens in front of the block; behind the first pair-wise block (S + B, N+1, D), the PWCA
        stream last.
        Returns the tokens behind it, with pairs of both streams, and (Q, K) of x, (·, H, n, d) and (·, H, N+1, d).
        """

    def rollout_row(
        self, queries_keys: Sequence[QueriesKeys], first: int = 1, head_fusion: HeadFusion = "mean"
    ) -> Tensor:
        """The class token's row of S̄_i … S̄_a (Eq. 2), (B, N+1).

        queries_keys: (Q, K) of blocks a … i in order, unscaled. first: a, counted from 1. head_fusion: as in
        ``attention_rollout.rollout_row``.
        """
        return rollout_row(queries_keys, head_fusion)

    def response(self, glca: GLCA, queries_keys: Sequence[QueriesKeys]) -> Tensor:
        """The row by which GLCA selects, (B, N+1): the class token's rollout over blocks 1 … L−M, its attention in
        block L−M alone, or random numbers.

        queries_keys: (Q, K) of blocks 1 … L−M, of B images.
        """
        if glca.settings.select == "random":
            return glca.random_response(len(queries_keys[0][0]))
        if glca.settings.select == "attention":
            return class_token_row(*queries_keys[-1])
        return self.rollout_row(queries_keys)

    @abstractmethod
    def make_glca(self, settings: GLCASettings) -> GLCA:
        """GLCA beside the last M blocks. Raises ValueError where no block before them gives it a response."""

    def plain_feature(self, images: Tensor) -> Tensor:
        """Class token behind the final norm in timm's own forward pass, (B, D). images: (B, 3, h, w), normalised."""
        return self.vit.forward_features(images)[:, 0]

    def features(self, images: Tensor, targets: int, glca: GLCA | None, pairs: Pairs | None) -> Features:
        """Each branch's class token behind its final norm, (B, D).

        images: (S, 3, h, w), normalised. targets: B; the first B images are classified, the others are distractors,
        or without pairs a regulariser's second stream. glca, pairs: None for a branch that is off.
        """
        first_glca = self.depth - glca.settings.blocks if glca else self.depth
        first_pwca = self.depth - pairs.blocks if pairs else self.depth
        x = self.embed(images)
        local, queries_keys = None, []
        for l in range(self.depth):
            if l == first_glca:
                index = glca.select(self.response(glca, queries_keys))
                local = gather_tokens(x[:targets], index)
            if l >= first_glca:
                local = glca.step(l - first_glca, local, x[:targets])
            x, (q, k) = self._run(l, x, pairs if l >= first_pwca else None)
            if glca and l < first_glca:
                queries_keys.append((q[:targets].detach(), k[:targets].detach()))

        class_tokens = self.norm(x[:, 0])
        return Features(
            class_tokens[:targets],
            glca.read_out(local) if glca else None,
            second_stream(class_tokens, len(images) if pairs else targets),
        )

    def _run(self, l: int, x: Tensor, pairs: Pairs | None) -> tuple[Tensor, QueriesKeys]:
        """``run_block``, again in the backward pass where the model is set to that."""
        if self.vit.grad_checkpointing and torch.is_grad_enabled():
            return checkpoint(self.run_block, l, x, pairs, use_reentrant=False)
        return self.run_block(l, x, pairs)


@torch.no_grad()
def class_token_row(q: Tensor, k: Tensor) -> Tensor:
    """mean_h softmax(q_h K_hᵀ/√d) of the class token's query, (B, n'), in float32 or float64.

    q: (B, H, n, d), the class token's first. k: (B, H, n', d).
    """
    with torch.autocast(q.device.type, enabled=False):
        dtype = torch.promote_types(q.dtype, torch.float32)
        return attention_map(q[:, :, :1].to(dtype), k.to(dtype)).mean(dim=1)[:, 0]
