"""Our training step with TUNE="compile=true" against the same step without."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass

from benchmark.bench.measure import Meter, Result, measure
from benchmark.bench.rows import Row
from benchmark.bench.steps import Ours, batch_of, recipe_of
from benchmark.bench.turns import in_turns, waiting_for
from benchmark.device import prepare
from benchmark.pool import usable_cores
from benchmark.tuned import tune
from benchmark.tuning import Tuning


@dataclass(frozen=True)
class Case:
    """A cell and the batch of its step."""

    title: str
    cell: str
    batch: int
    repeats: int = 20


CASES = (
    Case("DeiT-Tiny 448²", "cub/deit_tiny/dcal", 16),
    Case("ViT-Base 448²", "cub/vit_base/dcal", 16),
)


def run(device: str, cases: Iterable[Case] = CASES) -> list[Row]:
    """Time of a step, both in one process and in turns; the time that compiling takes is a row of its own."""
    rows = []
    for case in cases:
        title = f"{case.title}, batch {case.batch}"
        print(f"compile: {title}", file=sys.stderr)
        found = measure(
            work_of_times,
            cell=case.cell,
            batch=case.batch,
            device=device,
            threads=usable_cores(),
            repeats=case.repeats,
        )
        seconds = found.result
        compiling = [found.seconds["compiling"]]
        rows += [
            Row(
                "compile", title, "training step", "s", seconds["compiled"], seconds["eager"], "not compiled"
            ),
            Row("compile", title, "first step, compiling included", "s", compiling),
        ]
    return rows


def work_of_times(meter: Meter, cell: str, batch: int, device: str, threads: int, repeats: int) -> Result:
    """Seconds of every step, compiled and eager."""
    compute = prepare(device, "auto", threads)
    config = recipe_of(cell)
    pictures = batch_of(config, batch, compute)
    compiled, eager = (Ours(config, pictures, compute) for _ in range(2))
    tune(compiled.model, Tuning(compile=True))
    for one in (compiled, eager):
        one.model.train()
    finish = waiting_for(device)
    meter.start(device)
    with meter.span("compiling"):
        compiled.train()
        finish()
    return in_turns({"compiled": compiled.train, "eager": eager.train}, repeats, finish)
