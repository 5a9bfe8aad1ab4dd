"""The work of one attempt at a run: model, loaders, training, result."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from benchmark.atomic import file_sha256, write_file, write_json
from benchmark.config.compute_setup import Shares, Tuning, World, training_shares
from benchmark.config.datasets import DATASETS
from benchmark.config.places import Places
from benchmark.config.resolve import Config, load_profile
from benchmark.data import locate
from benchmark.data.decoding import loader_session
from benchmark.data.loader import Prepare, TestLoader, TrainLoader, normalise
from benchmark.data.mini.sets import is_generated
from benchmark.data.pair_sampler import partner_batches, require_other_classes
from benchmark.data.shared_memory import batch_bytes, fitting_workers
from benchmark.errors import RunError
from benchmark.records import estimate, lock, provenance
from benchmark.records.estimate import ComputeSetup, setup_record
from benchmark.records.forecasts import Machine
from benchmark.records.heartbeat import Heartbeat, StopRequest
from benchmark.records.logs import write_history
from benchmark.records.run_folder import RunFolder, write_result
from benchmark.training import checkpoint, device, leftovers
from benchmark.training.device import Compute
from benchmark.training.distributed import Alone
from benchmark.training.models import build_model
from benchmark.training.rendezvous import Meeting
from benchmark.training.result import make_result
from benchmark.training.tasks import TASKS, Dataset, Evaluation, evaluated
from benchmark.training.trackers import Trackers
from benchmark.training.trainer import Trainer, Watched
from dcal.model import DCAL

logger = logging.getLogger("benchmark")


@dataclass(frozen=True)
class Attempt:
    """One attempt at a run by this process. folder: of the run's records; meeting: with the other ranks."""

    config: Config
    folder: RunFolder
    places: Places
    infrastructure: Infrastructure
    stop: StopRequest
    meeting: Meeting


