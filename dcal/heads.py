"""From a branch's feature to its logits: a linear classifier (FGVC) or a BNNeck (Re-ID)."""

from __future__ import annotations

from dataclasses import dataclass

from timm.layers import trunc_normal_
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Branch:
    """One branch's output. logits: (B, classes); feature: (B, D), before the neck."""

    logits: Tensor
    feature: Tensor


@dataclass(frozen=True)
class Features:
    """Each branch's feature behind the final norm, (B, D); None for a branch that is off, or PWCA in eval mode."""

    sa: Tensor
    glca: Tensor | None = None
    pwca: Tensor | None = None


def rows_from(rows: Tensor, first: int) -> Tensor | None:
    """Those behind the self-attention stream; None where there are none."""
    return rows[first:] if len(rows) > first else None


class LinearHead(nn.Module):
    """Linear classifier on the class token, initialised as timm's: N(0, 0.02) truncated, bias 0."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(width, classes)
        trunc_normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, feature: Tensor, *, keep_statistics: bool = False) -> Branch:
        """feature: (B, D). keep_statistics has no meaning without a neck and is accepted for BNNeck's sake."""
        return Branch(self.classifier(feature), feature)


class BNNeck(nn.Module):
    """Batch normalisation (bias frozen at 0), then a classifier without bias, N(0, 0.001)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.neck = nn.BatchNorm1d(width)
        self.neck.bias.requires_grad_(False)
        self.classifier = nn.Linear(width, classes, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, feature: Tensor, *, keep_statistics: bool = False) -> Branch:
        """feature: (B, D), unnormalised; it is what the triplet loss and the retrieval see.

        keep_statistics: normalise by the batch without moving the running statistics (the PWCA branch: its
        features never occur at inference).
        """
        neck = self.neck
        if keep_statistics and self.training:
            normalised = F.batch_norm(feature, None, None, neck.weight, neck.bias, True, 0.0, neck.eps)
        else:
            normalised = neck(feature)
        return Branch(self.classifier(normalised), feature)


HEADS = {"linear": LinearHead, "bnneck": BNNeck}
