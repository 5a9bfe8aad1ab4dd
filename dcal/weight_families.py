"""What each backbone family's published files need to become a timm model's tensors: names, and tables of positions.

timm's own ``checkpoint_filter_fn`` of the family does the resizing where it has one; CaiT's position embedding, which
timm does not resize, is resampled as timm resamples a ViT's.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod

from timm.layers import resample_abs_pos_embed
from timm.models import cait, swin_transformer, vision_transformer
from torch import Tensor, nn

State = dict[str, Tensor]


class Family(ABC):
    """positions: pattern of the tensors that depend on the input size, and which of their axes counts positions."""

    positions = (r"pos_embed", 1)

    def named(self, state: State) -> State:
        """The file's tensors under the names that timm's model has for them."""
        return state

    @abstractmethod
    def fitted(self, state: State, model: nn.Module, native: nn.Module) -> State:
        """The tensors with tables of positions resized to the model's. native: the model at the input size that the
        weights were trained for."""


class ViT(Family):
    """ViT, DeiT and the R50 hybrid."""

    def fitted(self, state: State, model: nn.Module, native: nn.Module) -> State:
        return vision_transformer.checkpoint_filter_fn(state, model)


class CaiT(Family):
    """Published from a data-parallel model: every name has ``module.`` in front. The position embedding has no place
    for the class token, which joins behind the patch blocks."""

    def named(self, state: State) -> State:
        return cait.checkpoint_filter_fn(state)

    def fitted(self, state: State, model: nn.Module, native: nn.Module) -> State:
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


class Swin(Family):
    """The authors' files have stage s's downsampling at its end, timm's at the beginning of stage s + 1; and they hold
    index and mask buffers, which timm computes. A table of relative positions is resized where the feature map is
    smaller than the window."""

    positions = (r".*\.relative_position_bias_table", 0)

    def named(self, state: State) -> State:
        state = {
            name: value
            for name, value in state.items()
            if not name.endswith((".relative_position_index", ".attn_mask"))
        }
        if "layers.0.downsample.reduction.weight" not in state:
            return state
        return {
            re.sub(
                r"^layers\.(\d+)\.downsample", lambda found: f"layers.{int(found[1]) + 1}.downsample", name
            ): value
            for name, value in state.items()
        }

    def fitted(self, state: State, model: nn.Module, native: nn.Module) -> State:
        return swin_transformer.checkpoint_filter_fn(state, model)


def family_of(model: nn.Module) -> Family | None:
    """The family of a timm model, or None if its files cannot be loaded here."""
    known = (
        (vision_transformer.VisionTransformer, ViT),
        (cait.Cait, CaiT),
        (swin_transformer.SwinTransformer, Swin),
    )
    return next((family() for kind, family in known if isinstance(model, kind)), None)