class Work:
    """The work of one attempt. held: the right to write into the run folder; it and the heartbeat are rank 0's."""

    def __init__(
        self,
        attempt: Attempt,
        dataset: Dataset,
        fingerprint: str,
        held: lock.RunLock | None = None,
        beating: Heartbeat | None = None,
    ) -> None:
        self.config, self.folder, self.places = attempt.config, attempt.folder, attempt.places
        self.infrastructure, self.stop, self.meeting = attempt.infrastructure, attempt.stop, attempt.meeting
        self.dataset, self.fingerprint, self.held, self.beating = dataset, fingerprint, held, beating
        self.world = self.meeting.world
        self.task = TASKS[self.config.cell.task]
        self.coverage, self.workers = _coverage(dataset), self.infrastructure.workers
        self.trackers = Trackers(self.folder, self.infrastructure.trackers if held else ())

    def to_the_end(self) -> dict | None:
        """Returns the result, on rank 0."""
        settings = self.config.settings
        started = self._provenance() if self.held else {}
        profile = load_profile(self.config.profile)
        chosen = device.choose(self.infrastructure.device, profile.name, profile.device)
        compute = device.prepare(chosen, settings.train.precision, self.infrastructure.threads, self.world)
        logger.info(
            "%s on %s%s, %s%s; %s %s", self.config.run_id, f"{self.world.size} × " if self.world.size > 1 else "",
            compute.name, compute.precision, f", {tuning}" if (tuning := str(self.infrastructure.tuning)) else "",
            self.dataset.root, self.coverage.text,
        )  # fmt: skip
        with self.meeting.group(compute.device) as peers:
            self._require_same(peers)
            return self._work(compute, peers, started)

    def _require_same(self, peers: Alone) -> None:
        """A folder of the same name may hold something else on another machine."""
        for rank, found in enumerate(peers.collect((self.config.hash, self.fingerprint))):
            if found != (self.config.hash, self.fingerprint):
                raise RunError(
                    f"rank {rank} has other data or settings than rank {peers.rank}: {self.dataset.root} and this "
                    "checkout must be the same on all machines of a run"
                )

    def _work(self, compute: Compute, peers: Alone, started: dict) -> dict | None:
        settings = self.config.settings
        torch.manual_seed(self.config.seed)
        weights = self.places.weights or "hub"
        model = build_model(self.config, len(self.dataset.classes), weights=weights).to(compute.device)
        logger.info("%s", model.pretrained)
        data, seed = settings.data, self.config.seed
        room_for = batch_bytes(self.config, self.world.size)
        self.workers = fitting_workers(self.infrastructure.workers, room_for, self.world.local_size)
        decoding = {"workers": self.workers, "stopping": lambda: self.stop.reason}
        sampler, labels = self.task.sampler(self.dataset, settings.train, seed), self.dataset.train.labels
        partners = partner_batches(self.config.pwca, labels, sampler, seed)
        require_other_classes(
            self.config, labels, sampler, self.world.size, self.infrastructure.tuning.accumulate
        )
        shares, sections = training_shares(self.config, self.world), Shares(self.world.rank, self.world.size)
        with (
            self.trackers,
            loader_session(
                TestLoader(self.dataset, data, settings.train.batch_size, shares=sections, **decoding)
            ) as tests,
            loader_session(
                TrainLoader(self.dataset, data, sampler, seed, partners=partners, shares=shares, **decoding)
            ) as batches,
        ):
            return self._train(model, batches, tests, compute, peers, started)

    def _provenance(self) -> dict[str, object]:
        started, submitted = provenance.collect(), self.infrastructure.submitted
        if changed := provenance.code_difference(submitted, started):
            logger.warning("other code than at submission: %s", changed)
        return {**started, "submitted": dict(submitted)} if submitted else started

    def _train(
        self,
        model: DCAL,
        batches: TrainLoader,
        tests: TestLoader,
        compute: Compute,
        peers: Alone,
        started: dict,
    ) -> dict | None:
        prepare = normalise(model, compute.device, self.config.settings.data.normalise)
        trainer = Trainer(
            self.config,
            model,
            batches,
            compute,
            task=self.task,
            peers=peers,
            prepare=prepare,
            evaluate=lambda watched: self._evaluated(model, tests, watched, prepare, compute, peers),
            save=self._save,
            record=self._record,
            stop=self.stop,
            checkpoint_seconds=self.infrastructure.checkpoint_seconds,
            show_progress=bool(self.held) and not self.infrastructure.quiet and sys.stderr.isatty(),
            log_interval=self.infrastructure.log_interval if self.held else 0,
            tuning=self.infrastructure.tuning,
        )
        state = None
        if self.held:
            self._write_start(started, compute)
            state = checkpoint.resume(self.folder, self.config.hash)
        state = peers.share(state)
        if state is not None:
            trainer.load_state(state)
            logger.info("going on from epoch %d, step %d", trainer.book.epoch + 1, trainer.book.step)
        trainer.book.attempts += 1
        self.trackers.start(trainer.book.history)
        if self.beating:
            self.beating.progress = trainer.progress
        forecast = self._forecast(compute) if self.held else None
        predictions = trainer.fit()
        memory = max(peers.collect(device.peak_memory_bytes(compute.device)))
        return self._finished(trainer, predictions, memory, started, forecast) if self.held else None

    def _forecast(self, compute: Compute) -> float | None:
        """Seconds that a forecast of this machine gives the run, if there is one."""
        return estimate.forecast_seconds(
            self.config,
            self.dataset,
            self.places.runs,
            Machine.of(compute.device.type, compute.name, compute.threads),
            workers=self.workers,
            ranks=self.world.size,
            tuning=str(self.infrastructure.tuning),
        )

    def _finished(
        self,
        trainer: Trainer,
        predictions: Evaluation,
        memory: int,
        started: dict,
        forecast: float | None,
    ) -> dict:
        write_file(
            self.folder.predictions,
            lambda stream: np.savez_compressed(stream, **predictions.arrays()),
            verify=self.folder.verify,
        )
        result = make_result(
            self.config,
            trainer,
            predictions,
            dataset=self.dataset,
            coverage=self.coverage,
            fingerprint=self.fingerprint,
            predictions_sha256=file_sha256(self.folder.predictions),
            peak_memory_bytes=memory,
            provenance={**started, "finished": provenance.now()},
            forecast_seconds=forecast,
        )
        # The result last: from then on nobody works here again, and a run without it finishes from a slim checkpoint.
        checkpoint.save_slim(self.folder, {**trainer.state(), "selections": trainer.selections})
        write_result(self.folder, result)
        leftovers.remove(self.folder, result)
        logger.info("done: %s", " ".join(f"{name} {value:.2f}" for name, value in result["metrics"].items()))
        return result

    def _write_start(self, started: dict, compute: Compute) -> None:
        way = ComputeSetup(compute.device.type, str(self.infrastructure.tuning))
        write_json(
            self.folder.config,
            {
                "run": self.config.run_id,
                "profile": self.config.profile,
                "hash": self.config.hash,
                "identity": dict(self.config.identity),
                "data_fingerprint": self.fingerprint,
                "data": self.coverage.text,
                "way": setup_record(self.folder, self.config.hash, way),
            },
            verify=self.folder.verify,
        )
        write_json(self.folder.provenance, started, verify=self.folder.verify)

    def _evaluated(
        self,
        model: DCAL,
        tests: TestLoader,
        watched: Watched,
        prepare: Prepare,
        compute: Compute,
        peers: Alone,
    ) -> Evaluation:
        def whole(rows: Tensor) -> Tensor:
            peers.meet()
            return peers.gather(rows, tests.counts)

        batches = watched(tests, tests.rounds)
        return evaluated(self.task, model, self.dataset, batches, prepare, compute, whole)

    def _record(self, history: list[dict]) -> None:
        if self.held:
            write_history(self.folder, history)
            self.trackers.show(history)

    def _save(self, state: dict) -> None:
        checkpoint.save(self.folder, state)


def _coverage(dataset: Dataset) -> locate.Coverage:
    if not is_generated(dataset.root):  # whatever the profile: generated pictures never pass for the real set
        return locate.coverage(dataset, DATASETS[dataset.key])
    return locate.generated_coverage(dataset)


# --- What a run may use, and how it computes ---


@dataclass(frozen=True)
class Infrastructure:
    """What does not change the numbers: device, processes, how often to save, who launched.

    owner: the launcher's name of this attempt, e.g. "SLURM job 12_3"; with one, a holder that is the attempt's own
        predecessor, or seems dead, is waited for.
    submitted: the code at submission, as provenance.code gives it, and when that was.
    world: this process among those that train the run together; none: it is alone.
    tuning: how a training step is computed.
    log_interval: steps between two lines in the log, besides the one an epoch; 0 for none.
    trackers: what shows the run's history elsewhere, by name.
    """

    device: str | None = None  # None: as the profile says
    threads: int = 1
    workers: int = 0
    checkpoint_seconds: float = 60.0
    quiet: bool = False
    parent: int = 0
    owner: str = ""
    submitted: Mapping[str, object] | None = None
    world: World | None = None
    tuning: Tuning = field(default_factory=Tuning)
    log_interval: int = 0
    trackers: tuple[str, ...] = ()
