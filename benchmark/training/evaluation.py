"""The evaluation of a model on a test split: the same code in training, at its end, and of a finished run."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from benchmark.data.loader import Batch, Prepare
from benchmark.evaluation.classification import Whole, own
from benchmark.training.device import Compute
from benchmark.training.tasks import Dataset, Evaluation, Task
from dcal.model import DCAL


def evaluated(
    task: Task,
    model: DCAL,
    dataset: Dataset,
    batches: Iterable[Batch],
    prepare: Prepare,
    compute: Compute,
    whole: Whole = own,
) -> Evaluation:
    """What the test split says about a model, in the precision of ``compute``; arguments as ``Task.evaluate``."""
    with torch.autocast(compute.device.type, compute.amp, enabled=compute.amp is not None):
        return task.evaluate(model, dataset, batches, prepare, whole)
