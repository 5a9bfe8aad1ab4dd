"""One run from start to result. ``run_cell`` is the only function a launcher calls."""

from __future__ import annotations

import contextlib
import logging
import sys
import traceback
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch

from benchmark import checkpoint, claim, device, provenance
from benchmark.atomic import file_sha256, write_file, write_json
from benchmark.config import Config, load_profile, resolve
from benchmark.data import sources
from benchmark.data.lists import missing_files
from benchmark.data.loader import Prepare, TestLoader, TrainLoader, normalise
from benchmark.data.registry import DATASETS
from benchmark.device import Compute
from benchmark.errors import DataError, RunError, SuiteError
from benchmark.grid import Cell
from benchmark.logs import logged, write_history
from benchmark.mini.sets import is_generated, write
from benchmark.places import Places
from benchmark.records import RunFolder, folder_of, read_result, set_aside, write_result
from benchmark.result import make_result
from benchmark.status import stale_reason
from benchmark.stop import Heartbeat, Stopped, StopRequest
from benchmark.tasks import TASKS, Dataset, Evaluation
from benchmark.train import Trainer
from dcal.builder import build
from dcal.model import DCAL
from dcal.weights import WeightsError

logger = logging.getLogger("benchmark")


@dataclass(frozen=True)
class Infrastructure:
    """What does not change the numbers: device, processes, how often to save, who launched."""

    device: str | None = None  # None: as the profile says
    threads: int = 1
    workers: int = 0
    checkpoint_seconds: float = 60.0
    quiet: bool = False
    parent: int = 0


def run_cell(
    cell: Cell,
    seed: int,
    profile: str,
    places: Places,
    *,
    overrides: dict[str, object] | None = None,
    infrastructure: Infrastructure | None = None,
    stop: StopRequest | None = None,
) -> dict:
    """Train and evaluate one cell with one seed, or go on with it; returns its result.

    A finished run of the same settings is returned as it is. Raises SuiteError for everything that is the input's
    fault, and Stopped after a requested stop; both are recorded in the run folder.
    """
    config = resolve(cell, seed, load_profile(profile), overrides or {})
    infrastructure = infrastructure or Infrastructure()
    folder = folder_of(config, places.runs)
    folder.make()
    held = claim.acquire(folder.path)
    try:
        with logged(folder, quiet=infrastructure.quiet):
            return _run_held(config, folder, places, held, infrastructure, stop or StopRequest())
    finally:
        held.release()


def _run_held(
    config: Config,
    folder: RunFolder,
    places: Places,
    held: claim.Claim,
    infrastructure: Infrastructure,
    stop: StopRequest,
) -> dict:
    try:
        result, damage = read_result(folder)
        if damage:
            logger.warning("%s: it is set aside as %s", damage, set_aside(folder.result, "damaged").name)
        dataset = _load_data(config, places)
        fingerprint = sources.fingerprint(dataset.root, dataset.key)
        _refuse_stale(config, folder, result, fingerprint)
        if result is not None:
            logger.info("%s is done already", config.run_id)
            return result
        folder.outcome.unlink(missing_ok=True)
        for left_by_a_killed_one in folder.path.glob(".*.tmp"):
            left_by_a_killed_one.unlink()
        work = _Work(config, folder, dataset, fingerprint, held, infrastructure, stop)
        return work.to_the_end(places)
    except Stopped as error:
        _record_outcome(folder, "preempted", str(error))
        raise
    except (SuiteError, WeightsError) as error:
        logger.error("%s", error)
        _record_outcome(folder, "failed", str(error))
        raise error if isinstance(error, SuiteError) else RunError(str(error)) from error
    except BaseException as error:
        logger.error("%s", traceback.format_exc())
        _record_outcome(folder, "failed", f"{type(error).__name__}: {error}")
        raise


