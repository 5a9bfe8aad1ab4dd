"""Global-local cross-attention (Eq. 3): the class token and the most attended patches query the whole image."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from timm.models import named_apply
from timm.models.vision_transformer import Block, init_weights_vit_timm
from torch import Tensor, nn
from torch.nn import functional as F

from dcal.attention import global_local_attention
from dcal.blocks import keys_values, queries, rest_of_block
from dcal.settings import GLCASettings
from dcal.top_tokens import local_queries, number_of_top_tokens


class GLCA(nn.Module):
    """M encoder blocks of their own weights, computed on 1 + ⌊R·N⌋ tokens, with their own final norm.

    sa_blocks: the last M self-attention blocks, the ones GLCA stands beside.
    norm: the backbone's final norm.
    patches: N.

    Raises ValueError when ⌊R·N⌋ is 0.
    """

    def __init__(
        self, sa_blocks: Sequence[Block], norm: nn.Module, patches: int, settings: GLCASettings
    ) -> None:
        super().__init__()
        self.settings = settings
        self.patches = patches
        self.count = number_of_top_tokens(settings.ratio, patches)
        # A random block cannot catch up at a learning rate of 1.6e-5, so the default starts from the block beside.
        self.blocks = nn.ModuleList(copy.deepcopy(block) for block in sa_blocks)
        self.norm = copy.deepcopy(norm)
        if settings.init == "random":
            named_apply(init_weights_vit_timm, self.blocks)
            named_apply(init_weights_vit_timm, self.norm, include_root=True)
        # Its own generator, so that random selection leaves stochastic depth and pairing undisturbed.
        self.generator = torch.Generator().manual_seed(torch.initial_seed())

    def select(self, images: int, response: Callable[[], Tensor]) -> Tensor:
        """Indices of the local queries, (B, 1 + ⌊R·N⌋): the class token, then the top-R patches.

        images: B. response: gives the class token's row to select by, (B, N+1); a random selection asks for none.
        The class token always queries and is not counted in R.
        """
        if self.settings.select == "random":
            drawn = torch.rand(images, self.patches, generator=self.generator)
            row = F.pad(drawn.to(self.norm.weight.device), (1, 0))
        else:
            row = response()
        return local_queries(row, self.settings.ratio)

    def step(self, m: int, local: Tensor, x: Tensor) -> Tensor:
        """GLCA block m (0-based): local (B, 1+R, D) queries x (B, N+1, D), the input of the SA block beside it, or with
        ``keys="local"`` itself.
        """
        block = self.blocks[m]
        k, v = keys_values(block, self.attended(local, x))
        return rest_of_block(block, local, global_local_attention(queries(block, local), k, v))

    def attended(self, local: Tensor, x: Tensor) -> Tensor:
        """The tokens whose keys and values a block takes."""
        return x if self.settings.keys == "global" else local

    def read_out(self, local: Tensor) -> Tensor:
        """The branch's feature, (B, D): GLCA's class token, or the mean of the selected local tokens."""
        local = self.norm(local)
        return local[:, 0] if self.settings.readout == "cls" else local[:, 1:].mean(dim=1)


def gather_tokens(x: Tensor, index: Tensor) -> Tensor:
    """x[b, index[b]]: tokens (B, N+1, D) at indices (B, n) → (B, n, D)."""
    return x.gather(1, index.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
