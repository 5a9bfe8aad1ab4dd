"""What a trained model says of any picture: its classes, or the nearest pictures of a folder (re-identification)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark.config.datasets import OWN
from benchmark.data.images import TestPictures
from benchmark.data.own.image_files import find
from benchmark.errors import DataError
from benchmark.evaluation.classification import evaluation_mode
from benchmark.inference.trained import Trained
from benchmark.training.device import Compute
from dcal.model import Outputs, class_scores, retrieval_features

BATCH = 16


def pictures_of(trained: Trained) -> TestPictures:
    """From a user's picture to what the network sees: as the run's test pictures, and upright, as it is seen."""
    return TestPictures.of(OWN, trained.config.settings.data)


def probabilities(trained: Trained, path: Path, compute: Compute) -> Mapping[str, np.ndarray]:
    """Branch → (classes,) probabilities: ``both``, the paper's prediction, and with GLCA ``sa`` and ``glca``.

    Raises DataError for a picture that cannot be read.
    """
    scores = class_scores(_outputs(trained, [path], compute))
    if len(scores) == 2:  # SA alone: both is the same
        del scores["sa"]
    # "both" adds two distributions: over its sum it is one again.
    return {branch: (score[0] / score[0].sum()).cpu().numpy() for branch, score in sorted(scores.items())}


def nearest(
    trained: Trained, paths: Sequence[Path], gallery: Path, count: int, compute: Compute
) -> list[list[tuple[str, float]]]:
    """Of each picture those below a folder that are most like it, best first: name, and cosine of the paper's features.

    Raises DataError for a picture that cannot be read and a folder without pictures.
    """
    names = find(gallery).pictures
    if not names:
        raise DataError(f"{gallery}: no pictures in it, expected those to look for the same one in")
    similar = (
        _features(trained, paths, compute) @ _features(trained, [gallery / name for name in names], compute).T
    )
    best = similar.argsort(dim=1, descending=True, stable=True)[:, :count]
    return [
        [(names[place], float(row[place])) for place in places]
        for row, places in zip(similar, best.tolist(), strict=True)
    ]


def _features(trained: Trained, paths: Sequence[Path], compute: Compute) -> Tensor:
    """(n, D), of length 1."""
    parts = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    return torch.cat([retrieval_features(_outputs(trained, part, compute))["both"].cpu() for part in parts])


def _outputs(trained: Trained, paths: Sequence[Path], compute: Compute) -> Outputs:
    pictures = pictures_of(trained)
    shown = torch.from_numpy(np.stack([pictures(path) for path in paths]))
    model = trained.model.to(compute.device)
    with (
        evaluation_mode(model),
        torch.autocast(compute.device.type, compute.amp, enabled=compute.amp is not None),
    ):
        return model(trained.prepare(compute.device)(shown))
