"""The tokens with the highest response to the class token: GLCA's local queries, ⌊R·N⌋ of N patches."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def number_of_top_tokens(ratio: float, patches: int) -> int:
    """⌊R·N⌋. ratio: R in (0, 1]. patches: N. Raises ValueError where this is 0 or more than N."""
    count = math.floor(ratio * patches + 1e-9)  # 0.29 · 100 is 28.999… in floating point
    if count < 1:
        raise ValueError(f"R = {ratio} of {patches} patches selects none: raise R or the input size")
    if count > patches:
        raise ValueError(f"R = {ratio} of {patches} patches selects {count}: R is a share in (0, 1]")
    return count


def select_top_tokens(row: Tensor, ratio: float, *, prefix: int = 1) -> Tensor:
    """Indices of the ⌊R·N⌋ patches with the highest response among all prefix + N tokens, best first, (B, ⌊R·N⌋).

    row: (B, prefix + N), response of each token, such as a rollout's row. ratio: R. prefix: number of tokens before the
    patches, the class token first; they are not selected and not counted in N.
    Raises ValueError as ``number_of_top_tokens``.
    """
    patches = row[:, prefix:]
    return patches.topk(number_of_top_tokens(ratio, patches.shape[1]), dim=1).indices + prefix


def top_token_mask(row: Tensor, ratio: float, *, prefix: int = 1) -> Tensor:
    """The same selection as a mask of all tokens, (B, prefix + N), False for the prefix tokens. Arguments as above."""
    index = select_top_tokens(row, ratio, prefix=prefix)
    return torch.zeros_like(row, dtype=torch.bool).scatter_(1, index, True)


def local_queries(row: Tensor, ratio: float, *, prefix: int = 1) -> Tensor:
    """Indices of GLCA's queries, (B, 1 + ⌊R·N⌋): the class token, then the selected patches. Arguments as above."""
    patches = select_top_tokens(row, ratio, prefix=prefix)
    return torch.cat((patches.new_zeros(len(patches), 1), patches), dim=1)
