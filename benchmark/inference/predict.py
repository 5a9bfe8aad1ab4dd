"""Predictions for any picture: class probabilities, or the nearest pictures of a folder (re-identification)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark.config.datasets import OWN
from benchmark.data.images import TestPictures
from benchmark.data.own.image_files import scan_folder
from benchmark.errors import DataError
from benchmark.evaluation.classification import evaluation_mode
from benchmark.inference.trained import TrainedModel
from benchmark.training.device import Compute
from dcal.model import Outputs, class_scores, retrieval_features

BATCH = 16


def picture_reader(trained: TrainedModel) -> TestPictures:
    """Reader of a user's picture files: like the run's test pictures, but turned upright by their EXIF orientation."""
    return TestPictures.for_dataset(OWN, trained.config.settings.data)


def probabilities(trained: TrainedModel, path: Path, compute: Compute) -> Mapping[str, np.ndarray]:
    """Class probabilities (classes,) by branch: ``both``, the paper's prediction, and with GLCA ``sa`` and ``glca``.

    Raises DataError for a picture that cannot be read.
    """
    scores = class_scores(_outputs(trained, [path], compute))
    if len(scores) == 2:  # without GLCA, "both" equals "sa"
        del scores["sa"]
    # "both" is the sum of two distributions: divide by its sum to get a distribution.
    return {branch: (score[0] / score[0].sum()).cpu().numpy() for branch, score in sorted(scores.items())}


def nearest(
    trained: TrainedModel, paths: Sequence[Path], gallery: Path, count: int, compute: Compute
) -> list[list[tuple[str, float]]]:
    """The ``count`` pictures below a folder that are most similar to each given picture, most similar first.

    Returns their names and the cosine similarity of the paper's features, for each given picture.
    Raises DataError for a picture that cannot be read and a folder without pictures.
    """
    names = scan_folder(gallery).pictures
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


def _features(trained: TrainedModel, paths: Sequence[Path], compute: Compute) -> Tensor:
    """L2-normalised features (n, D)."""
    parts = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    return torch.cat([retrieval_features(_outputs(trained, part, compute))["both"].cpu() for part in parts])


def _outputs(trained: TrainedModel, paths: Sequence[Path], compute: Compute) -> Outputs:
    pictures = picture_reader(trained)
    images = torch.from_numpy(np.stack([pictures(path) for path in paths]))
    model = trained.model.to(compute.device)
    with (
        evaluation_mode(model),
        torch.autocast(compute.device.type, compute.amp, enabled=compute.amp is not None),
    ):
        return model(trained.prepare(compute.device)(images))
