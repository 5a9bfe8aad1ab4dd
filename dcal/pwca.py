"""Pair-wise cross-attention (Eq. 4): a second stream whose keys and values are contaminated by another image.

PWCA owns no weights. It runs through the self-attention blocks beside the self-attention stream, both streams'
linear layers in one batch, and exists in training only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from timm.models.vision_transformer import Block
from torch import Tensor

from dcal.attention import pairwise_attention, self_attention
from dcal.blocks import Read, queries_keys_values, querying, rest_of_block
from dcal.settings import Stream


@dataclass(frozen=True)
class Pairs:
    """Who distracts whom. partner: (B,) indices into the images of the self-attention stream, entry i is the distractor
    I_2 of target image i. blocks: T. stream: as ``PWCASettings`` has it.
    """

    partner: Tensor
    blocks: int
    stream: Stream


def paired_block(
    block: Block,
    tokens: Tensor,
    images: int,
    partner: Tensor,
    stream: Stream,
    read: Read = queries_keys_values,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """One encoder block for the self-attention stream and the PWCA stream together.

    tokens: (S, N+1, D) before the first pair-wise block, when both streams still hold the same tokens, and
        (S + B, N+1, D) afterwards: the self-attention stream of S images, then the PWCA stream of the first B.
    images: S. partner: (B,) indices into the S images; entry i is the distractor I_2 of target image i.
    stream: ``own``: Q, K1, V1 and the residual from the PWCA stream, K2, V2 from the partner's self-attention
        stream. ``figure``: Q, K1, V1 and the residual from image 1's self-attention stream, K2, V2 from the
        previous PWCA output, which starts as the partner's tokens.

    Returns tokens (S + B, N+1, D), of each image as many as ``read`` queries for, and the self-attention stream's
    (Q, K) for the rollout.
    """
    targets = partner.numel()
    q, k, v = read(block, tokens)
    rows = querying(tokens, q)
    first = len(tokens) == images
    if first:  # both streams still are the same
        sa, own = (q, k, v), (q[:targets], k[:targets], v[:targets])
        rows = torch.cat((rows, rows[:targets]))
    else:
        # Split, not sliced: the gradient of a split is one copy, that of each slice a tensor of zeros and a sum.
        sa, own = zip(*(tensor.split((images, targets)) for tensor in (q, k, v)), strict=True)
    if stream == "own" or first:
        q1, k1, v1 = own
        k2, v2 = sa[1].index_select(0, partner), sa[2].index_select(0, partner)
    else:
        q1, k1, v1 = (tensor[:targets] for tensor in sa)
        k2, v2 = own[1:]
        rows = torch.cat((rows[:images], rows[:targets]))
    attended = _one_batch(self_attention(*sa), pairwise_attention(q1, k1, v1, k2, v2))
    return rest_of_block(block, rows, attended), sa[:2]


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
