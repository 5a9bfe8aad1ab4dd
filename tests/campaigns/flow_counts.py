"""Count the files of the suite that three flows enter, and the calls from one file into another.

    python -m tests.campaigns.flow_counts

The flows: one cell from a launch to its record, one training step of DCAL, and a record into a table. A launch runs its
cell in this process here, so that its calls are seen. The run trains one epoch of the mini profile: about a minute.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmark.__main__ import main as benchmark_main  # noqa: E402
from benchmark.commands import pool  # noqa: E402
from benchmark.training.request import RunRequest  # noqa: E402
from benchmark.training.trainer import Trainer  # noqa: E402
from tables.__main__ import main as tables_main  # noqa: E402

ROOMS = tuple(f"{ROOT}/{name}/" for name in ("benchmark", "dcal", "tables", "slurm", "reports"))
CELL = "cub/deit_tiny/dcal"


class Count:
    """Files entered while a function ran, and calls from one of them into another."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.switches = 0

    def call(self, function: Callable[..., object], *arguments: object) -> object:
        """Call a function and count."""
        before = sys.getprofile()
        sys.setprofile(self._event)
        try:
            return function(*arguments)
        finally:
            sys.setprofile(before)

    def _event(self, frame: FrameType, event: str, _: object) -> None:
        file = frame.f_code.co_filename
        if event != "call" or not file.startswith(ROOMS):
            return
        self.files.add(file)
        caller = frame.f_back
        while caller is not None and not caller.f_code.co_filename.startswith(ROOMS):
            caller = caller.f_back
        self.switches += caller is not None and caller.f_code.co_filename != file

    def __str__(self) -> str:
        return f"{len(self.files)} files, {self.switches} switches"


def run_here(views, command, slots, *, look, show):
    """Run each cell of a launch in this process."""
    for view in views:
        *words, text = command(view)[3:]
        request = RunRequest.from_json(text)
        request = replace(
            request, infrastructure=replace(request.infrastructure, parent=0)
        )  # it is its own launcher
        if benchmark_main([*words, request.to_json()]):
            sys.exit(f"{view.id} did not end")
    return pool.Summary(len(views), {}, {}, {}, False)


def main() -> None:
    """Print the counts of the three flows."""
    record, step, table = Count(), Count(), Count()
    take_step, steps = Trainer._step, 0

    def counted_step(trainer: Trainer, batch: object) -> None:
        nonlocal steps
        steps += 1
        if steps == 2:  # the first one makes what later ones find
            step.call(take_step, trainer, batch)
        else:
            take_step(trainer, batch)

    Trainer._step, pool.launch = counted_step, run_here
    with tempfile.TemporaryDirectory() as folder:
        places = ["--runs", f"{folder}/runs"]
        short = ["--set", "train.epochs=1"]
        record.call(benchmark_main, ["launch", *places, "--cells", CELL, *short])
        table.call(tables_main, ["table1", *places, *short, "--out", folder])
    print(f"launch to record: {record}\none training step: {step}\nrecord to table: {table}")


if __name__ == "__main__":
    main()
