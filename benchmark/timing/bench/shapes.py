"""Pictures per second of every shape of Tables 1 and 2, on a GPU."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass

from benchmark.config.backbones import BACKBONES
from benchmark.config.grid import TABLES
from benchmark.timing.bench.results import Row
from benchmark.timing.bench.steps import SIDES, batch_of, recipe_of
from benchmark.timing.bench.training import PHASES
from benchmark.timing.measure import Meter, Result, measure
from benchmark.timing.turns import in_turns, waiting_for
from benchmark.training.device import prepare, usable_cores

REPEATS = 20
TABLES_MEASURED = ("table1", "table2")


@dataclass(frozen=True)
class Shape:
    """One cell of those that cost the same. batch: the recipe's."""

    title: str
    cell: str
    batch: int


def shapes() -> list[Shape]:
    """Distinct backbones, input sizes and recipes of the tables' DCAL cells; class counts are left aside."""
    found: dict[tuple, Shape] = {}
    for cell in (cell for table in TABLES_MEASURED for cell in TABLES[table].cells if cell.method == "dcal"):
        config = recipe_of(cell.id)
        height, width = config.settings.data.crop
        title = f"{BACKBONES[cell.backbone].title} {height}×{width}, batch {config.settings.train.batch_size}"
        key = (config.tag, cell.task, height, width)
        found.setdefault(key, Shape(title, cell.id, config.settings.train.batch_size))
    return list(found.values())


def run(device: str, measured: Iterable[Shape] | None = None) -> list[Row]:
    """Pictures per second in training and inference, the recipe's batch on one device: DCAL and plain timm."""
    rows = []
    for shape in shapes() if measured is None else measured:
        print(f"shapes: {shape.title}", file=sys.stderr)
        setting = {"cell": shape.cell, "batch": shape.batch, "device": device, "threads": usable_cores()}
        seconds = measure(work_of_shape, **setting, repeats=REPEATS).result
        for phase, words in PHASES.items():
            rates = [[shape.batch / one for one in seconds[f"{phase} {side}"]] for side in SIDES]
            rows.append(Row("shapes", shape.title, words, "pictures/s", *rates, "timm"))
    return rows


def work_of_shape(meter: Meter, cell: str, batch: int, device: str, threads: int, repeats: int) -> Result:
    """Seconds of every step and inference by "phase side", of one model after the other: both need not fit at once."""
    compute = prepare(device, "auto", threads)
    config = recipe_of(cell)
    pictures = batch_of(config, batch, compute)
    meter.start(device)
    seconds: Result = {}
    for name, side in SIDES.items():
        measured = side(config, pictures, compute)
        for phase in PHASES:
            measured.model.train(phase == "train")
            seconds |= in_turns({f"{phase} {name}": getattr(measured, phase)}, repeats, waiting_for(device))
    return seconds
