"""Who distracts whom where classes and features have a say: the paper's ablation of pair sampling, within a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from dcal.pwca import random_partners
from dcal.settings import BY_FEATURES, Pairing, require_choice


def sample_partners(pairing: Pairing, labels: Tensor, features: Tensor | None = None) -> Tensor:
    """Each image's distractor in its batch, (B,) indices; nobody is its own.

    pairing: ``batch``, a uniformly random derangement. ``same``, ``other``: uniformly an image of the same class or of
        another; ``half``: one or the other with equal chance. ``hardest``: the nearest image of another class by the
        Euclidean distance of features. ``mixed``: the nearest (hard), the middle (medium) or the farthest (easy) of
        them, with equal chance; of n the ⌈n/2⌉-th nearest is the middle.
    labels: (B,) classes. features: (B, D), for ``hardest`` and ``mixed``.

    Draws from torch's global generator of the CPU. Raises ValueError where an image has no partner: a batch of one, a
    class with one image (``same``, ``half``), a batch of one class (all others but ``batch``); and for ``loader``,
    which knows no batch.
    """
    require_choice("pairing", pairing, Pairing)
    if pairing == "batch":
        return random_partners(len(labels)).to(labels.device)
    if pairing in BY_FEATURES:
        return _by_distance(pairing, labels, features)
    if pairing == "loader":
        raise ValueError("pairing='loader' draws from the training set, not within a batch")
    same = labels[:, None] == labels[None, :]
    others = ~same
    fellows = same.fill_diagonal_(False)
    if pairing != "other":
        _require(fellows, "another image of its class", labels)
    if pairing != "same":
        _require(others, "an image of another class", labels)
    if pairing == "half":
        from_fellows = (torch.rand(len(labels)) < 0.5).to(labels.device)
        allowed = torch.where(from_fellows[:, None], fellows, others)
    else:
        allowed = fellows if pairing == "same" else others
    return torch.multinomial(allowed.float().cpu(), 1)[:, 0].to(labels.device)


@torch.no_grad()
def _by_distance(pairing: Pairing, labels: Tensor, features: Tensor | None) -> Tensor:
    if features is None or features.shape[:1] != labels.shape:
        found = "none" if features is None else tuple(features.shape)
        raise ValueError(f"pairing={pairing!r} needs features of {len(labels)} images, found {found}")
    others = labels[:, None] != labels[None, :]
    _require(others, "an image of another class", labels)
    with torch.autocast(features.device.type, enabled=False):
        wide = features.to(torch.promote_types(features.dtype, torch.float32))
        distances = torch.cdist(wide, wide, compute_mode="donot_use_mm_for_euclid_dist")
    # Features that overflowed are as far as can be, yet nearer than who may not be a partner.
    distances = distances.nan_to_num(nan=torch.finfo(distances.dtype).max)
    nearest_first = distances.masked_fill(~others, torch.inf).argsort(dim=1, stable=True)
    count = others.sum(dim=1, keepdim=True)
    places = torch.zeros_like(count)
    if pairing == "mixed":
        hard_medium_easy = torch.cat((places, (count - 1) // 2, count - 1), dim=1)
        level = torch.randint(3, (len(labels), 1)).to(labels.device)
        places = hard_medium_easy.gather(1, level)
    return nearest_first.gather(1, places)[:, 0]


def _require(allowed: Tensor, wanted: str, labels: Tensor) -> None:
    lonely = (~allowed.any(dim=1)).nonzero()[:, 0].tolist()
    if lonely:
        raise ValueError(
            f"PWCA pairs each image with {wanted}: image {lonely[0]} of a batch of {len(labels)} images of "
            f"{labels.unique().numel()} classes has none; use larger batches, or another pairing"
        )
