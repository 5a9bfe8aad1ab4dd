"""One run from start to result. ``run_cell`` is the only function a launcher calls."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmark import checkpoint, claim, device, provenance
from benchmark.atomic import file_sha256, remove_leftovers, write_file, write_json
from benchmark.config import Config, load_profile, resolve
from benchmark.data import sources
from benchmark.data.lists import missing_files
from benchmark.data.loader import Prepare, TestLoader, TrainLoader, normalise
from benchmark.data.registry import DATASETS
from benchmark.device import Compute
from benchmark.distributed import Alone
from benchmark.errors import DataError, RunError
from benchmark.grid import Cell
from benchmark.logs import logged, write_history
from benchmark.mini.sets import is_generated, write
from benchmark.outcome import recorded
from benchmark.places import Places
from benchmark.records import RunFolder, folder_of, read_result, set_aside, write_result
from benchmark.rendezvous import Meeting, Over
from benchmark.result import make_result
from benchmark.status import stale_reason
from benchmark.stop import Heartbeat, Stopped, StopRequest
from benchmark.tasks import TASKS, Dataset, Evaluation
from benchmark.train import Trainer, Watched
from benchmark.world import Shares, World, require_divisible, training_shares
from dcal.builder import build
from dcal.model import DCAL

logger = logging.getLogger("benchmark")


@dataclass(frozen=True)
class Infrastructure:
    """What does not change the numbers: device, processes, how often to save, who launched.

    owner: the launcher's name of this attempt, e.g. "SLURM job 12_3"; with one, a holder that is the attempt's own
        predecessor, or seems dead, is waited for.
    submitted: the code at submission, as provenance.code gives it, and when that was.
    world: this process among those that train the run together; none: it is alone.
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


def run_cell(
    cell: Cell,
    seed: int,
    profile: str,
    places: Places,
    *,
    overrides: dict[str, object] | None = None,
    infrastructure: Infrastructure | None = None,
    stop: StopRequest | None = None,
) -> dict | None:
    """Train and evaluate one cell with one seed, or go on with it; returns its result.

    A finished run of the same settings is returned as it is. Raises SuiteError for everything that is the input's
    fault, and Stopped after a requested stop; both are recorded in the run folder.

    Of several ranks all call this. Rank 0 holds the run, writes everything and returns the result; the others return
    None, also where rank 0 found nothing to do or failed before they joined it. Once joined, all raise if one does.
    """
    config = resolve(cell, seed, load_profile(profile), overrides or {})
    infrastructure = infrastructure or Infrastructure()
    world = infrastructure.world or World()
    require_divisible(config, world.size)
    folder = folder_of(config, places.runs)
    stop = stop or StopRequest()
    folder.make()
    with Meeting(folder, world, stop) as meeting:
        attempt = _Attempt(config, folder, places, infrastructure, stop, meeting)
        if world.rank:
            return _follow(attempt)
        held = _claimed(folder, infrastructure.owner, stop)
        try:
            with (
                logged(folder, quiet=infrastructure.quiet),
                Heartbeat(folder, stop, parent=infrastructure.parent) as beating,
            ):
                return _lead(attempt, held, beating)
        finally:
            held.release()


def _claimed(folder: RunFolder, owner: str, stop: StopRequest) -> claim.Claim:
    if not owner:
        return claim.acquire(folder.path)
    try:
        return claim.acquire_after(folder.path, owner, lambda: stop.reason)
    except claim.Busy as error:
        if stop.reason:  # a cluster's notice while it waited: it may wait again
            raise Stopped(f"{stop.reason} while it waited for the run: {error}") from None
        raise


@dataclass(frozen=True)
class _Attempt:
    """One attempt at a run by this process. folder: of the run's records; meeting: with the other ranks."""

    config: Config
    folder: RunFolder
    places: Places
    infrastructure: Infrastructure
    stop: StopRequest
    meeting: Meeting


def _follow(attempt: _Attempt) -> None:
    """What a rank other than 0 does: its part of the work, and no files."""
    logger.setLevel(logging.ERROR)  # what every rank would say, rank 0 says
    with (
        contextlib.suppress(Over),
        recorded(attempt.folder, attempt.infrastructure.owner, attempt.meeting),
    ):
        attempt.meeting.connect()  # first of all: from here on rank 0 hears of an error
        dataset = _load_data(attempt.config, attempt.places)
        fingerprint = sources.fingerprint(dataset.root, dataset.key)
        _Work(attempt, dataset, fingerprint).to_the_end()


def _lead(attempt: _Attempt, held: claim.Claim, beating: Heartbeat) -> dict:
    """What rank 0, or the only one, does."""
    config, folder = attempt.config, attempt.folder
    with recorded(folder, attempt.infrastructure.owner, attempt.meeting):
        result, damage = read_result(folder)
        if damage:
            logger.warning("%s: it is set aside as %s", damage, set_aside(folder.result, "damaged").name)
        dataset = _load_data(config, attempt.places)
        fingerprint = sources.fingerprint(dataset.root, dataset.key)
        _refuse_stale(config, folder, result, fingerprint)
        if result is not None:
            logger.info("%s is done already", config.run_id)
            return result
        folder.outcome.unlink(missing_ok=True)
        remove_leftovers(folder.path)
        attempt.meeting.connect()
        return _Work(attempt, dataset, fingerprint, held, beating).to_the_end()


