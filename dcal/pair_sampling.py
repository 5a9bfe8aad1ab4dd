"""Distractors within a batch by class and by feature distance: the paper's ablation of pair sampling."""

from __future__ import annotations

import torch
from torch import Tensor

from dcal.pwca import random_partners
from dcal.settings import FEATURE_PAIRINGS, Pairing, require_choice


def sample_partners(pairing: Pairing, labels: Tensor, features: Tensor | None = None) -> Tensor:
    """Index in the batch of each image's distractor, (B,); no image is its own.

    pairing: ``batch``, a uniformly random permutation without fixed points. ``same``, ``other``: a random image of the
        same class or of another; ``half``: one or the other with equal chance. ``hardest``: the nearest image of
        another class by the Euclidean distance of features. ``mixed``: the nearest (hard), the middle (medium) or the
        farthest (easy) of these with equal chance; of n images, the ⌈n/2⌉-th nearest is the middle.
    labels: (B,), classes. features: (B, D), for ``hardest`` and ``mixed``.

    Draws from torch's global generator of the CPU. Raises ValueError where an image has no partner: a batch of one, a
    class with one image (``same``, ``half``), a batch of one class (all but ``batch`` and ``same``); and for
    ``loader``, which pairs with a second batch.
    """
    require_choice("pairing", pairing, Pairing)
    if pairing == "batch":
        return random_partners(len(labels)).to(labels.device)
    if pairing in FEATURE_PAIRINGS:
        return _nearest_partners(pairing, labels, features)
    if pairing == "loader":
        raise ValueError("pairing='loader' draws from the training set, not within a batch")
    same = labels[:, None] == labels[None, :]
    others = ~same
    same = same.fill_diagonal_(False)
    if pairing != "other":
        _require_partner(same, "another image of its class", labels)
    if pairing != "same":
        _require_partner(others, "an image of another class", labels)
    if pairing == "half":
        is_same = (torch.rand(len(labels)) < 0.5).to(labels.device)
        candidates = torch.where(is_same[:, None], same, others)
    else:
        candidates = same if pairing == "same" else others
    return torch.multinomial(candidates.float().cpu(), 1)[:, 0].to(labels.device)


@torch.no_grad()
def _nearest_partners(pairing: Pairing, labels: Tensor, features: Tensor | None) -> Tensor:
    """Partners of ``hardest`` and ``mixed``; arguments and errors as ``sample_partners``."""
    if features is None or features.shape[:1] != labels.shape:
        shape = "none" if features is None else tuple(features.shape)
        raise ValueError(f"pairing={pairing!r} needs features of {len(labels)} images, found {shape}")
    others = labels[:, None] != labels[None, :]
    _require_partner(others, "an image of another class", labels)
    with torch.autocast(features.device.type, enabled=False):
        features = features.to(torch.promote_types(features.dtype, torch.float32))
        distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    # An image with infinite features is farther than all others, but nearer than images that may not be partners.
    distances = distances.nan_to_num(nan=torch.finfo(distances.dtype).max)
    nearest_first = distances.masked_fill(~others, torch.inf).argsort(dim=1, stable=True)
    count = others.sum(dim=1, keepdim=True)
    rank = torch.zeros_like(count)
    if pairing == "mixed":
        hard_medium_easy = torch.cat((rank, (count - 1) // 2, count - 1), dim=1)
        level = torch.randint(3, (len(labels), 1)).to(labels.device)
        rank = hard_medium_easy.gather(1, level)
    return nearest_first.gather(1, rank)[:, 0]


def _require_partner(candidates: Tensor, kind: str, labels: Tensor) -> None:
    """Raises ValueError for an image without a candidate. candidates: (B, B), bool. kind: of image, for the message."""
    single = (~candidates.any(dim=1)).nonzero()[:, 0].tolist()
    if single:
        raise ValueError(
            f"PWCA pairs each image with {kind}: image {single[0]} of a batch of {len(labels)} images of "
            f"{labels.unique().numel()} classes has none; use larger batches, or another pairing"
        )
