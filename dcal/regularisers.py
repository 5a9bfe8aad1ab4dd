"""Regularisers in PWCA's place as the second stream, for the paper's comparison: noise on pixels, in labels, or as keys
and values. Training only, with PWCA's loss and weights.
"""

from __future__ import annotations

import torch
from torch import Tensor


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
