"""Constructor of the baseline and of DCAL models from a timm tag."""

from __future__ import annotations

import difflib
from pathlib import Path

import timm

from dcal.backbones import EXPECTED, make_adapter
from dcal.model import DCAL
from dcal.settings import GLCASettings, PWCASettings
from dcal.weights.load import load_pretrained, locate


def build(
    tag: str,
    classes: int,
    *,
    image_size: int | tuple[int, int],
    weights: str | Path = "hub",
    head: str = "linear",
    drop_path: float = 0.1,
    glca: GLCASettings | None = None,
    pwca: PWCASettings | None = None,
) -> DCAL:
    """A baseline (glca and pwca None) or a DCAL model.

    tag: timm model with the name of its pretrained weights, such as ``deit_tiny_patch16_224.fb_in1k``.
    classes: number of classes (FGVC) or of training identities (Re-ID).
    image_size: height and width of the input, in pixels.
    weights: ``hub``, a folder, a file, or ``random`` for an untrained backbone.
    head: ``linear`` (FGVC) or ``bnneck`` (Re-ID).
    drop_path: stochastic depth rate of the last block; rates grow linearly over the blocks.
    glca, pwca: settings of the cross-attentions; None: off.

    The model's attribute ``pretrained`` is the LoadReport of its weights (None for ``random``), ``mean`` and ``std``
    are the normalisation of its input (the weights' values, RGB in 0…1).
    Raises ValueError for an unknown tag, a model on which DCAL is not defined and settings that do not fit it,
    WeightsError for missing or wrong weights.
    """
    _require_tag(tag)
    if classes < 1:
        raise ValueError(f"classes is {classes}, expected the number of classes or training identities")
    try:
        backbone = timm.create_model(
            tag, pretrained=False, num_classes=0, img_size=image_size, drop_path_rate=drop_path
        )
    except TypeError as error:  # a convolutional network has no img_size
        raise ValueError(f"{tag} cannot be built on ({error}): expected {EXPECTED}") from error
    report = None if weights == "random" else load_pretrained(backbone, locate(tag, weights))
    model = DCAL(make_adapter(backbone), classes, head=head, glca=glca, pwca=pwca)
    model.pretrained = report
    model.mean = tuple(backbone.pretrained_cfg["mean"])
    model.std = tuple(backbone.pretrained_cfg["std"])
    return model


def _require_tag(tag: str) -> None:
    """Raises ValueError, with the most similar tags, for one that timm does not have."""
    tags = timm.list_models(pretrained=True) + timm.list_models()
    if tag not in tags:
        similar = difflib.get_close_matches(tag, tags, n=3)
        raise ValueError(f"timm has no model {tag!r}; nearest: {', '.join(similar) or 'none'}")
