"""The committed sweep of made-up run records (tests/sweep), as a folder of runs that the suite takes for its own.

    runs = mini_sweep.unpack(tmp_path / "runs")          # for --runs and merge.collect
    with mini_sweep.alive(runs): ...                     # while it lasts, the running ones run

The fixture ``sweep`` is both. Call without data and weights (no --data, no --weights): then the states of the seeds
``SEEDS`` are ``EXPECTED_STATES[profile]``. Profiles: ``paper`` (as if the paper's recipe had been run) and ``mini``.
Two of the runs' histories and records are damaged on purpose, cub/vit_base is of older records.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sweep.plan import PLANS, SEEDS

from benchmark import claim
from benchmark.atomic import file_sha256
from benchmark.config import load_profile, resolve
from benchmark.grid import all_cells, select

SWEEP = Path(__file__).parent / "sweep"
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


def unpack(into: Path) -> Path:
    """Copy the sweep to ``into``, a folder of runs, and stamp what depends on today's recipes; returns ``into``."""
    for profile in PROFILES:
        shutil.copytree(SWEEP / profile, into / profile)
        loaded = load_profile(profile)
        for planned in PLANS[profile]:
            cell_id, _, seed = planned.run.rpartition("/")
            asked = resolve(select([cell_id])[0], int(seed.removeprefix("seed")), loaded, {})
            _stamp(into / profile / planned.run, asked)
    return into


@contextmanager
def alive(runs: Path) -> Iterator[None]:
    """The running runs of an unpacked sweep are held by this process, with a heartbeat of now."""
    with ExitStack() as held:
        for profile in PROFILES:
            for planned in PLANS[profile]:
                if planned.state == "running":
                    folder = runs / profile / planned.run
                    _change(folder / "heartbeat.json", time=time.time())
                    held.callback(claim.acquire(folder).release)
        yield


def _stamp(folder, asked):
    """Settings are today's, but for those that the record itself names as different; digests are the files'."""
    settings_hash = asked.hash
    if (started := _read(folder / "config.json")) is not None:
        identity = dict(asked.identity)
        identity["settings"] = identity["settings"] | started["identity"].get("settings", {})
        if identity != asked.identity:
            settings_hash = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
        _change(folder / "config.json", hash=settings_hash, identity=identity)
    if _read(folder / "result.json") is not None:
        digest = file_sha256(folder / "predictions.npz")
        _change(folder / "result.json", config_hash=settings_hash, predictions_sha256=digest)
    if (folder / "submission.json").exists():
        _change(folder / "submission.json", hash=settings_hash)
    for sign in ("heartbeat.json", "claim.1"):  # long silent, however young the copy is
        if (folder / sign).exists():
            os.utime(folder / sign, (0, 0))


def _read(path):
    """None for a file that is missing or torn."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _change(path, **values):
    path.write_text(json.dumps(_read(path) | values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
