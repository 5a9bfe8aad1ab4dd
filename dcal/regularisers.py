"""What takes PWCA's place as the second stream in the paper's comparison of regularisers: noise on the pixels, in the
labels, or as keys and values. Training only, with PWCA's loss, weights and cost.
"""

from __future__ import annotations

import torch
from torch import Tensor


def noisy_images(images: Tensor, deviation: float) -> Tensor:
    """Images with Gaussian noise of this standard deviation on every value, in the images' own units. (B, 3, h, w).

    Draws from torch's global generator of the images' device.
    """
    return images + deviation * torch.randn(images.shape, dtype=images.dtype, device=images.device)


def noisy_labels(labels: Tensor, classes: int, share: float) -> Tensor:
    """Labels of which each is another class with probability ``share``, any other one with equal chance. (B,).

    Draws from torch's global generator of the CPU. Raises ValueError for fewer than two classes.
    """
    if classes < 2:
        raise ValueError(f"label noise needs another class to name, found {classes}")
    wrong = torch.rand(labels.shape) < share
    steps = torch.randint(1, classes, labels.shape) * wrong
    return (labels + steps.to(labels.device)) % classes


def noise_like(tokens: Tensor) -> Tensor:
    """Gaussian noise with the mean and the standard deviation of the tokens: of each image, head and channel on its
    own, over all tokens. (B, H, n, d).

    It is noise, not a function of the weights: no gradient flows through mean and deviation. Draws from torch's global
    generator of the tokens' device.
    """
    wide = tokens.detach().to(torch.promote_types(tokens.dtype, torch.float32))
    variance, mean = torch.var_mean(wide, dim=2, correction=0, keepdim=True)
    drawn = torch.randn(tokens.shape, dtype=wide.dtype, device=wide.device)
    return (mean + variance.sqrt() * drawn).to(tokens.dtype)
