"""What the adapters of backbones with a class token share: the method itself, block by block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dcal.attention_rollout import attention_map
from dcal.glca import GLCA, gather_tokens
from dcal.head_fusion import HeadFusion
from dcal.heads import Features, rows_from
from dcal.pwca import Pairs
from dcal.settings import GLCASettings, Selection

QueriesKeys = tuple[Tensor, Tensor]
# A block's tokens behind it and its (Q, K): of one stream, and of the self-attention and the PWCA stream together.
BlockFunctions = tuple[Callable[..., tuple[Tensor, QueriesKeys]], Callable[..., tuple[Tensor, QueriesKeys]]]


class ClassTokenBackbone(nn.Module, ABC):
    """GLCA beside the last M blocks, PWCA through the last T, each branch read at its class token.

    vit: the timm model, built with ``num_classes=0``.
    """

    def __init__(self, vit: nn.Module) -> None:
        super().__init__()
        self.vit = vit

    @property
    @abstractmethod
    def blocks(self) -> Sequence[nn.Module]:
        """Block 1 … L in order."""

    @property
    def depth(self) -> int:
        """L."""
        return len(self.blocks)

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

    @abstractmethod
    def embed(self, images: Tensor) -> Tensor:
        """X_0 of normalised images (B, 3, h, w)."""

    def entering(self, l: int, x: Tensor) -> Tensor:
        """The tokens that block l (0-based) gets, from those behind the one before."""
        return x

    @abstractmethod
    def functions(self, l: int) -> BlockFunctions:
        """What runs block l (0-based)."""

    @abstractmethod
    def rollout_row(
        self, queries_keys: Sequence[QueriesKeys], first: int = 1, head_fusion: HeadFusion = "mean"
    ) -> Tensor:
        """First row of S̄_i … S̄_a (Eq. 2), the class token's, (B, N+1).

        queries_keys: (Q, K) of blocks a … i in order, unscaled. first: a, from 1. head_fusion: as
        ``attention_rollout.rollout_row``.
        """

    def response(self, select: Selection, queries_keys: Sequence[QueriesKeys]) -> Tensor:
        """The class token's row that GLCA selects by, (B, N+1): its rollout over blocks 1 … L−M, or its attention in
        block L−M alone. queries_keys: (Q, K) of all of these.
        """
        return class_token_row(*queries_keys[-1]) if select == "attention" else self.rollout_row(queries_keys)

    @abstractmethod
    def make_glca(self, settings: GLCASettings) -> GLCA:
        """GLCA beside the last M blocks. Raises ValueError where that leaves nothing to select by."""

    def plain_feature(self, images: Tensor) -> Tensor:
        """The plain backbone: timm's own forward up to the normalised class token, (B, D)."""
        return self.vit.forward_features(images)[:, 0]

    def features(self, images: Tensor, targets: int, glca: GLCA | None, pairs: Pairs | None) -> Features:
        """Each branch's class token behind its final norm.

        images: (S, 3, h, w), of which the first ``targets`` are classified; the others are distractors alone, or
        without pairs the second stream, which takes the blocks as they are.
        """
        first_glca = self.depth - glca.settings.blocks if glca else self.depth
        first_pwca = self.depth - pairs.blocks if pairs else self.depth
        streams = len(images)
        x = self.embed(images)  # the PWCA stream, once there, lies behind the self-attention stream
        local = None
        queries_keys = []
        for l, block in enumerate(self.blocks):
            x = self.entering(l, x)
            if l >= first_glca:
                if local is None:
                    index = glca.select(targets, lambda: self.response(glca.settings.select, queries_keys))
                    local = gather_tokens(x[:targets], index)
                local = glca.step(l - first_glca, local, x[:targets])
            plain, paired = self.functions(l)
            if l >= first_pwca:
                x, (q, k) = self._run(paired, block, x, streams, pairs.partner, pairs.stream)
            else:
                x, (q, k) = self._run(plain, block, x)
            if l < first_glca and glca:
                queries_keys.append((q[:targets].detach(), k[:targets].detach()))

        class_tokens = self.norm(x[:, 0])
        return Features(
            class_tokens[:targets],
            glca.read_out(local) if glca else None,
            rows_from(class_tokens, streams if pairs else targets),
        )

    def _run(self, function: Callable, *arguments: object) -> tuple[Tensor, QueriesKeys]:
        if self.vit.grad_checkpointing and torch.is_grad_enabled():
            return checkpoint(function, *arguments, use_reentrant=False)
        return function(*arguments)


@torch.no_grad()
def class_token_row(q: Tensor, k: Tensor) -> Tensor:
    """mean_h softmax(q_h K_hᵀ/√d) of the class token's query, (B, n'), at least in float32.

    q: (B, H, n, d), the class token's first; k: (B, H, n', d).
    """
    with torch.autocast(q.device.type, enabled=False):
        wide = torch.promote_types(q.dtype, torch.float32)
        return attention_map(q[:, :, :1].to(wide), k.to(wide)).mean(dim=1)[:, 0]