class _Work:
    """One attempt at a run that holds its folder."""

    def __init__(
        self,
        config: Config,
        folder: RunFolder,
        dataset: Dataset,
        fingerprint: str,
        held: claim.Claim,
        infrastructure: Infrastructure,
        stop: StopRequest,
    ) -> None:
        self.config, self.folder, self.dataset, self.fingerprint = config, folder, dataset, fingerprint
        self.held, self.infrastructure, self.stop = held, infrastructure, stop
        self.task = TASKS[config.cell.task]
        self.coverage = _coverage(dataset)

    def to_the_end(self, places: Places) -> dict:
        settings = self.config.settings
        started = provenance.collect()
        profile = load_profile(self.config.profile)
        chosen = device.choose(self.infrastructure.device, profile.name, profile.device)
        compute = device.prepare(chosen, settings.train.precision, self.infrastructure.threads)
        logger.info(
            "%s on %s, %s; %s %s", self.config.run_id, compute.name, compute.precision, self.dataset.root,
            self.coverage.text,
        )  # fmt: skip
        torch.manual_seed(self.config.seed)
        model = self._build(places, profile.backbones).to(compute.device)
        logger.info("%s", model.pretrained)
        data, seed, workers = settings.data, self.config.seed, self.infrastructure.workers
        paired = self.config.cell.method == "dcal" and settings.model.pwca_pairing == "loader"
        sampler = self.task.sampler(self.dataset, settings.train, seed)
        with (
            closing(TestLoader(self.dataset, data, settings.train.batch_size, workers=workers)) as tests,
            closing(
                TrainLoader(self.dataset, data, sampler, seed, paired=paired, workers=workers)
            ) as batches,
        ):
            return self._train(model, batches, tests, compute, started)

    def _train(
        self, model: DCAL, batches: TrainLoader, tests: TestLoader, compute: Compute, started: dict
    ) -> dict:
        prepare = normalise(model, compute.device, self.config.settings.data.normalise)
        trainer = Trainer(
            self.config,
            model,
            batches,
            compute,
            task=self.task,
            prepare=prepare,
            evaluate=lambda: self._evaluated(model, tests, prepare, compute),
            save=self._save,
            record=lambda history: write_history(self.folder, history),
            stop=self.stop,
            checkpoint_seconds=self.infrastructure.checkpoint_seconds,
            show_progress=not self.infrastructure.quiet and sys.stderr.isatty(),
        )
        self._write_start(started)
        state = checkpoint.newest(self.folder, self.config.hash)
        if state is not None:
            trainer.load_state(state)
            logger.info("going on from epoch %d, step %d", trainer.book.epoch + 1, trainer.book.step)
        trainer.book.attempts += 1
        with Heartbeat(self.folder, self.stop, trainer.progress, self.infrastructure.parent):
            predictions = trainer.fit()
        write_file(
            self.folder.predictions, lambda stream: np.savez_compressed(stream, **predictions.arrays())
        )
        result = make_result(
            self.config,
            trainer,
            predictions,
            dataset=self.dataset,
            coverage=self.coverage,
            fingerprint=self.fingerprint,
            predictions_sha256=file_sha256(self.folder.predictions),
            provenance={**started, "finished": provenance.now()},
        )
        self.held.verify()
        write_result(self.folder, result)
        checkpoint.slim(self.folder, trainer.state())
        logger.info("done: %s", " ".join(f"{name} {value:.2f}" for name, value in result["metrics"].items()))
        return result

    def _build(self, places: Places, backbones: str) -> DCAL:
        if backbones == "mini":
            import benchmark.mini.backbones  # noqa: F401 - registers them with timm
        settings, dcal = self.config.settings, self.config.cell.method == "dcal"
        return build(
            self.config.tag,
            len(self.dataset.classes),
            image_size=settings.data.crop,
            head=self.task.head,
            weights=places.weights or "hub",
            drop_path=settings.model.drop_path,
            glca=settings.model.glca() if dcal else None,
            pwca=settings.model.pwca() if dcal else None,
        )

    def _write_start(self, started: dict) -> None:
        write_json(
            self.folder.config,
            {
                "run": self.config.run_id,
                "profile": self.config.profile,
                "hash": self.config.hash,
                "identity": dict(self.config.identity),
                "data_fingerprint": self.fingerprint,
                "data": self.coverage.text,
            },
        )
        write_json(self.folder.provenance, started)

    def _evaluated(self, model: DCAL, tests: TestLoader, prepare: Prepare, compute: Compute) -> Evaluation:
        with torch.autocast(compute.device.type, compute.amp, enabled=compute.amp is not None):
            return self.task.evaluate(model, self.dataset, tests, prepare)

    def _save(self, state: dict) -> None:
        self.held.verify()
        checkpoint.save(self.folder, state)


def _coverage(dataset: Dataset) -> sources.Coverage:
    if not is_generated(dataset.root):  # whatever the profile: generated pictures never pass for the real set
        return sources.coverage(dataset, DATASETS[dataset.key])
    return sources.generated(dataset)


def _load_data(config: Config, places: Places) -> Dataset:
    if places.generated:
        write(places.data, (config.cell.dataset,))
    key, data = config.cell.dataset, config.settings.data
    if config.cell.task == "reid":
        dataset = sources.load_reid(
            key, places.data, merge_val=data.merge_val, skip_unparsable=data.skip_unparsable
        )
    else:
        dataset = sources.load(key, places.data, data.class_limit)
    missing = missing_files(dataset.root, dataset.pictures, limit=5)
    if missing:
        raise DataError(
            f"{dataset.root}: pictures named in the lists are missing, first of all {', '.join(missing)}. "
            "`make check-data` lists them; fetch the dataset again"
        )
    return dataset


def _refuse_stale(config: Config, folder: RunFolder, result: dict | None, fingerprint: str) -> None:
    """A record of other settings or data is neither used nor overwritten."""
    why = stale_reason(config, folder, result, fingerprint)
    if why:
        raise RunError(
            f"{folder.path} holds a run {why}. It is kept: RERUN=stale sets it aside and runs the cell anew; "
            "another RUNS folder leaves it where it is"
        )


def _record_outcome(folder: RunFolder, state: str, message: str) -> None:
    with contextlib.suppress(SuiteError):  # the disk may be full; the error itself still reaches the launcher
        write_json(folder.outcome, {"state": state, "message": message, "time": provenance.now()})
