"""Evaluation of the model in training, by all ranks of a run together."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor

from benchmark.data.decoding import StopWhileWaiting, next_batch
from benchmark.data.loader import ImageBatch, Prepare, TestLoader
from benchmark.training.device import Compute
from benchmark.training.distributed import SingleProcess
from benchmark.training.step_log import StepLog
from benchmark.training.tasks import Dataset, Evaluation, Task, evaluate_model
from dcal.model import DCAL


class Evaluator:
    """Evaluates a model on a test split.

    tests: this rank's share of the split.
    prepare: uint8 images to normalised ones on the device.
    peers: the ranks that evaluate together.
    """

    def __init__(
        self,
        task: Task,
        model: DCAL,
        dataset: Dataset,
        tests: TestLoader,
        prepare: Prepare,
        compute: Compute,
        peers: SingleProcess,
    ) -> None:
        self._task, self._model, self._dataset, self._tests = task, model, dataset, tests
        self._prepare, self._compute, self._peers = prepare, compute, peers

    def evaluate(self, should_stop: Callable[[], bool], step_log: StepLog) -> Evaluation:
        """Evaluate the whole split.

        should_stop: looked at before each batch, by all ranks together: an evaluation may take longer than a cluster's
            notice before it kills.
        step_log: shows how far the evaluation is.
        Raises StopWhileWaiting where it has to stop; what was computed so far is lost.
        """
        batches = self._batches(should_stop, step_log)
        return evaluate_model(
            self._task, self._model, self._dataset, batches, self._prepare, self._compute, self._gather
        )

    def _batches(self, should_stop: Callable[[], bool], step_log: StepLog) -> Iterator[ImageBatch]:
        """This rank's batches; a rank that has fewer of them takes part in every look for a stop all the same."""
        batches = iter(self._tests)
        for _ in step_log.evaluation(self._tests.rounds):
            if should_stop():
                raise StopWhileWaiting
            if (batch := next_batch(batches, self._peers)) is not None:
                yield batch

    def _gather(self, rows: Tensor) -> Tensor:
        self._peers.meet()
        return self._peers.gather(rows, self._tests.counts)
