"""Predictions from the branches' outputs (the paper's inference), for each branch and for both together."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dcal.model import Outputs


def class_scores(outputs: Outputs) -> dict[str, Tensor]:
    """FGVC: class probabilities of SA and GLCA and their sum, each (B, classes), float32; keys sa, glca, both.

    The sum is the paper's prediction ("we add class probabilities output by classifiers of SA and GLCA"). Without GLCA,
    ``both`` is SA alone and there is no ``glca``.
    """
    scores = {"sa": outputs.sa.logits.float().softmax(dim=-1)}
    if outputs.glca is None:
        return scores | {"both": scores["sa"]}
    scores["glca"] = outputs.glca.logits.float().softmax(dim=-1)
    return scores | {"both": scores["sa"] + scores["glca"]}


def retrieval_features(outputs: Outputs) -> dict[str, Tensor]:
    """Re-ID: L2-normalised features before the neck, SA and GLCA, (B, D), and both concatenated, (B, 2D), float32; keys
    sa, glca, both.

    The concatenation is the paper's prediction ("concat two final class tokens of SA and GLCA"). Without GLCA, ``both``
    is SA alone and there is no ``glca``.
    """
    sa = outputs.sa.feature.float()
    if outputs.glca is None:
        return {"sa": F.normalize(sa), "both": F.normalize(sa)}
    glca = outputs.glca.feature.float()
    return {
        "sa": F.normalize(sa),
        "glca": F.normalize(glca),
        "both": F.normalize(torch.cat((sa, glca), dim=1)),
    }
