"""The adapter of timm's Cait: patches through talking-head blocks, then the class token through class attention.

L counts both kinds: in CaiT-XS24, blocks 1 … 24 are self-attention on patches, 25 and 26 are class attention (Touvron
et al. 2021). PWCA runs through all of them, GLCA beside the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from timm.models.cait import Cait, ClassAttn, LayerScaleBlock, LayerScaleBlockClassAttn, TalkingHeadAttn
from torch import Tensor, nn

from dcal.attention_rollout import HeadFusion, QueriesKeys, attention_map, row_times_fused
from dcal.backbones.class_attention import class_block, row_times_class_map
from dcal.backbones.class_token import ClassTokenBackbone
from dcal.backbones.talking_heads import row_times_maps, softmax_maps, talking_block
from dcal.glca import GLCA
from dcal.pwca import Pairs
from dcal.settings import GLCASettings, require_choice

# Start value of LayerScale in timm's 24-block models; the model does not keep it.
LAYER_SCALE = 1e-5


class PatchThenClassViT(ClassTokenBackbone):
    """A timm Cait.

    vit: the timm model, built with ``num_classes=0``.

    Raises ValueError for variants on which the method is not defined (no class-attention blocks, pooling other than the
    class token, other blocks, dropout on the attention).
    """

    def __init__(self, vit: Cait) -> None:
        super().__init__(vit)
        name = type(vit).__name__
        if vit.global_pool != "token" or not vit.blocks_token_only:
            raise ValueError(
                f"{name} has '{vit.global_pool}' pooling and {len(vit.blocks_token_only or ())} class-attention "
                "blocks: DCAL reads the class token, build it with global_pool='token' and at least one such block"
            )
        expected = [(LayerScaleBlock, TalkingHeadAttn)] * len(vit.blocks)
        expected += [(LayerScaleBlockClassAttn, ClassAttn)] * len(vit.blocks_token_only)
        for l, (block, kinds) in enumerate(
            zip([*vit.blocks, *vit.blocks_token_only], expected, strict=True), start=1
        ):
            if (type(block), type(block.attn)) != kinds or block.attn.attn_drop.p:
                raise ValueError(
                    f"block {l} of {name} is a {type(block).__name__} with {type(block.attn).__name__}: expected "
                    f"timm's {kinds[0].__name__} with {kinds[1].__name__}, without dropout on the attention"
                )

    @property
    def blocks(self) -> list[nn.Module]:
        """Blocks 1 … L, those of self-attention on patches first."""
        return [*self.vit.blocks, *self.vit.blocks_token_only]

    @property
    def patch_depth(self) -> int:
        """Number of self-attention blocks on patches."""
        return len(self.vit.blocks)

    def make_glca(self, settings: GLCASettings) -> GLCA:
        """GLCA beside the last M class-attention blocks.

        Raises ValueError if these are all of them: the rollout needs the class token's row of an earlier one.
        """
        class_blocks = self.vit.blocks_token_only
        if settings.blocks >= len(class_blocks):
            raise ValueError(
                f"M = {settings.blocks} GLCA blocks beside {len(class_blocks)} class-attention blocks leave none in "
                f"which the class token attends before they select: M is at most {len(class_blocks) - 1}"
            )
        rows, columns = self.grid
        glca = GLCA(class_blocks[-settings.blocks :], self.norm, rows * columns, settings)
        if settings.init == "random":
            glca.apply(self.vit._init_weights)
            for block in glca.blocks:
                nn.init.constant_(block.gamma_1, LAYER_SCALE)
                nn.init.constant_(block.gamma_2, LAYER_SCALE)
        return glca

    def embed(self, images: Tensor) -> Tensor:
        """X_0, patches with position embeddings, (B, N, D), no class token yet. images: (B, 3, h, w), normalised."""
        return self.vit.pos_drop(self.vit.patch_embed(images) + self.vit.pos_embed)

    def run_block(self, l: int, x: Tensor, pairs: Pairs | None = None) -> tuple[Tensor, QueriesKeys]:
        """Block l; the first class-attention block puts the class token in front of the patches."""
        if l < self.patch_depth:
            return talking_block(self.blocks[l], x, pairs)
        if l == self.patch_depth:
            x = torch.cat((self.vit.cls_token.expand(len(x), -1, -1), x), dim=1)
        return class_block(self.blocks[l], x, pairs)

    @torch.no_grad()
    def rollout_row(
        self, queries_keys: Sequence[QueriesKeys], first: int = 1, head_fusion: HeadFusion = "mean"
    ) -> Tensor:
        """As in ``ClassTokenBackbone``, as a chain of row vectors; block i has to be a class-attention block.

        Where a block does not change a token, as self-attention on patches the class token, its row of S is the
        identity's. float32 (float64 for float64 input), without gradient; every row sums to 1.
        """
        require_choice("head_fusion", head_fusion, HeadFusion)
        q, k = queries_keys[-1]
        dtype = torch.promote_types(q.dtype, torch.float32)
        row = torch.zeros(k.shape[0], k.shape[2], dtype=dtype, device=k.device)
        row[:, 0] = 1.0
        last = first + len(queries_keys) - 1
        with torch.autocast(q.device.type, enabled=False):
            for l in range(last, first - 1, -1):
                q, k = (tensor.detach() for tensor in queries_keys[l - first])
                if head_fusion == "mean":
                    row = 0.5 * row + 0.5 * self._row_times_mean(l, row, q, k)
                else:
                    row = self._row_times_fused(l, row, q, k, head_fusion)
        return row

    def _row_times_mean(self, l: int, row: Tensor, q: Tensor, k: Tensor) -> Tensor:
        """r S of block l, counted from 1, with the mean of the heads, (B, N+1). row: r. q, k: as in ``rollout_row``."""
        if l > self.patch_depth:
            return row_times_class_map(row, q, k)
        patches = row_times_maps(self.blocks[l - 1].attn, row[:, 1:], q, k)
        return torch.cat((row[:, :1], patches), dim=1)

    def _row_times_fused(self, l: int, row: Tensor, q: Tensor, k: Tensor, head_fusion: HeadFusion) -> Tensor:
        """r S̄ of block l, counted from 1, each row of S̄ divided by its sum, (B, N+1). Arguments as above."""
        if l > self.patch_depth:
            product = row_times_fused(row[:, :1], q, k, attention_map, head_fusion)
            product[:, 1:] += row[:, 1:]
            return product
        maps = partial(softmax_maps, self.blocks[l - 1].attn)
        patches = row_times_fused(row[:, 1:], q, k, maps, head_fusion)
        return torch.cat((row[:, :1], patches), dim=1)
