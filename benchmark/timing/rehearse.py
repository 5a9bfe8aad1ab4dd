"""The measured process of one shape: a few training steps and evaluation batches, by the trainer that runs use.

Weights are random: what a step takes does not depend on their values.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from statistics import median

import torch

from benchmark.config.compute_setup import parse
from benchmark.config.grid import select
from benchmark.config.resolve import Config, load_profile, parse_overrides, resolve
from benchmark.data.loader import ImageBatch, Prepare, TestLoader, TrainLoader, normalise
from benchmark.data.pair_sampler import PartnerBatches
from benchmark.evaluation.classification import local_rows
from benchmark.records.heartbeat import RunInterrupt, StopRequest
from benchmark.timing import forecast_input
from benchmark.timing.measure import Meter
from benchmark.training import device
from benchmark.training.checkpoint import Checkpointer
from benchmark.training.device import Compute
from benchmark.training.distributed import SingleProcess
from benchmark.training.models import build_model
from benchmark.training.step_log import StepLog
from benchmark.training.tasks import TASKS, Evaluation
from benchmark.training.trainer import Trainer, TrainingData
from dcal.model import DCAL


def rehearse(
    meter: Meter,
    *,
    cell: str,
    profile: str,
    overrides: str,
    tuning: str,
    classes: int,
    device_type: str,
    threads: int,
) -> dict[str, object]:
    """A store.Pace as a dict. cell: an id; overrides, tuning: as SET and TUNE have them; classes: of the classifier."""
    _go_first()
    (selected_cell,) = select([cell])
    config = resolve(selected_cell, 0, load_profile(profile), parse_overrides(overrides))
    compute = device.prepare(device_type, config.settings.train.precision, threads)
    with tempfile.TemporaryDirectory(prefix="dcal forecast ") as folder:
        batches, test = _batches(config, Path(folder), classes)
        meter.start(device_type)  # from here on memory counts: weights, the optimizer's state, activations
        model = build_model(config, classes, weights="random").to(compute.device)
        prepare = normalise(model, compute.device, config.settings.data.normalise)
        step_seconds = _train(config, model, batches, compute, prepare, tuning)
        batch_seconds = _evaluate(config, model, test, Path(folder), classes, compute, prepare, step_seconds)
    return {
        "step_seconds": step_seconds,
        "batch_seconds": batch_seconds,
        "memory_bytes": meter.memory_bytes(),
        "width": model.backbone.width,
        "precision": compute.precision,
    }


def device_name(meter: Meter, *, device_type: str, threads: int) -> dict[str, object]:
    """What records call this machine's device. Raises RunError if torch cannot use it."""
    meter.start()
    return {"name": device.prepare(device_type, "auto", threads).name}


