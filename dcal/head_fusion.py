"""One attention map of a block's H: the mean of the heads, or the highest or lowest of them at every place."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

HeadFusion = Literal["mean", "max", "min"]
_FUSE = {"mean": torch.mean, "max": torch.amax, "min": torch.amin}


def fuse_heads(maps: Tensor, head_fusion: HeadFusion) -> Tensor:
    """maps: (B, H, n, n'), rows summing to 1. Returns (B, n, n'); of ``max`` and ``min`` the rows do not sum to 1."""
    return _FUSE[head_fusion](maps, dim=1)
