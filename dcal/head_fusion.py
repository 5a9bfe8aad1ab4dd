"""Fusion of the H attention maps of a block into one: mean, maximum or minimum over the heads."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

HeadFusion = Literal["mean", "max", "min"]
_FUSE = {"mean": torch.mean, "max": torch.amax, "min": torch.amin}


def fuse_heads(maps: Tensor, head_fusion: HeadFusion) -> Tensor:
    """Fused map, (B, n, n'). maps: (B, H, n, n'), rows sum to 1; with ``max`` and ``min`` the result's do not."""
    return _FUSE[head_fusion](maps, dim=1)
