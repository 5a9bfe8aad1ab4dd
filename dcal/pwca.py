"""Pair-wise cross-attention (Eq. 4): a second stream whose keys and values are contaminated by another image.

PWCA owns no weights. It runs through the self-attention blocks beside the self-attention stream, both streams'
linear layers in one batch, and exists in training only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from timm.models.vision_transformer import Block
from torch import Tensor

from dcal.attention import pairwise_attention, self_attention
from dcal.blocks import Read, queries_keys_values, querying, rest_of_block
from dcal.regularisers import noise_like
from dcal.settings import Stream

# Where K2 and V2 come from: the settings' two readings, or noise in their place.
Distractor = Stream | Literal["noise"]


@dataclass(frozen=True)
class Pairs:
    """Who distracts whom. partner: (B,) indices into the images of the self-attention stream, entry i is the distractor
    I_2 of target image i; None where noise distracts. blocks: T. stream: as ``PWCASettings`` has it, or ``noise``.
    """

    partner: Tensor | None
    blocks: int
    stream: Distractor


@dataclass(frozen=True)
class Sides:
    """Rows of a batch by the part they have in Eq. 4. sa: the self-attention stream, (S, …); one: image 1's, of which
    are Q, K1, V1 and the residual, (B, …); right: where image 2's lie, of which are K2 and V2, nowhere if noise takes
    their place; whole: sa and one, where they lie behind each other already.
    """

    sa: Tensor
    one: Tensor
    right: tuple[Tensor, Tensor | None] | None
    whole: Tensor | None = None

    @property
    def residual(self) -> Tensor:
        """What both streams add to, (S + B, …)."""
        return torch.cat((self.sa, self.one)) if self.whole is None else self.whole

    @property
    def two(self) -> Tensor:
        """Image 2's rows, (B, …), or noise like image 1's, drawn anew each time."""
        if self.right is None:
            return noise_like(self.one)
        stream, partner = self.right
        return stream if partner is None else stream.index_select(0, partner)


def sides_of(tensor: Tensor, images: int, partner: Tensor | None, stream: Distractor) -> Sides:
    """tensor: (S, …) before the first pair-wise block, when both streams are still equal, (S + B, …) afterwards: the
    self-attention stream of S = ``images`` images, then the PWCA stream of the first B. partner: (B,).

    ``own``: image 1 is the PWCA stream, image 2 the partner's self-attention stream. ``figure``: image 1 is its
    self-attention stream, image 2 the PWCA stream, which starts as the partner's. ``noise``: image 1 is the PWCA
    stream, image 2 noise; B = S and there is no partner.
    """
    targets = images if partner is None else partner.numel()
    if len(tensor) == images:
        return Sides(tensor, tensor[:targets], None if partner is None else (tensor, partner))
    # Split, not sliced: the gradient of a split is one copy, that of each slice a tensor of zeros and a sum.
    sa, pwca = tensor.split((images, targets))
    if stream == "figure":
        return Sides(sa, sa[:targets], (pwca, None))
    return Sides(sa, pwca, None if partner is None else (sa, partner), tensor)


def paired_block(
    block: Block,
    tokens: Tensor,
    images: int,
    partner: Tensor | None,
    stream: Distractor,
    read: Read = queries_keys_values,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """One encoder block for the self-attention stream and the PWCA stream together.

    tokens: (S, N+1, D) before the first pair-wise block, when both streams still hold the same tokens, and
        (S + B, N+1, D) afterwards: the self-attention stream of S images, then the PWCA stream of the first B.
    images: S. partner: (B,) indices into the S images; entry i is the distractor I_2 of target image i.
    stream: ``own``: Q, K1, V1 and the residual from the PWCA stream, K2, V2 from the partner's self-attention
        stream. ``figure``: Q, K1, V1 and the residual from image 1's self-attention stream, K2, V2 from the
        previous PWCA output, which starts as the partner's tokens. ``noise``: as ``own`` without a partner, K2 and V2
        are noise like K1 and V1 (dcal/regularisers.py).

    Returns tokens (S + B, N+1, D), of each image as many as ``read`` queries for, and the self-attention stream's
    (Q, K) for the rollout.
    """
    q, k, v = read(block, tokens)
    rows = querying(tokens, q)
    q, k, v, rows = (sides_of(tensor, images, partner, stream) for tensor in (q, k, v, rows))
    attended = _one_batch(
        self_attention(q.sa, k.sa, v.sa), pairwise_attention(q.one, k.one, v.one, k.two, v.two)
    )
    return rest_of_block(block, rows.residual, attended), (q.sa, k.sa)


def _one_batch(first: Tensor, second: Tensor) -> Tensor:
    """(S, H, n, d) and (B, H, n, d) to (S + B, H, n, d), which lies in memory as the output projection reads it."""
    return torch.cat((first.transpose(1, 2), second.transpose(1, 2))).transpose(1, 2)


def random_partners(images: int) -> Tensor:
    """A uniformly random derangement, (images,): everybody's partner is somebody else.

    Uniformly random partners from the training set are the paper's choice; a shuffled batch is such a draw.
    Raises ValueError for a batch of one, which has nobody to pair with.
    """
    if images < 2:
        raise ValueError(
            f"PWCA pairs the images of a batch and found a batch of {images}: use batches of at least 2, or "
            "pairing='loader', which brings a second batch"
        )
    identity = torch.arange(images)
    while True:  # rejection keeps it uniform; e ≈ 2.7 draws on average
        partner = torch.randperm(images)
        if not (partner == identity).any():
            return partner
