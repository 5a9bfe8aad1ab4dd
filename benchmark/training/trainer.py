"""Training of one run: step by step, resumable at any of them."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor

from benchmark.config.compute_setup import Tuning, share_parts
from benchmark.config.resolve import Config
from benchmark.data.decoding import StopWhileWaiting, next_batch
from benchmark.data.loader import Prepare, TrainLoader
from benchmark.data.prefetcher import DeviceBatch, Transfer
from benchmark.errors import RunError
from benchmark.records.heartbeat import RunInterrupt, StopRequest
from benchmark.training.checkpoint import Checkpointer, Randomness
from benchmark.training.device import Compute
from benchmark.training.distributed import SingleProcess
from benchmark.training.evaluator import Evaluator
from benchmark.training.models import tune
from benchmark.training.optim import Schedule, load_optimizer, make_optimizer
from benchmark.training.step import AccumulatedGradients, FullBatch, StepLoss
from benchmark.training.step_log import StepLog, TrainingProgress, format_epoch
from benchmark.training.tasks import TASKS, Evaluation
from dcal.losses import UncertaintyWeighting
from dcal.model import DCAL

logger = logging.getLogger("benchmark")


@dataclass(frozen=True)
class TrainingData:
    """Batches of a run. loader: this rank's share of them. prepare: uint8 images to normalised ones on the device."""

    loader: TrainLoader
    prepare: Prepare


