"""Pair-wise cross-attention (Eq. 4): a second stream whose keys and values contain those of another image.

PWCA has no weights. It runs through the self-attention blocks beside the self-attention stream, in training only. One
tensor holds both streams, so that each linear layer runs once: the S images of the self-attention stream, then the B
target images of the PWCA stream. Up to the first pair-wise block it holds the S images alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dcal.attention import pairwise_attention, self_attention
from dcal.settings import Stream


@dataclass(frozen=True)
class PairedBatch:
    """Queries, keys and values in a pair-wise block, each (·, H, n, d).

    sa: Q, K, V of the self-attention stream, S images (Eq. 1).
    target: Q₁, K₁, V₁ of the B target images (Eq. 4).
    distractor: K₂, V₂ of each target's distractor, or noise.
    """

    sa: tuple[Tensor, Tensor, Tensor]
    target: tuple[Tensor, Tensor, Tensor]
    distractor: tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Pairs:
    """The pairs of a training batch: its first B images are the targets.

    partner: (B,), index among the S images of each target's distractor; None: noise is the distractor, and B = S.
    blocks: T, the number of pair-wise blocks, which are the last ones.
    stream: as in ``PWCASettings``; ``own`` where noise is the distractor.
    images: S.
    """

    partner: Tensor | None
    blocks: int
    stream: Stream
    images: int

    @property
    def targets(self) -> int:
        """B."""
        return self.images if self.partner is None else self.partner.numel()

    def split(self, q: Tensor, k: Tensor, v: Tensor) -> PairedBatch:
        """Queries, keys and values of a block by their role in Eq. 4.

        q, k, v: (S, H, n, d) in the first pair-wise block, then (S + B, H, n, d).
        ``own``: the target is the PWCA stream, the distractor is its partner in the self-attention stream.
        ``figure``: the target is image 1 in the self-attention stream, the distractor is the PWCA stream, which begins
        as the partner.
        Noise is drawn again in each block, with the mean and the deviation of K₁ and V₁.
        """
        targets = self.targets
        if len(q) == self.images:
            q_1, k_1, v_1 = q[:targets], k[:targets], v[:targets]
        else:
            # A slice's gradient is a tensor of zeros and a sum, that of a split is one copy.
            parts = self.images, targets
            (q, q_pwca), (k, k_pwca), (v, v_pwca) = q.split(parts), k.split(parts), v.split(parts)
            if self.stream == "figure":
                return PairedBatch((q, k, v), (q[:targets], k[:targets], v[:targets]), (k_pwca, v_pwca))
            q_1, k_1, v_1 = q_pwca, k_pwca, v_pwca
        if self.partner is None:
            k_2, v_2 = noise_like(k_1), noise_like(v_1)
        else:
            k_2, v_2 = k.index_select(0, self.partner), v.index_select(0, self.partner)
        return PairedBatch((q, k, v), (q_1, k_1, v_1), (k_2, v_2))

    def both_streams(self, x: Tensor) -> Tensor:
        """Tokens of both streams, (S + B, …). x: (S, …) in front of the first pair-wise block, then (S + B, …)."""
        if len(x) > self.images:
            return x
        start = x.index_select(0, self.partner) if self.stream == "figure" else x[: self.targets]
        return torch.cat((x, start))

    def residual(self, x: Tensor) -> Tensor:
        """Tokens to which a block adds its attention: self-attention stream and targets, (S + B, …). x: as above."""
        if self.stream == "own":
            return self.both_streams(x)
        sa = x.split((self.images, len(x) - self.images))[0]
        return torch.cat((sa, sa[: self.targets]))


def paired_attention(
    q: Tensor, k: Tensor, v: Tensor, pairs: Pairs, bias: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Eq. 1 in the self-attention stream, (S, H, n, d), and Eq. 4 in the PWCA stream, (B, H, n, d).

    q, k, v: as in ``Pairs.split``. bias: as in ``attention.pairwise_attention``.
    """
    batch = pairs.split(q, k, v)
    return self_attention(*batch.sa, bias), pairwise_attention(*batch.target, *batch.distractor, bias)


def random_partners(images: int) -> Tensor:
    """A uniformly random permutation without fixed points, (images,): each image's distractor is another image.

    The paper draws pairs uniformly from the training set; a shuffled batch is such a draw.
    Raises ValueError for a batch of one image, which has no partner.
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


# --- Regularisers in PWCA's place, for the paper's comparison ---


def noisy_images(images: Tensor, deviation: float) -> Tensor:
    """Images plus Gaussian noise, (B, 3, h, w). deviation: standard deviation, in the images' units.

    Draws from torch's global generator of the images' device.
    """
    return images + deviation * torch.randn(images.shape, dtype=images.dtype, device=images.device)


def noisy_labels(labels: Tensor, classes: int, share: float) -> Tensor:
    """Labels, (B,), each replaced with probability ``share`` by another class, any with equal chance.

    labels: (B,). classes: their number. Draws from torch's global generator of the CPU.
    Raises ValueError for fewer than two classes.
    """
    if classes < 2:
        raise ValueError(f"label noise needs another class to name, found {classes}")
    wrong = torch.rand(labels.shape) < share
    steps = torch.randint(1, classes, labels.shape) * wrong
    return (labels + steps.to(labels.device)) % classes


def noise_like(tokens: Tensor) -> Tensor:
    """Gaussian noise, (B, H, n, d), with the tokens' mean and standard deviation for each image, head and channel.

    tokens: (B, H, n, d). Mean and deviation get no gradient. Draws from torch's global generator of the tokens' device.
    """
    values = tokens.detach().to(torch.promote_types(tokens.dtype, torch.float32))
    variance, mean = torch.var_mean(values, dim=2, correction=0, keepdim=True)
    noise = torch.randn(tokens.shape, dtype=values.dtype, device=values.device)
    return (mean + variance.sqrt() * noise).to(tokens.dtype)