class _Work:
    """The work of one attempt. held: the right to write into the run folder; it and the heartbeat are rank 0's."""

    def __init__(
        self,
        attempt: _Attempt,
        dataset: Dataset,
        fingerprint: str,
        held: claim.Claim | None = None,
        beating: Heartbeat | None = None,
    ) -> None:
        self.config, self.folder, self.places = attempt.config, attempt.folder, attempt.places
        self.infrastructure, self.stop, self.meeting = attempt.infrastructure, attempt.stop, attempt.meeting
        self.dataset, self.fingerprint, self.held, self.beating = dataset, fingerprint, held, beating
        self.world = self.meeting.world
        self.task = TASKS[self.config.cell.task]
        self.coverage = _coverage(dataset)

    def to_the_end(self) -> dict | None:
        """Returns the result, on rank 0."""
        settings = self.config.settings
        started = self._provenance() if self.held else {}
        profile = load_profile(self.config.profile)
        chosen = device.choose(self.infrastructure.device, profile.name, profile.device)
        compute = device.prepare(chosen, settings.train.precision, self.infrastructure.threads, self.world)
        logger.info(
            "%s on %s%s, %s; %s %s", self.config.run_id, f"{self.world.size} × " if self.world.size > 1 else "",
            compute.name, compute.precision, self.dataset.root, self.coverage.text,
        )  # fmt: skip
        with self.meeting.group(compute.device) as peers:
            self._require_same(peers)
            return self._work(profile.backbones, compute, peers, started)

    def _require_same(self, peers: Alone) -> None:
        """A folder of the same name may hold something else on another machine."""
        for rank, found in enumerate(peers.collect((self.config.hash, self.fingerprint))):
            if found != (self.config.hash, self.fingerprint):
                raise RunError(
                    f"rank {rank} has other data or settings than rank {peers.rank}: {self.dataset.root} and this "
                    "checkout must be the same on all machines of a run"
                )

    def _work(self, backbones: str, compute: Compute, peers: Alone, started: dict) -> dict | None:
        settings = self.config.settings
        torch.manual_seed(self.config.seed)
        model = self._build(backbones).to(compute.device)
        logger.info("%s", model.pretrained)
        data, seed, workers = settings.data, self.config.seed, self.infrastructure.workers
        paired = self.config.cell.method == "dcal" and settings.model.pwca_pairing == "loader"
        sampler = self.task.sampler(self.dataset, settings.train, seed)
        shares, sections = training_shares(self.config, self.world), Shares(self.world.rank, self.world.size)
        with (
            closing(
                TestLoader(self.dataset, data, settings.train.batch_size, workers=workers, shares=sections)
            ) as tests,
            closing(
                TrainLoader(self.dataset, data, sampler, seed, paired=paired, workers=workers, shares=shares)
            ) as batches,
        ):
            return self._train(model, batches, tests, compute, peers, started)

    def _provenance(self) -> dict[str, object]:
        started, submitted = provenance.collect(), self.infrastructure.submitted
        if changed := provenance.difference(submitted, started):
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
            record=lambda history: write_history(self.folder, history) if self.held else None,
            stop=self.stop,
            checkpoint_seconds=self.infrastructure.checkpoint_seconds,
            show_progress=bool(self.held) and not self.infrastructure.quiet and sys.stderr.isatty(),
        )
        state = None
        if self.held:
            self._write_start(started)
            state = checkpoint.newest(self.folder, self.config.hash)
        state = peers.share(state)
        if state is not None:
            trainer.load_state(state)
            logger.info("going on from epoch %d, step %d", trainer.book.epoch + 1, trainer.book.step)
        trainer.book.attempts += 1
        if self.beating:
            self.beating.progress = trainer.progress
        predictions = trainer.fit()
        memory = max(peers.collect(device.peak_memory_bytes(compute.device)))
        return self._finished(trainer, predictions, memory, started) if self.held else None

    def _finished(self, trainer: Trainer, predictions: Evaluation, memory: int, started: dict) -> dict:
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
            peak_memory_bytes=memory,
            provenance={**started, "finished": provenance.now()},
        )
        self.held.verify()
        write_result(self.folder, result)
        checkpoint.slim(self.folder, trainer.state())
        logger.info("done: %s", " ".join(f"{name} {value:.2f}" for name, value in result["metrics"].items()))
        return result

    def _build(self, backbones: str) -> DCAL:
        if backbones == "mini":
            import benchmark.mini.backbones  # noqa: F401 - registers them with timm
        settings, dcal = self.config.settings, self.config.cell.method == "dcal"
        return build(
            self.config.tag,
            len(self.dataset.classes),
            image_size=settings.data.crop,
            head=self.task.head,
            weights=self.places.weights or "hub",
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

        with torch.autocast(compute.device.type, compute.amp, enabled=compute.amp is not None):
            batches = watched(tests, tests.rounds)
            return self.task.evaluate(model, self.dataset, batches, prepare, whole)

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
    dataset = sources.load_for(config.cell.dataset, places.data, config.settings.data)
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
