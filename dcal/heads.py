"""Heads, which compute a branch's logits from its feature: linear classifier (FGVC) or BNNeck (Re-ID)."""

from __future__ import annotations

from dataclasses import dataclass

from timm.layers import trunc_normal_
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Branch:
    """One branch's output. logits: (B, classes). feature: (B, D), before the neck."""

    logits: Tensor
    feature: Tensor


@dataclass(frozen=True)
class Features:
    """Each branch's feature behind the final norm, (B, D); None for a branch that is off, or PWCA in eval mode."""

    sa: Tensor
    glca: Tensor | None = None
    pwca: Tensor | None = None


def second_stream(features: Tensor, images: int) -> Tensor | None:
    """Features of the second stream, which lie behind the self-attention stream's; None where there are none.

    features: (images, D), with a second stream (images + B, D).
    """
    return features[images:] if len(features) > images else None


class LinearHead(nn.Module):
    """Linear classifier on the class token, with timm's start values: truncated N(0, 0.02), bias 0."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(width, classes)
        trunc_normal_(self.classifier.weight, std=0.02)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, feature: Tensor, *, keep_statistics: bool = False) -> Branch:
        """Logits of a feature (B, D). keep_statistics: no effect here, for the same signature as BNNeck's."""
        return Branch(self.classifier(feature), feature)


class BNNeck(nn.Module):
    """Batch normalisation (bias fixed at 0), then a classifier without bias, N(0, 0.001)."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.neck = nn.BatchNorm1d(width)
        self.neck.bias.requires_grad_(False)
        self.classifier = nn.Linear(width, classes, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, feature: Tensor, *, keep_statistics: bool = False) -> Branch:
        """Logits of a feature (B, D); the triplet loss and retrieval use the feature itself, without normalisation.

        keep_statistics: normalise by the batch and do not change the running statistics (for PWCA, whose features do
        not occur in inference).
        """
        neck = self.neck
        if keep_statistics and self.training:
            normalised = F.batch_norm(feature, None, None, neck.weight, neck.bias, True, 0.0, neck.eps)
        else:
            normalised = neck(feature)
        return Branch(self.classifier(normalised), feature)


HEADS = {"linear": LinearHead, "bnneck": BNNeck}
