"""Conversion of each backbone family's published tensors to a timm model's: names, and sizes of tables of positions.

timm's ``checkpoint_filter_fn`` of the family resizes where it can; CaiT's position embedding, which timm does not
resize, is resampled as timm resamples a ViT's.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

from timm.layers import resample_abs_pos_embed
from timm.models import cait, swin_transformer, vision_transformer
from torch import Tensor, nn

State = dict[str, Tensor]


class WeightFamily(ABC):
    """Conversion of one family's files.

    positions: pattern of the names of tensors that depend on the input size, and their axis of positions.
    """

    positions = (r"pos_embed", 1)

    def rename(self, state: State) -> State:
        """A file's tensors by the names in timm's model."""
        return state

    @abstractmethod
    def resize(self, state: State, model: nn.Module, native: nn.Module) -> State:
        """The tensors, with tables of positions of the model's size. native: the model at the weights' input size."""


class ViTWeights(WeightFamily):
    """ViT, DeiT and the R50 hybrid."""

    def resize(self, state: State, model: nn.Module, native: nn.Module) -> State:
        return vision_transformer.checkpoint_filter_fn(state, model)


class CaiTWeights(WeightFamily):
    """CaiT, whose published files are of a data-parallel model: every name begins with ``module.``. The position
    embedding is of the patches alone."""

    def rename(self, state: State) -> State:
        return cait.checkpoint_filter_fn(state)

    def resize(self, state: State, model: nn.Module, native: nn.Module) -> State:
        old, new = native.patch_embed.grid_size, model.patch_embed.grid_size
        if old == new:
            return state
        resized = resample_abs_pos_embed(
            state["pos_embed"],
            list(new),
            list(old),
            num_prefix_tokens=0,
            interpolation="bicubic",
            antialias=True,
        )
        return state | {"pos_embed": resized}


class SwinWeights(WeightFamily):
    """Swin, whose published files have a stage's downsampling at its end, timm at the beginning of the next stage; and
    they contain index and mask buffers, which timm computes. A table of relative positions changes its size where the
    feature map is smaller than the window."""

    positions = (r".*\.relative_position_bias_table", 0)

    def rename(self, state: State) -> State:
        state = {
            name: value
            for name, value in state.items()
            if not name.endswith((".relative_position_index", ".attn_mask"))
        }
        if "layers.0.downsample.reduction.weight" not in state:
            return state
        return {
            re.sub(
                r"^layers\.(\d+)\.downsample", lambda match: f"layers.{int(match[1]) + 1}.downsample", name
            ): value
            for name, value in state.items()
        }

    def resize(self, state: State, model: nn.Module, native: nn.Module) -> State:
        return swin_transformer.checkpoint_filter_fn(state, model)


def find_family(model: nn.Module) -> WeightFamily | None:
    """The family of a timm model, or None for one whose files cannot be loaded here."""
    families = (
        (vision_transformer.VisionTransformer, ViTWeights),
        (cait.Cait, CaiTWeights),
        (swin_transformer.SwinTransformer, SwinWeights),
    )
    return next((family() for kind, family in families if isinstance(model, kind)), None)
