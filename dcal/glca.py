"""Global-local cross-attention (Eq. 3): the class token and the patches with the highest response query all tokens."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from timm.models import named_apply
from timm.models.vision_transformer import Block, init_weights_vit_timm
from torch import Tensor, nn
from torch.nn import functional as F

from dcal.attention import global_local_attention
from dcal.attention_rollout import local_queries, number_of_top_tokens
from dcal.blocks import keys_values, queries, rest_of_block
from dcal.settings import GLCASettings


class GLCA(nn.Module):
    """M encoder blocks with weights of their own on 1 + ⌊R·N⌋ tokens, and a final norm.

    sa_blocks: the last M self-attention blocks, beside which GLCA runs.
    norm: the backbone's final norm.
    patches: N.
    settings: M, R and the options.

    Raises ValueError where ⌊R·N⌋ is 0.
    """

    def __init__(
        self, sa_blocks: Sequence[Block], norm: nn.Module, patches: int, settings: GLCASettings
    ) -> None:
        super().__init__()
        self.settings = settings
        self.patches = patches
        self.count = number_of_top_tokens(settings.ratio, patches)
        # At a learning rate of 1.6e-5 a random block cannot catch up: the default is a copy of the block beside it.
        self.blocks = nn.ModuleList(copy.deepcopy(block) for block in sa_blocks)
        self.norm = copy.deepcopy(norm)
        if settings.init == "random":
            named_apply(init_weights_vit_timm, self.blocks)
            named_apply(init_weights_vit_timm, self.norm, include_root=True)
        # A separate generator, so that random selection does not change stochastic depth and pairing.
        self.generator = torch.Generator().manual_seed(torch.initial_seed())

    def random_response(self, images: int) -> Tensor:
        """Random numbers in place of the class token's response, (B, N+1). images: B."""
        numbers = torch.rand(images, self.patches, generator=self.generator)
        return F.pad(numbers.to(self.norm.weight.device), (1, 0))

    def select(self, response: Tensor) -> Tensor:
        """Indices of the local queries, (B, 1 + ⌊R·N⌋): the class token and the patches with the highest response.

        response: (B, N+1).
        """
        return local_queries(response, self.settings.ratio)

    def step(self, m: int, local: Tensor, x: Tensor) -> Tensor:
        """Local tokens behind GLCA block m, counted from 0, (B, 1+⌊R·N⌋, D).

        local: (B, 1+⌊R·N⌋, D), the tokens in front of it. x: (B, N+1, D), input of the self-attention block beside it.
        """
        block = self.blocks[m]
        k, v = keys_values(block, self.key_tokens(local, x))
        return rest_of_block(block, local, global_local_attention(queries(block, local), k, v))

    def key_tokens(self, local: Tensor, x: Tensor) -> Tensor:
        """The tokens that give keys and values: x, or with ``keys="local"`` the local ones. Arguments as ``step``."""
        return x if self.settings.keys == "global" else local

    def read_out(self, local: Tensor) -> Tensor:
        """The branch's feature, (B, D): GLCA's class token, or the mean of the selected patches' tokens.

        local: (B, 1+⌊R·N⌋, D), behind the last GLCA block.
        """
        local = self.norm(local)
        return local[:, 0] if self.settings.readout == "cls" else local[:, 1:].mean(dim=1)


def gather_tokens(x: Tensor, index: Tensor) -> Tensor:
    """x[b, index[b]], (B, n, D). x: (B, N+1, D). index: (B, n)."""
    return x.gather(1, index.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
