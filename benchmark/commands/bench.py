"""`python -m benchmark.commands.bench`: measure, print one table, write a file (no torch: each benchmark brings it)."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.atomic import explained
from benchmark.commands.command_line import COMPLETE, INCOMPLETE, Parser, exit_status, status_of
from benchmark.errors import SuiteError
from benchmark.timing.bench import results
from benchmark.timing.bench.results import BenchRow, Disagreement, table


@dataclass(frozen=True)
class Benchmark:
    """A function of a module that returns rows.

    on: ``device``: it measures what --device names, and the function takes that; ``gpu``: the same, and it has no
    meaning on a CPU; ``host``: it is the same whatever the device.
    """

    module: str
    on: Literal["device", "gpu", "host"]
    function: str = "run"

    def run(self, device: str) -> list[BenchRow]:
        """Its rows. Raises Disagreement and SuiteError."""
        run = getattr(importlib.import_module(self.module), self.function)
        return run() if self.on == "host" else run(device)


BENCHMARKS: dict[str, Benchmark] = {
    "training": Benchmark("benchmark.timing.bench.training", "device"),
    "unfused": Benchmark("benchmark.timing.bench.unfused", "device"),
    "rollout": Benchmark("benchmark.timing.bench.rollout", "device"),
    "shapes": Benchmark("benchmark.timing.bench.training", "gpu", "run_shapes"),
    "input": Benchmark("benchmark.timing.bench.input", "host"),
    "ranking": Benchmark("benchmark.timing.bench.ranking", "host"),
    "starting": Benchmark("benchmark.timing.bench.commands", "host"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; returns the exit status."""
    parser = Parser(prog="python -m benchmark.commands.bench", description=__doc__)
    parser.add_argument(
        "--only",
        choices=sorted(BENCHMARKS),
        action="append",
        help="one benchmark; may be repeated; none: all that the device is for",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="default: %(default)s")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs/bench"),
        help="folder of bench.json, bench-cuda.json on a GPU (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    names = _names(options.only, options.device, parser)
    return status_of(lambda: _run(names, options.device, options.out))


def _run(names: Sequence[str], device: str, out: Path) -> int:
    """Status 1 where a benchmark fails or its results disagree. Bars do not count.

    A benchmark that fails costs its own rows alone: the file is written anew after each one that does not. Rows of
    earlier runs stay where machine, versions and code are the same. Raises SuiteError before anything is measured.
    """
    path = out / results.NAMES[device]
    with explained(path):  # before minutes are spent
        out.mkdir(parents=True, exist_ok=True)
    machine = results.machine(device)
    rows: list[BenchRow] = []
    failed: list[str] = []
    for number, name in enumerate(names, start=1):
        began = time.monotonic()
        try:
            measured = BENCHMARKS[name].run(device)
            if aside := results.add(path, machine, measured):
                print(
                    f"{path}: was of another machine or other code, or damaged; now {aside}", file=sys.stderr
                )
            rows += measured
        except Disagreement as error:
            print(f"{name}: the results disagree, so nothing of it is reported: {error}", file=sys.stderr)
            failed.append(name)
        except SuiteError as error:
            print(f"{name}: error: {error}", file=sys.stderr)
            failed.append(name)
        seconds = time.monotonic() - began
        print(f"{name}: over after {seconds:.0f} s ({number} of {len(names)} benchmarks)", file=sys.stderr)
    if rows:
        print(f"{results.heading(machine)}\n\n{table(rows)}\n\nmedians; {path} has every repeat")
    if not failed:
        return COMPLETE
    print(
        f"error: {len(failed)} of {len(names)} benchmarks have no result, why is said above: {', '.join(failed)}",
        file=sys.stderr,
    )
    return INCOMPLETE


def _names(only: Sequence[str] | None, device: str, parser: Parser) -> list[str]:
    """The benchmarks to run, in the table's order; for the GPU alone are left out unless they are asked for by name."""
    for name in only or ():
        if BENCHMARKS[name].on == "gpu" and device != "cuda":
            parser.error(f"{name} measures a GPU: add --device cuda, or leave it out")
    return [
        name
        for name, benchmark in BENCHMARKS.items()
        if (name in only if only else device == "cuda" or benchmark.on != "gpu")
    ]


if __name__ == "__main__":
    sys.exit(exit_status(main))
