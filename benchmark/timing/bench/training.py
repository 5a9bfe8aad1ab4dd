"""A training step and an inference, time and memory: DCAL against the plain timm model of the same tag."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmark.config.backbones import BACKBONES
from benchmark.config.grid import TABLES
from benchmark.timing.bench.results import MB, BenchRow
from benchmark.timing.bench.steps import SIDES, fill_gradients, load_recipe, make_state, random_batch
from benchmark.timing.measure import Meter, Result, measure, measure_memory, time_in_turns, waiting_for
from benchmark.training.device import prepare, usable_cores

PHASES = {"train": "training step", "infer": "inference"}


@dataclass(frozen=True)
class TrainingBars:
    """The most that DCAL may cost, as multiples of the plain model's. None: no bar."""

    train: float | None = None
    train_memory: float | None = None
    infer: float | None = None


@dataclass(frozen=True)
class TrainingCase:
    """A DCAL cell of the grid, whose recipe gives everything else. bars hold for the CPU.

    By multiply-adds (tests/dcal/test_published_cost.py) a step of DeiT-Tiny at 448² is 2.27 times timm's, an inference
    1.13 times: DCAL computes the class token's row alone in the last block, timm's forward takes all tokens through it.
    With all tokens in both it would be 2.46 and 1.20.
    """

    title: str
    cell: str
    batch: int
    gpu_batch: int
    repeats: int
    bars: TrainingBars = TrainingBars()


CASES = (
    TrainingCase("DeiT-Tiny 448²", "cub/deit_tiny/dcal", 4, 16, 5, TrainingBars(2.6, 2.2, 1.35)),
    TrainingCase("ViT-Base 448²", "cub/vit_base/dcal", 2, 16, 3, TrainingBars(train=2.4)),
    TrainingCase("DeiT-Small 256×128", "market/deit_small/dcal", 16, 64, 5),
)
# On a GPU steps take milliseconds, and the aim is one for all.
GPU_REPEATS = 30
GPU_BARS = TrainingBars(train=2.5)


def run(device: str, cases: Iterable[TrainingCase] = CASES) -> list[BenchRow]:
    """Rows of every case. Times of the two come from one process, in turns; memory of each from a process of its own,
    above what it holds with model, optimizer and its state made: activations, gradients, what kernels need.
    """
    rows = []
    for case in cases:
        batch = case.gpu_batch if device == "cuda" else case.batch
        setting = {"cell": case.cell, "batch": batch, "device": device, "threads": usable_cores()}
        print(f"training: {case.title}, batch {batch}, times", file=sys.stderr)
        repeats = GPU_REPEATS if device == "cuda" else case.repeats
        seconds = measure(work_of_times, **setting, repeats=repeats).result
        print(f"training: {case.title}, batch {batch}, memory", file=sys.stderr)
        memory = {
            f"{phase} {side}": measure_memory(work_of_memory, **setting, side=side, phase=phase)
            for phase in PHASES
            for side in SIDES
        }
        bars = GPU_BARS if device == "cuda" else case.bars
        rows += result_rows(f"{case.title}, batch {batch}", bars, seconds, memory)
    return rows


def result_rows(title: str, bars: TrainingBars, seconds: Result, memory: dict[str, int]) -> list[BenchRow]:
    """Time and memory of both phases. seconds, memory (bytes): by "phase side"."""
    rows = []
    for phase, words in PHASES.items():
        ours, plain = f"{phase} ours", f"{phase} timm"
        time_bar = bars.train if phase == "train" else bars.infer
        rows.append(_row(title, words, "s", seconds[ours], seconds[plain], time_bar))
        rows.append(
            _row(
                title,
                f"{words}, memory growth",
                "MB",
                [memory[ours] / MB],
                [memory[plain] / MB],
                bars.train_memory if phase == "train" else None,
            )
        )
    return rows


