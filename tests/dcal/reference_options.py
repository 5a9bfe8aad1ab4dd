"""What takes PWCA's place, and whom PWCA pairs by distance: literal versions in float64, as ``reference.py``'s.

Draws are given: standard normal noise by the image, the block and what it is for.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from reference import (
    Parameters,
    Result,
    Setup,
    behind_attention,
    classify,
    layer_norm,
    queries_keys_values,
    sa_names,
    sa_stream,
    scores,
)
from torch import Tensor


@dataclass(frozen=True)
class RegularisedSetup(Setup):
    """T is of the second stream; noise as the settings have it."""

    regulariser: str = "kv_noise"
    noise: float = 0.1


def like(tokens: Tensor, drawn: Tensor) -> Tensor:
    """Noise with the mean and standard deviation of each channel of the tokens (n, d), which are constants in it."""
    values = tokens.detach()
    mean = values.sum(dim=0) / len(values)
    deviation = torch.sqrt(((values - mean) ** 2).sum(dim=0) / len(values))
    return mean + deviation * drawn


def kv_noise_block(p: Parameters, block: str, z: Tensor, drawn: tuple[Tensor, Tensor], heads: int) -> Tensor:
    """Eq. 4 with noise in the place of K2 and V2. drawn: for K2 and V2, (H, n, d) each."""
    Q_1, K_1, V_1 = queries_keys_values(p, block, z, heads)
    attended = []
    for h in range(heads):
        K_c = torch.cat([K_1[h], like(K_1[h], drawn[0][h])])
        V_c = torch.cat([V_1[h], like(V_1[h], drawn[1][h])])
        attended.append(scores(Q_1[h], K_c) @ V_c)
    return behind_attention(p, block, z, attended)


def second_stream(p: Parameters, image: Tensor, X: list[Tensor], setup: RegularisedSetup, drawn) -> Tensor:
    """The tokens behind block L of what runs in PWCA's place.

    drawn: of ``kv_noise`` a pair for each of the last T blocks, of ``image_noise`` the image's, (3, h, w).
    """
    if setup.regulariser == "image_noise":
        return sa_stream(p, image + setup.noise * drawn, setup)[0][setup.L]
    if setup.regulariser == "label_noise":
        return sa_stream(p, image, setup)[0][setup.L]
    z = X[setup.L - setup.T]
    for l, of_block in zip(range(setup.L - setup.T, setup.L), drawn, strict=True):
        z = kv_noise_block(p, sa_names(setup)[l], z, of_block, setup.heads)
    return z


def forward(p: Parameters, images: Tensor, setup: RegularisedSetup, *, drawn: Sequence) -> Result:
    """SA and what runs in PWCA's place, in training mode. drawn: of each image."""
    features = {"sa": [], "pwca": []}
    for image, of_image in zip(images, drawn, strict=True):
        X, _ = sa_stream(p, image, setup)
        features["sa"].append(layer_norm(p, "backbone.vit.norm", X[setup.L])[0])
        z = second_stream(p, image, X, setup, of_image)
        features["pwca"].append(layer_norm(p, "backbone.vit.norm", z)[0])
    result = Result()
    for branch, rows in features.items():
        result.features[branch] = torch.stack(rows)
        result.logits[branch] = classify(p, "sa_head", setup.head, result.features[branch])
    return result


def nearest_first(features: Tensor, labels: Sequence[int], i: int) -> list[int]:
    """Images of other classes than i's, in the order of their distance to it."""
    others = [j for j in range(len(labels)) if labels[j] != labels[i]]
    return sorted(others, key=lambda j: ((features[i] - features[j]) ** 2).sum().item())
