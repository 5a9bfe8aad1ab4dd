"""The committed sweep of made-up run records (tests/sweep), as a folder of runs that the suite takes for its own.

    runs = mini_sweep.unpack(tmp_path / "runs")          # for --runs and merge.collect
    with mini_sweep.alive(runs): ...                     # while it lasts, the running ones run

The fixture ``sweep`` is both. Call without data and weights (no --data, no --weights): then the states of the seeds
``SEEDS`` are ``EXPECTED_STATES[profile]``. Profiles: ``paper`` (as if the paper's recipe had been run) and ``mini``.
Two of the runs' histories and records are damaged on purpose, cub/vit_base is of older records.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sweep.plan import PLANS, SEEDS

from benchmark.config.grid import all_cells
from benchmark.records import lock
from benchmark.timing.bench.commands import SAMPLE as SWEEP
from benchmark.timing.bench.commands import change, unpack

__all__ = ["EXPECTED_STATES", "PROFILES", "SEEDS", "SWEEP", "alive", "unpack"]

PROFILES = tuple(PLANS)
# What a run that nobody started says: the mini profile brings its data.
_UNSTARTED = {"paper": "no-data", "mini": "missing"}


def _expected(profile):
    planned = {planned.run: planned.state for planned in PLANS[profile]}
    return {
        run: planned.get(run, _UNSTARTED[profile])
        for cell in all_cells()
        for seed in SEEDS
        for run in [f"{cell.id}/seed{seed}"]
    }


EXPECTED_STATES = {profile: _expected(profile) for profile in PROFILES}


@contextmanager
def alive(runs: Path) -> Iterator[None]:
    """The running runs of an unpacked sweep are held by this process, with a heartbeat of now."""
    with ExitStack() as held:
        for profile in PROFILES:
            for planned in PLANS[profile]:
                if planned.state == "running":
                    folder = runs / profile / planned.run
                    change(folder / "heartbeat.json", time=time.time())
                    held.callback(lock.acquire(folder).release)
        yield
