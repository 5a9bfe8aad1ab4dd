"""Losses: the triplet loss of a branch, and the uncertainty weighting that adds the branches' losses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class UncertaintyWeighting(nn.Module):
    """L = ½ Σ_b (e^{−w_b} L_b + w_b), the paper's total loss after Kendall et al., with learnable w_b.

    branches: names of the trained branches. With a single one the loss is L_b, without w (the paper's baseline).
    initial: start value of every w.

    The w are parameters for the optimizer, without weight decay.
    """

    def __init__(self, branches: Iterable[str], *, initial: float = 0.0) -> None:
        super().__init__()
        self.branches = tuple(branches)
        if not self.branches:
            raise ValueError("a loss needs at least one branch")
        if len(self.branches) > 1:
            self.w = nn.Parameter(torch.full((len(self.branches),), float(initial)))
        else:
            self.register_parameter("w", None)

    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Total loss, a scalar. losses: scalar L_b by branch. Raises ValueError unless they are of all branches."""
        if set(losses) != set(self.branches):
            raise ValueError(
                f"losses of {sorted(losses)} given, the weighting is over {sorted(self.branches)}"
            )
        if self.w is None:
            return losses[self.branches[0]]
        per_branch = torch.stack([losses[branch] for branch in self.branches])
        return 0.5 * (torch.exp(-self.w) * per_branch + self.w).sum()

    def weights(self) -> dict[str, float]:
        """The current w by branch; empty for a single branch."""
        if self.w is None:
            return {}
        return dict(zip(self.branches, self.w.detach().tolist(), strict=True))


def soft_margin_triplet(features: Tensor, labels: Tensor, *, noisy: bool = False) -> Tensor:
    """Batch-hard triplet loss with soft margin, mean over anchors of log(1 + e^{d(a,p) − d(a,n)}).

    features: (B, D), before the neck, not normalised. labels: (B,), identities. p is the farthest image of the anchor's
    identity, n the nearest of another. Always in float32: half precision loses small differences of distances.
    noisy: some labels are wrong on purpose; anchors without a positive or a negative are then left out of the mean.

    Raises ValueError for an anchor without another positive or without a negative, unless noisy.
    """
    with torch.autocast(features.device.type, enabled=False):
        features = features.float()
        distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
        same = labels[:, None] == labels[None, :]
        has_both = (same.sum(dim=1) > 1) & ~same.all(dim=1)
        if not noisy and not has_both.all():
            raise ValueError(
                "batch-hard triplets need at least two images of every identity and two identities in a batch: "
                f"found {labels.numel()} images of {labels.unique().numel()} identities; use P×K sampling"
            )
        hardest_positive = distances.masked_fill(~same, -torch.inf).amax(dim=1)
        hardest_negative = distances.masked_fill(same, torch.inf).amin(dim=1)
        if not noisy:
            return F.softplus(hardest_positive - hardest_negative).mean()
        margins = torch.where(has_both, hardest_positive - hardest_negative, -torch.inf)  # softplus gives 0
        return F.softplus(margins).sum() / has_both.sum().clamp(min=1)