def _row(
    title: str, quantity: str, unit: str, ours: Sequence[float], plain: Sequence[float], bar: float | None
) -> BenchRow:
    return BenchRow("training", title, quantity, unit, ours, plain, "timm", times=bar, cost=True)


def work_of_times(meter: Meter, cell: str, batch: int, device: str, threads: int, repeats: int) -> Result:
    """Seconds of every step and every inference, by "phase side"."""
    compute = prepare(device, "auto", threads)
    config = load_recipe(cell)
    pictures = random_batch(config, batch, compute)
    sides = {name: side(config, pictures, compute) for name, side in SIDES.items()}
    finish = waiting_for(device)
    meter.start(device)
    seconds = {}
    for phase in PHASES:
        for side in sides.values():
            side.model.train(phase == "train")
        works = {f"{phase} {name}": getattr(side, phase) for name, side in sides.items()}
        seconds |= time_in_turns(works, repeats, finish)
    return seconds


def work_of_memory(
    meter: Meter, cell: str, batch: int, device: str, threads: int, side: str, phase: str
) -> Result:
    """One step or inference of one side. A step finds the gradients of the one before, as all but the first do."""
    compute = prepare(device, "auto", threads)
    config = load_recipe(cell)
    measured = SIDES[side](config, random_batch(config, batch, compute), compute)
    make_state(measured.optimizer)
    measured.model.train(phase == "train")
    meter.start(device)
    if phase == "train":
        fill_gradients(measured.optimizer)
    getattr(measured, phase)()
    return {}


# --- Pictures per second of every shape of Tables 1 and 2, on a GPU ---

REPEATS = 20
TABLES_MEASURED = ("table1", "table2")


@dataclass(frozen=True)
class GridShape:
    """One cell of those that cost the same. batch: the recipe's."""

    title: str
    cell: str
    batch: int


def shapes() -> list[GridShape]:
    """Distinct backbones, input sizes and recipes of the tables' DCAL cells; class counts are left aside."""
    by_key: dict[tuple, GridShape] = {}
    for cell in (cell for table in TABLES_MEASURED for cell in TABLES[table].cells if cell.method == "dcal"):
        config = load_recipe(cell.id)
        height, width = config.settings.data.crop
        title = f"{BACKBONES[cell.backbone].title} {height}×{width}, batch {config.settings.train.batch_size}"
        key = (config.tag, cell.task, height, width)
        by_key.setdefault(key, GridShape(title, cell.id, config.settings.train.batch_size))
    return list(by_key.values())


def run_shapes(device: str, measured: Iterable[GridShape] | None = None) -> list[BenchRow]:
    """Pictures per second in training and inference, the recipe's batch on one device: DCAL and plain timm."""
    rows = []
    for shape in shapes() if measured is None else measured:
        print(f"shapes: {shape.title}", file=sys.stderr)
        setting = {"cell": shape.cell, "batch": shape.batch, "device": device, "threads": usable_cores()}
        seconds = measure(work_of_shape, **setting, repeats=REPEATS).result
        for phase, words in PHASES.items():
            rates = [
                [shape.batch / seconds_each for seconds_each in seconds[f"{phase} {side}"]] for side in SIDES
            ]
            rows.append(BenchRow("shapes", shape.title, words, "pictures/s", *rates, "timm"))
    return rows


def work_of_shape(meter: Meter, cell: str, batch: int, device: str, threads: int, repeats: int) -> Result:
    """Seconds of every step and inference by "phase side", of one model after the other: both need not fit at once."""
    compute = prepare(device, "auto", threads)
    config = load_recipe(cell)
    pictures = random_batch(config, batch, compute)
    meter.start(device)
    seconds: Result = {}
    for name, side in SIDES.items():
        measured = side(config, pictures, compute)
        for phase in PHASES:
            measured.model.train(phase == "train")
            seconds |= time_in_turns(
                {f"{phase} {name}": getattr(measured, phase)}, repeats, waiting_for(device)
            )
    return seconds