class Trainer:
    """Trains a model by a run's settings; with several ranks each of them has one, and they move in step.

    data: the training batches.
    evaluator: evaluates the model at the epochs that the settings name; the metrics go into the history only.
    checkpointer: writes the state and the history.
    compute: device and precision. peers: the ranks of the run. stop: a request to save and end.
    step_log: shows the progress of an epoch.
    tuning: how a step is computed.
    """

    def __init__(
        self,
        config: Config,
        model: DCAL,
        data: TrainingData,
        evaluator: Evaluator,
        checkpointer: Checkpointer,
        *,
        compute: Compute,
        peers: SingleProcess,
        stop: StopRequest,
        step_log: StepLog,
        tuning: Tuning = Tuning(),  # noqa: B008 - it cannot be changed
    ) -> None:
        self.config, self.model, self.loader, self.compute = config, model, data.loader, compute
        self.evaluator, self.checkpointer = evaluator, checkpointer
        self.train, self.task, self.peers = config.settings.train, TASKS[config.cell.task], peers
        self.stop, self.step_log, self.tuning = stop, step_log, tuning
        self.transfer = Transfer(data.prepare, compute.device)
        self.weighting = UncertaintyWeighting(model.branch_names, initial=config.settings.model.w_init)
        self.weighting.to(compute.device)
        self.randomness = Randomness(model, compute.device)
        self.scaler = torch.amp.GradScaler(enabled=compute.scales_loss)
        self.gradients = self._gradients()
        self.optimizer = make_optimizer(model, self.weighting, self.train)
        self.epoch_steps = [self.loader.length(epoch) for epoch in range(self.train.epochs)]
        self.schedule = Schedule(self.optimizer, self.train, self.epoch_steps)
        self.progress = TrainingProgress()
        self._sums = torch.zeros(len(model.branch_names), dtype=torch.float64, device=compute.device)
        # State of each rank's random selection before the last evaluation.
        self.selections: list[Tensor | None] = []
        if peers.rank:  # rank 0 goes on with the stream of a run that is alone
            self._seed_afresh()

    def _gradients(self) -> FullBatch | AccumulatedGradients:
        tune(self.model, self.tuning)
        step_loss = StepLoss(self.model, self.weighting, self.task, self.compute, self.peers)
        if self.tuning.accumulate == 1:
            return FullBatch(step_loss, self.peers, self.scaler.scale)
        cut = share_parts(self.config, self.tuning.accumulate)
        return AccumulatedGradients(
            step_loss, self.peers, self.scaler.scale, cut=cut, randomness=self.randomness
        )

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return sum(self.epoch_steps)

    def heartbeat_entry(self) -> dict[str, int]:
        """Progress for the heartbeat and the live view."""
        return {
            "epoch": self.progress.epoch,
            "epochs": self.train.epochs,
            "step": self.progress.step,
            "steps": self.epoch_steps[min(self.progress.epoch, self.train.epochs - 1)],
        }

    def fit(self) -> Evaluation:
        """Train to the last epoch. Raises RunInterrupt after saving when asked to stop, RunError if the loss diverges.

        Returns the last epoch's predictions; of a run whose training was over before, they are made again.
        """
        self.model.train()
        predictions = None
        while self.progress.epoch < self.train.epochs:
            self._train_epoch()
            predictions = self._finish_epoch()
        return predictions or self._evaluate()

    def _train_epoch(self) -> None:
        progress, steps, batches = (
            self.progress,
            self.epoch_steps[self.progress.epoch],
            self._training_batches(),
        )
        steps_before = sum(self.epoch_steps[: progress.epoch])
        before, started = progress.epoch_seconds, time.monotonic()
        for batch in self.step_log.epoch(batches, progress, steps=steps, epochs=self.train.epochs):
            self._step(batch)
            progress.step += 1
            where = f"epoch {progress.epoch + 1}/{self.train.epochs}, step {progress.step}/{steps}"
            progress.epoch_seconds = before + time.monotonic() - started
            seconds_left = progress.remaining_seconds(steps_before + progress.step, self.steps)
            self.step_log.tell(
                steps_before + progress.step, where, self.optimizer.param_groups[0]["lr"], seconds_left
            )
            stopping, due = self.peers.any(bool(self.stop.reason), self.checkpointer.is_due())
            if stopping:
                self._save_and_stop(f"in epoch {progress.epoch + 1}, step {progress.step}")
            if due and progress.step < steps:
                self._save()

    def _training_batches(self) -> Iterator[DeviceBatch]:
        """What is left of this epoch, ready for the model."""
        progress = self.progress
        batches = self.transfer(self.loader.epoch(progress.epoch, progress.step))
        try:
            while (batch := next_batch(batches, self.peers)) is not None:
                yield batch
        except StopWhileWaiting:
            self._save_and_stop(f"in epoch {progress.epoch + 1}, step {progress.step}, waiting for a batch")

    def _step(self, batch: DeviceBatch) -> None:
        progress = self.progress
        self.schedule.set(progress.epoch, progress.step)
        labels = self.peers.gather(batch.labels, batch.counts).to(self.compute.device, non_blocking=True)
        self.optimizer.zero_grad(set_to_none=True)
        losses = self.gradients(batch.images, batch.partner_images, labels, batch.counts)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self._sums += losses * len(labels)
        self.step_log.add(losses, len(labels))
        progress.images += len(labels)

    def _finish_epoch(self) -> Evaluation | None:
        progress = self.progress
        means = {
            name: value / progress.images
            for name, value in zip(self.model.branch_names, self._sums.tolist(), strict=True)
        }
        if not all(math.isfinite(value) for value in means.values()):
            raise RunError(
                f"the loss became {means} in epoch {progress.epoch + 1}: training diverged. The last checkpoint is "
                "whole; lower train.lr, or use train.precision=float32"
            )
        entry: dict[str, object] = {
            "epoch": progress.epoch + 1,
            "loss": means,
            "w": self.weighting.weights(),
            "lr": self.optimizer.param_groups[0]["lr"],
            "seconds": round(progress.epoch_seconds, 3),
            "images_per_second": round(progress.images / max(progress.epoch_seconds, 1e-9), 2),
        }
        last = progress.epoch + 1 == self.train.epochs
        if last:
            self._save()  # a run that is stopped in its final evaluation repeats that alone
        predictions = None
        if last or (progress.epoch + 1) % self.config.settings.evaluate.every == 0:
            began = time.monotonic()
            predictions = self._evaluate()
            entry["metrics"] = predictions.metrics()
            progress.evaluate_seconds += time.monotonic() - began
        progress.history.append(entry)
        progress.train_seconds += progress.epoch_seconds
        progress.epoch, progress.step, progress.images, progress.epoch_seconds = progress.epoch + 1, 0, 0, 0.0
        self._sums.zero_()
        self.checkpointer.write_history(progress.history)
        logger.info("%s", format_epoch(entry, self.train.epochs))
        (due,) = self.peers.any(self.checkpointer.is_due())
        if due and not last:
            self._save()
        return predictions

    def _evaluate(self) -> Evaluation:
        """Evaluate, or save and stop: a stopped evaluation is repeated as a whole, with the same random selection."""
        before = self.randomness.state()
        self.selections = self.peers.collect(before.get("selection"))
        try:
            return self.evaluator.evaluate(self._should_stop, self.step_log)
        except StopWhileWaiting:
            self.randomness.restore(before)
            epoch = min(self.progress.epoch + 1, self.train.epochs)
            self._save_and_stop(f"while epoch {epoch} was being evaluated")

    def _should_stop(self) -> bool:
        return self.peers.any(bool(self.stop.reason))[0]

    def state(self) -> dict:
        """Everything a resumed run of one rank needs to end with the same weights; with more, _save adds theirs."""
        self.progress.sums = dict(zip(self.model.branch_names, self._sums.tolist(), strict=True))
        return {
            "hash": self.config.hash,
            "model": self.model.state_dict(),
            "weighting": self.weighting.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "rng": self.randomness.state(),
            "tuning": str(self.tuning),
            "book": json.dumps(vars(self.progress)),
        }

    def load_state(self, state: dict) -> None:
        """Go on from a checkpoint's state. A finished run's slim one restores the weights, the progress and
        what its evaluation drew from.

        It may be of another number of ranks: one that it knows nothing of draws from a fresh stream.
        """
        self.model.load_state_dict(state["model"])
        self.weighting.load_state_dict(state["weighting"])
        # A state from before evaluations were timed does not say how long they took.
        self.progress = TrainingProgress(**({"evaluate_seconds": math.nan} | json.loads(state["book"])))
        if "optimizer" not in state:
            self.randomness.select_from(state.get("selections", []), self.peers.rank)
            return
        load_optimizer(self.optimizer, state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        sums = [self.progress.sums[name] for name in self.model.branch_names]
        self._sums.copy_(torch.tensor(sums, dtype=torch.float64))
        if (before := state.get("tuning", str(self.tuning))) != str(self.tuning):
            logger.warning(
                "saved with TUNE %s, going on with TUNE %s: where batches are cut into other parts, other pictures are "
                "paired and other paths dropped than without the change", before or "none", self.tuning or "none",
            )  # fmt: skip
        streams = [state["rng"], *state.get("rng_of_other_ranks", [])]
        if len(streams) != self.peers.size:
            logger.warning(
                "saved with %d ranks, going on with %d: other pictures are paired and other paths dropped than without "
                "the change", len(streams), self.peers.size,
            )  # fmt: skip
        if self.peers.rank < len(streams):
            self.randomness.restore(streams[self.peers.rank])
        else:
            self._seed_afresh()

    def _seed_afresh(self) -> None:
        """A random stream that no other rank has: stochastic depth and PWCA's partners are each rank's own."""
        self.randomness.begin(self.config.seed, self.peers.rank, self.progress.epoch, self.progress.step)

    def _save_and_stop(self, where: str) -> NoReturn:
        """Save, then end on every rank, with the signals that came to any of them, which are meant for all."""
        self._save()
        requests = self.peers.collect((self.stop.reason, self.stop.signals))
        self.stop.signals = [number for _, signals in requests for number in signals]
        reason = next(reason for reason, _ in requests if reason)
        raise RunInterrupt(f"{reason} {where}; saved")

    def _save(self) -> None:
        if not torch.isfinite(self._sums).all():
            raise RunError(
                f"the loss is not finite in epoch {self.progress.epoch + 1}: training diverged and is not saved. "
                "The last checkpoint is whole; lower train.lr, or use train.precision=float32"
            )
        other_ranks = self.peers.collect(self.randomness.state())[1:]
        self.checkpointer.save(
            {**self.state(), "rng_of_other_ranks": other_ranks} if self.peers.rank == 0 else {}
        )
