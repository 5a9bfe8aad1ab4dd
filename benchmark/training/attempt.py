"""The work of one attempt at a run: model, loaders, training, result."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass

import numpy as np
import torch

from benchmark.atomic import file_sha256, write_file, write_json
from benchmark.config.compute_setup import Shares, training_shares
from benchmark.config.datasets import DATASETS
from benchmark.config.places import Places
from benchmark.config.resolve import Config, load_profile
from benchmark.data import locate
from benchmark.data.decoding import loader_session
from benchmark.data.loader import TestLoader, TrainLoader, normalise
from benchmark.data.mini.sets import is_generated
from benchmark.data.pair_sampler import partner_batches, require_other_classes
from benchmark.data.shared_memory import batch_bytes, fitting_workers
from benchmark.errors import RunError
from benchmark.records import estimate, provenance
from benchmark.records.estimate import ComputeSetup, setup_record
from benchmark.records.forecasts import Machine
from benchmark.records.heartbeat import Heartbeat, StopRequest
from benchmark.records.run_folder import RunFolder, write_result
from benchmark.training import checkpoint, device, leftovers
from benchmark.training.checkpoint import Checkpointer
from benchmark.training.distributed import SingleProcess
from benchmark.training.evaluator import Evaluator
from benchmark.training.models import build_model
from benchmark.training.rendezvous import Meeting
from benchmark.training.request import Infrastructure
from benchmark.training.result import make_result
from benchmark.training.step_log import StepLog
from benchmark.training.tasks import TASKS, Dataset, Evaluation
from benchmark.training.trackers import Trackers
from benchmark.training.trainer import Trainer, TrainingData

logger = logging.getLogger("benchmark")


@dataclass
class RunAttempt:
    """One attempt at a run, by one of its processes.

    folder: of the run's records; rank 0 alone writes into it.
    meeting: with the other ranks.
    heartbeat: rank 0's, None on the other ranks.
    """

    config: Config
    folder: RunFolder
    places: Places
    infrastructure: Infrastructure
    stop: StopRequest
    meeting: Meeting
    heartbeat: Heartbeat | None = None

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, which writes the records."""
        return self.heartbeat is not None

    def run(self, dataset: Dataset, fingerprint: str) -> dict | None:
        """Train from the newest checkpoint, or the pretrained weights, to the result, which rank 0 returns."""
        infrastructure, world = self.infrastructure, self.meeting.world
        self.dataset, self.fingerprint, self.coverage = dataset, fingerprint, _coverage(dataset)
        self.provenance = self._provenance() if self.is_main else {}
        profile = load_profile(self.config.profile)
        device_type = device.choose(infrastructure.device, profile.name, profile.device)
        self.compute = device.prepare(
            device_type, self.config.settings.train.precision, infrastructure.threads, world
        )
        logger.info(
            "%s on %s%s, %s%s; %s %s", self.config.run_id, f"{world.size} × " if world.size > 1 else "",
            self.compute.name, self.compute.precision, f", {tuning}" if (tuning := str(infrastructure.tuning)) else "",
            dataset.root, self.coverage.text,
        )  # fmt: skip
        with self.meeting.group(self.compute.device) as peers:
            self._require_same(peers)
            return self._load_and_train(peers)

    def _require_same(self, peers: SingleProcess) -> None:
        """A folder of the same name may hold something else on another machine."""
        own_digests = (self.config.hash, self.fingerprint)
        for rank, digests in enumerate(peers.collect(own_digests)):
            if digests != own_digests:
                raise RunError(
                    f"rank {rank} has other data or settings than rank {peers.rank}: {self.dataset.root} and this "
                    "checkout must be the same on all machines of a run"
                )

    def _load_and_train(self, peers: SingleProcess) -> dict | None:
        config, dataset, world = self.config, self.dataset, self.meeting.world
        data, train, seed = config.settings.data, config.settings.train, config.seed
        torch.manual_seed(seed)
        model = build_model(config, len(dataset.classes), weights=self.places.weights or "hub")
        model.to(self.compute.device)
        logger.info("%s", model.pretrained)
        task, labels = TASKS[config.cell.task], dataset.train.labels
        sampler = task.sampler(dataset, train, seed)
        partners = partner_batches(config.pwca, labels, sampler, seed)
        require_other_classes(config, labels, sampler, world.size, self.infrastructure.tuning.accumulate)
        batch_size = batch_bytes(config, world.size)
        self.workers = fitting_workers(self.infrastructure.workers, batch_size, world.local_size)
        decoding = {"workers": self.workers, "stopping": lambda: self.stop.reason}
        test_shares = Shares(world.rank, world.size)
        with (
            Trackers(self.folder, self.infrastructure.trackers if self.is_main else ()) as trackers,
            loader_session(
                TestLoader(dataset, data, train.batch_size, shares=test_shares, **decoding)
            ) as tests,
            loader_session(
                TrainLoader(
                    dataset,
                    data,
                    sampler,
                    seed,
                    partners=partners,
                    shares=training_shares(config, world),
                    **decoding,
                )
            ) as batches,
        ):
            prepare = normalise(model, self.compute.device, data.normalise)
            trainer = Trainer(
                config,
                model,
                TrainingData(batches, prepare),
                Evaluator(task, model, dataset, tests, prepare, self.compute, peers),
                Checkpointer(
                    self.folder if self.is_main else None, self.infrastructure.checkpoint_seconds, trackers
                ),
                compute=self.compute,
                peers=peers,
                stop=self.stop,
                step_log=StepLog(
                    model.branch_names,
                    every=self.infrastructure.log_interval if self.is_main else 0,
                    bar=self.is_main and not self.infrastructure.quiet and sys.stderr.isatty(),
                ),
                tuning=self.infrastructure.tuning,
            )
            return self._train(trainer, peers, trackers)

    def _train(self, trainer: Trainer, peers: SingleProcess, trackers: Trackers) -> dict | None:
        state = None
        if self.is_main:
            self._write_start()
            state = checkpoint.resume(self.folder, self.config.hash)
        state = peers.share(state)
        if state is not None:
            trainer.load_state(state)
            logger.info("going on from epoch %d, step %d", trainer.progress.epoch + 1, trainer.progress.step)
        trainer.progress.attempts += 1
        trackers.start(trainer.progress.history)
        if self.heartbeat:
            self.heartbeat.progress = trainer.heartbeat_entry
        forecast = self._forecast() if self.is_main else None
        predictions = trainer.fit()
        memory = max(peers.collect(device.peak_memory_bytes(self.compute.device)))
        return self._finish(trainer, predictions, memory, forecast) if self.is_main else None

    def _forecast(self) -> float | None:
        """Seconds that a forecast of this machine gives the run, if there is one."""
        compute = self.compute
        return estimate.forecast_seconds(
            self.config,
            self.dataset,
            self.places.runs,
            Machine.of(compute.device.type, compute.name, compute.threads),
            workers=self.workers,
            ranks=self.meeting.world.size,
            tuning=str(self.infrastructure.tuning),
        )

    def _finish(self, trainer: Trainer, predictions: Evaluation, memory: int, forecast: float | None) -> dict:
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
            provenance={**self.provenance, "finished": provenance.now()},
            forecast_seconds=forecast,
        )
        # The result last: from then on nobody works here again, and a run without it finishes from a slim checkpoint.
        checkpoint.save_slim(self.folder, {**trainer.state(), "selections": trainer.selections})
        write_result(self.folder, result)
        leftovers.remove(self.folder, result)
        logger.info("done: %s", " ".join(f"{name} {value:.2f}" for name, value in result["metrics"].items()))
        return result

    def _provenance(self) -> dict[str, object]:
        started, submitted = provenance.collect(), self.infrastructure.submitted
        if changed := provenance.code_difference(submitted, started):
            logger.warning("other code than at submission: %s", changed)
        return {**started, "submitted": dict(submitted)} if submitted else started

    def _write_start(self) -> None:
        way = ComputeSetup(self.compute.device.type, str(self.infrastructure.tuning))
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
        write_json(self.folder.provenance, self.provenance, verify=self.folder.verify)


def _coverage(dataset: Dataset) -> locate.Coverage:
    if not is_generated(dataset.root):  # whatever the profile: generated pictures never pass for the real set
        return locate.coverage(dataset, DATASETS[dataset.key])
    return locate.generated_coverage(dataset)
