"""From the branches' outputs to a prediction (the paper's inference), for every branch and for both together."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dcal.model import Outputs


def class_scores(outputs: Outputs) -> dict[str, Tensor]:
    """FGVC: class probabilities of SA and GLCA, and their sum, the paper's prediction ("we add class
    probabilities output by classifiers of SA and GLCA"). Each (B, classes), float32; keys sa, glca, both.

    Without GLCA ``both`` is SA alone and there is no ``glca``.
    """
    scores = {"sa": outputs.sa.logits.float().softmax(dim=-1)}
    if outputs.glca is None:
        return scores | {"both": scores["sa"]}
    scores["glca"] = outputs.glca.logits.float().softmax(dim=-1)
    return scores | {"both": scores["sa"] + scores["glca"]}


def retrieval_features(outputs: Outputs) -> dict[str, Tensor]:
    """Re-ID: features before the neck, L2-normalised: SA, GLCA, and both concatenated, the paper's prediction
    ("concat two final class tokens of SA and GLCA"). (B, D) and (B, 2D), float32; keys sa, glca, both.
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