def _go_first() -> None:
    """Where memory runs out Linux ends this process, which is measured, and none of the user's."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _batches(config: Config, folder: Path, classes: int) -> tuple[list[ImageBatch], ImageBatch]:
    """Training batches as the loader brings them, with erased boxes and partners, and one of a test split."""
    settings, size = config.settings, config.settings.train.batch_size
    pictured_classes = classes if config.cell.task == "fgvc" else size // settings.train.instances
    pictures = forecast_input.sample_dataset(
        config.cell.dataset, folder, classes=pictured_classes, train=2 * size, test=size
    )
    sampler = TASKS[config.cell.task].sampler(pictures, settings.train, 0)
    # Of any class, whatever the pairing: it takes as long.
    brought = config.pwca is not None and config.pwca.brings_partners
    partners = PartnerBatches(len(pictures.train), sampler, 0) if brought else None
    with (
        closing(TrainLoader(pictures, settings.data, sampler, 0, partners=partners, workers=0)) as loader,
        closing(TestLoader(pictures, settings.data, size, workers=0)) as tests,
    ):
        return list(loader.epoch(0)), next(iter(tests))


class _Endless:
    """In the place of a run's loader: the same few batches in turns, each asked for when the step before has ended.

    Raises RunInterrupt once enough steps were timed.
    """

    def __init__(self, batches: list[ImageBatch], clock: Clock) -> None:
        self._batches, self._clock = batches, clock

    def length(self, epoch: int) -> int:
        """More than are ever taken."""
        return 1_000_000

    def epoch(self, epoch: int, start: int = 0) -> Iterator[ImageBatch]:
        for batch in itertools.cycle(self._batches):
            self._clock.step()
            if self._clock.enough:
                raise RunInterrupt("measured")
            yield batch


def _train(
    config: Config, model: DCAL, batches: list[ImageBatch], compute: Compute, prepare: Prepare, tuning: str
) -> float:
    """Seconds of a training step."""
    clock = Clock(compute.device)
    trainer = Trainer(
        config,
        model,
        TrainingData(_Endless(batches, clock), prepare),
        _NoEvaluator(),
        Checkpointer(None, math.inf),
        compute=compute,
        peers=SingleProcess(),
        stop=StopRequest(),
        step_log=StepLog(model.branch_names, every=0, bar=False),
        tuning=parse(tuning),
    )
    with contextlib.suppress(RunInterrupt):
        trainer.fit()
    return clock.seconds


class _NoEvaluator:
    """In the place of a run's evaluator: a rehearsal stops in its first epoch."""

    def evaluate(self, should_stop: Callable[[], bool], step_log: StepLog) -> Evaluation:
        raise AssertionError("a rehearsal stops in its first epoch")


def _evaluate(
    config: Config,
    model: DCAL,
    batch: ImageBatch,
    folder: Path,
    classes: int,
    compute: Compute,
    prepare: Prepare,
    step_seconds: float,
) -> float:
    """Seconds of an evaluation's batch, from the pictures to predictions or features."""
    clock = Clock(compute.device)
    count = clock.steps_for(step_seconds / 3)  # a forward pass alone
    pictures = forecast_input.sample_dataset(
        config.cell.dataset, folder, classes=classes, train=1, test=count * len(batch.images)
    )

    def repeated() -> Iterator[ImageBatch]:
        for _ in range(count):
            clock.step()
            yield batch

    with torch.autocast(compute.device.type, compute.amp, enabled=compute.amp is not None):
        TASKS[config.cell.task].evaluate(model, pictures, repeated(), prepare, local_rows)
    return clock.seconds


# --- When enough steps were timed, and how long one took ---

WARM_UP = {"cpu": 1, "cuda": 4}  # steps; the first ones make buffers, choose kernels, compile
SPAN = {
    "cpu": 1,
    "cuda": 4,
}  # steps between two looks at the clock: a GPU works while the next step is prepared
LEAST, MOST = 3, 20  # spans
SECONDS = 6.0  # of all spans, once there are LEAST


class Clock:
    """Asked at the beginning of every step. spans: seconds a step, of each span."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._warm_up, self._span = device, WARM_UP[device.type], SPAN[device.type]
        self._steps, self._last = 0, 0.0
        self.spans: list[float] = []

    def step(self) -> None:
        """A step begins, and the one before it has ended."""
        timed, self._steps = self._steps - self._warm_up, self._steps + 1
        if timed < 0 or timed % self._span:
            return
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        if timed:
            self.spans.append((now - self._last) / self._span)
        self._last = now

    @property
    def enough(self) -> bool:
        """Whether a median of the spans can be taken."""
        spans = len(self.spans)
        return spans >= MOST or (spans >= LEAST and sum(self.spans) * self._span >= SECONDS)

    @property
    def seconds(self) -> float:
        """Of one step, the median."""
        return median(self.spans)

    def steps_for(self, seconds: float) -> int:
        """How many steps make LEAST to MOST spans where one takes about so long, warm-up included."""
        spans = min(MOST, max(LEAST, int(SECONDS / 2 / (seconds * self._span))))
        return self._warm_up + spans * self._span + 1  # the last one only says when the one before it ended
