"""Training of one run: step by step, resumable at any of them."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn

import torch
from torch import Tensor

from benchmark.config.compute_setup import Tuning, share_parts
from benchmark.config.resolve import Config
from benchmark.data.decoding import StopWhileWaiting, next_batch
from benchmark.data.loader import ImageBatch, Prepare, TrainLoader
from benchmark.data.prefetcher import DeviceBatch, Transfer
from benchmark.errors import RunError
from benchmark.records.heartbeat import RunInterrupt, StopRequest
from benchmark.training.checkpoint import Randomness
from benchmark.training.device import Compute
from benchmark.training.distributed import Alone
from benchmark.training.models import tune
from benchmark.training.optim import Schedule, load_optimizer, make_optimizer
from benchmark.training.step import AtOnce, InParts, StepLoss
from benchmark.training.step_log import Book, StepLog, line
from benchmark.training.tasks import Evaluation, Task
from dcal.losses import UncertaintyWeighting
from dcal.model import DCAL

logger = logging.getLogger("benchmark")

# Batches of an evaluation, and how many the rank with the most has, to the same batches, ended by a stop.
Watched = Callable[[Iterable[ImageBatch], int], Iterator[ImageBatch]]


class Trainer:
    """Trains a model by a run's settings; with several ranks each of them has one, and they move in step.

    loader: this rank's share of the batches. peers: the other ranks.
    save: called with the state to write a checkpoint; checkpoint_seconds: least time between two, by rank 0's clock.
    record: called with the history after each epoch. show_progress, log_interval: of ``StepLog``.
    task: its loss is each branch's own.
    evaluate: called at the epochs the settings name; its predictions go into the history only. It reads its batches
        through what it is given, so that a stop need not wait for its end.
    """

    def __init__(
        self,
        config: Config,
        model: DCAL,
        loader: TrainLoader,
        compute: Compute,
        *,
        task: Task,
        peers: Alone,
        prepare: Prepare,
        evaluate: Callable[[Watched], Evaluation],
        save: Callable[[dict], None],
        record: Callable[[list[dict]], None],
        stop: StopRequest,
        checkpoint_seconds: float,
        show_progress: bool,
        log_interval: int = 0,
        tuning: Tuning = Tuning(),  # noqa: B008 - it cannot be changed
    ) -> None:
        self.config, self.model, self.loader, self.compute = config, model, loader, compute
        self.train, self.task, self.peers = config.settings.train, task, peers
        self.transfer = Transfer(prepare, compute.device)
        self.evaluate, self.save, self.record, self.stop = evaluate, save, record, stop
        self.checkpoint_seconds = checkpoint_seconds
        self.step_log = StepLog(model.branch_names, every=log_interval, bar=show_progress)
        self.weighting = UncertaintyWeighting(model.branch_names, initial=config.settings.model.w_init)
        self.weighting.to(compute.device)
        self.randomness = Randomness(model, compute.device)
        self.scaler = torch.amp.GradScaler(enabled=compute.scales_loss)
        self.tuning = tuning
        self.gradients = self._gradients()
        self.optimizer = make_optimizer(model, self.weighting, self.train)
        self.epoch_steps = [loader.length(epoch) for epoch in range(self.train.epochs)]
        self.schedule = Schedule(self.optimizer, self.train, self.epoch_steps)
        self.book = Book()
        self._sums = torch.zeros(len(model.branch_names), dtype=torch.float64, device=compute.device)
        # What each rank's random selection drew its evaluation from.
        self.selections: list[Tensor | None] = []
        self._saved_at = time.monotonic()
        if peers.rank:  # rank 0 goes on with the stream of a run that is alone
            self._seed_afresh()

    def _gradients(self) -> AtOnce | InParts:
        tune(self.model, self.tuning)
        step_loss = StepLoss(self.model, self.weighting, self.task, self.compute, self.peers)
        if self.tuning.accumulate == 1:
            return AtOnce(step_loss, self.peers, self.scaler.scale)
        cut = share_parts(self.config, self.tuning.accumulate)
        return InParts(step_loss, self.peers, self.scaler.scale, cut=cut, randomness=self.randomness)

    @property
    def steps(self) -> int:
        """Optimizer steps of the whole run."""
        return sum(self.epoch_steps)

    def progress(self) -> dict[str, int]:
        """For the heartbeat and the live view."""
        return {
            "epoch": self.book.epoch,
            "epochs": self.train.epochs,
            "step": self.book.step,
            "steps": self.epoch_steps[min(self.book.epoch, self.train.epochs - 1)],
        }

    def fit(self) -> Evaluation:
        """Train to the last epoch. Raises RunInterrupt after saving when asked to stop, RunError if the loss diverges.

        Returns the last epoch's predictions; of a run whose training was over before, they are made again.
        """
        self.model.train()
        predictions = None
        while self.book.epoch < self.train.epochs:
            self._train_epoch()
            predictions = self._finish_epoch()
        return predictions or self.evaluate(self._watched)

    def _train_epoch(self) -> None:
        book, steps, batches = self.book, self.epoch_steps[self.book.epoch], self._training_batches()
        taken = sum(self.epoch_steps[: book.epoch])
        before, started = book.epoch_seconds, time.monotonic()
        for batch in self.step_log.epoch(batches, book, steps=steps, epochs=self.train.epochs):
            self._step(batch)
            book.step += 1
            where = f"epoch {book.epoch + 1}/{self.train.epochs}, step {book.step}/{steps}"
            book.epoch_seconds = before + time.monotonic() - started
            left = book.remaining_seconds(taken + book.step, self.steps)
            self.step_log.tell(taken + book.step, where, self.optimizer.param_groups[0]["lr"], left)
            stopping, due = self.peers.any(bool(self.stop.reason), self._save_is_due())
            if stopping:
                self._save_and_stop(f"in epoch {book.epoch + 1}, step {book.step}")
            if due and book.step < steps:
                self._save()

    def _training_batches(self) -> Iterator[DeviceBatch]:
        """What is left of this epoch, ready for the model."""
        book = self.book
        left = self.transfer(self.loader.epoch(book.epoch, book.step))
        try:
            while (batch := next_batch(left, self.peers)) is not None:
                yield batch
        except StopWhileWaiting:
            self._save_and_stop(f"in epoch {book.epoch + 1}, step {book.step}, waiting for a batch")

    def _step(self, batch: DeviceBatch) -> None:
        book = self.book
        self.schedule.set(book.epoch, book.step)
        labels = self.peers.gather(batch.labels, batch.counts).to(self.compute.device, non_blocking=True)
        self.optimizer.zero_grad(set_to_none=True)
        losses = self.gradients(batch.images, batch.partner_images, labels, batch.counts)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self._sums += losses * len(labels)
        self.step_log.add(losses, len(labels))
        book.images += len(labels)

    def _finish_epoch(self) -> Evaluation | None:
        book = self.book
        means = {
            name: value / book.images
            for name, value in zip(self.model.branch_names, self._sums.tolist(), strict=True)
        }
        if not all(math.isfinite(value) for value in means.values()):
            raise RunError(
                f"the loss became {means} in epoch {book.epoch + 1}: training diverged. The last checkpoint is whole; "
                "lower train.lr, or use train.precision=float32"
            )
        entry: dict[str, object] = {
            "epoch": book.epoch + 1,
            "loss": means,
            "w": self.weighting.weights(),
            "lr": self.optimizer.param_groups[0]["lr"],
            "seconds": round(book.epoch_seconds, 3),
            "images_per_second": round(book.images / max(book.epoch_seconds, 1e-9), 2),
        }
        last = book.epoch + 1 == self.train.epochs
        if last:
            self._save()  # a run that is stopped in its final evaluation repeats that alone
        predictions = None
        if last or (book.epoch + 1) % self.config.settings.evaluate.every == 0:
            began = time.monotonic()
            predictions = self.evaluate(self._watched)
            entry["metrics"] = predictions.metrics()
            book.evaluate_seconds += time.monotonic() - began
        book.history.append(entry)
        book.train_seconds += book.epoch_seconds
        book.epoch, book.step, book.images, book.epoch_seconds = book.epoch + 1, 0, 0, 0.0
        self._sums.zero_()
        self.record(book.history)
        logger.info("%s", line(entry, self.train.epochs))
        (due,) = self.peers.any(self._save_is_due())
        if due and not last:
            self._save()
        return predictions

    def _watched(self, batches: Iterable[ImageBatch], rounds: int) -> Iterator[ImageBatch]:
        """The batches of an evaluation, which may take longer than a cluster's notice before it kills.

        Stopped, it is repeated as a whole: what it found so far is in no checkpoint, and a random selection draws anew
        what it drew. All ranks look together, also those that have fewer batches.
        """
        left, before = iter(batches), self.randomness.state()
        self.selections = self.peers.collect(before.get("selection"))
        try:
            for _ in self.step_log.evaluation(rounds):
                if self.peers.any(bool(self.stop.reason))[0]:
                    raise StopWhileWaiting
                if (batch := next_batch(left, self.peers)) is not None:
                    yield batch
        except StopWhileWaiting:
            self.randomness.restore(before)
            epoch = min(self.book.epoch + 1, self.train.epochs)
            self._save_and_stop(f"while epoch {epoch} was being evaluated")

    def state(self) -> dict:
        """Everything a resumed run of one rank needs to end with the same weights; with more, _save adds theirs."""
        self.book.sums = dict(zip(self.model.branch_names, self._sums.tolist(), strict=True))
        return {
            "hash": self.config.hash,
            "model": self.model.state_dict(),
            "weighting": self.weighting.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "rng": self.randomness.state(),
            "tuning": str(self.tuning),
            "book": json.dumps(vars(self.book)),
        }

    def load_state(self, state: dict) -> None:
        """Go on from a checkpoint's state. A finished run's slim one restores the weights, the book and
        what its evaluation drew from.

        It may be of another number of ranks: one that it knows nothing of draws from a fresh stream.
        """
        self.model.load_state_dict(state["model"])
        self.weighting.load_state_dict(state["weighting"])
        # A book from before evaluations were timed does not say how long they took.
        self.book = Book(**({"evaluate_seconds": math.nan} | json.loads(state["book"])))
        if "optimizer" not in state:
            self.randomness.select_from(state.get("selections", []), self.peers.rank)
            return
        load_optimizer(self.optimizer, state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        sums = [self.book.sums[name] for name in self.model.branch_names]
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
        self.randomness.begin(self.config.seed, self.peers.rank, self.book.epoch, self.book.step)

    def _told_to_stop(self) -> str:
        """Why; every rank returns once rank 0 has saved, with the signals that came to any, which are meant for all."""
        told = self.peers.collect((self.stop.reason, self.stop.signals))
        self.stop.signals = [number for _, signals in told for number in signals]
        return next(reason for reason, _ in told if reason)

    def _save_and_stop(self, where: str) -> NoReturn:
        self._save()
        raise RunInterrupt(f"{self._told_to_stop()} {where}; saved")

    def _save_is_due(self) -> bool:
        return self.peers.rank == 0 and time.monotonic() - self._saved_at >= self.checkpoint_seconds

    def _save(self) -> None:
        if not torch.isfinite(self._sums).all():
            raise RunError(
                f"the loss is not finite in epoch {self.book.epoch + 1}: training diverged and is not saved. "
                "The last checkpoint is whole; lower train.lr, or use train.precision=float32"
            )
        of_others = self.peers.collect(self.randomness.state())[1:]
        if self.peers.rank == 0:
            self.save({**self.state(), "rng_of_other_ranks": of_others})
        self._saved_at = time.monotonic()
