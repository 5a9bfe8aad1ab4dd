"""How soon the everyday commands answer over the whole grid with three seeds, each as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark import config, provenance
from benchmark.bench import made_up
from benchmark.bench.rows import Row
from benchmark.config import Config
from benchmark.errors import RunError
from benchmark.grid import TABLES, all_cells
from benchmark.mini.sets import write_all

REPEATS = 5
SEEDS = (0, 1, 2)
PROFILE = "mini"
GRID = ["--profile", PROFILE, "--seeds", " ".join(map(str, SEEDS))]
TABLE = ["--profile", PROFILE, "--seeds", *map(str, SEEDS)]
SITE = 'gpus = 0\ncpus = 1\nmemory = "2G"\nminutes = 60\n'


@dataclass(frozen=True)
class Command:
    """What is started.

    over: a grid whose runs are a third each done, queued and failed (mixed), all done, or none there (empty).
    most: the bar, seconds. says: what its answer must hold, or nothing was measured.
    """

    title: str
    arguments: tuple[str, ...]
    over: Literal["mixed", "done", "empty"]
    most: float
    says: str


STATES = "68 done, 68 queued, 68 failed"
COMMANDS = (
    Command("list", ("benchmark", "list", *GRID), "mixed", 0.5, STATES),
    Command("status", ("slurm", "status", *GRID), "mixed", 1.0, STATES),
    *(
        Command(f"tables {table}", ("tables", table, *TABLE), "done", 1.5, "no difference shown")
        for table in TABLES
    ),
    Command("submit", ("slurm", "submit", *GRID), "empty", 2.0, "204 runs submitted"),
)


def run(
    commands: Sequence[Command] = COMMANDS, repeats: int = REPEATS, pictures: Path | None = None
) -> list[Row]:
    """Wall-clock seconds of each command, interpreter included. Raises RunError if one of them fails.

    Records are made up, with predictions for as many test images and queries as the official sets have. SLURM is stood
    in for by scripts that answer at once, so its own time is not in these numbers. pictures: a folder of the generated
    sets, None to write them.
    """
    rows = []
    with tempfile.TemporaryDirectory(prefix="dcal bench ") as scratch:
        root = Path(scratch)
        if pictures is None:
            pictures = root / "pictures"
            write_all(pictures)
        configs = _configs()
        for over in ("mixed", "done"):
            made_up.record(configs, root / over, pictures, all_done=over == "done")
        environment = os.environ | {"PATH": f"{_stand_ins(configs, root)}{os.pathsep}{os.environ['PATH']}"}
        (root / "site.toml").write_text(SITE)
        for command in commands:
            print(f"starting: {command.title}", file=sys.stderr)
            seconds = []
            for repeat in range(repeats):
                runs = root / (f"empty {repeat}" if command.over == "empty" else command.over)
                line = [
                    sys.executable,
                    "-m",
                    *command.arguments,
                    "--runs",
                    str(runs),
                    "--data",
                    str(pictures),
                ]
                if command.title == "submit":
                    line += ["--cluster", str(root / "site.toml")]
                began = time.perf_counter()
                done = subprocess.run(
                    line, cwd=provenance.ROOT, env=environment, capture_output=True, text=True
                )
                seconds.append(time.perf_counter() - began)
                if done.returncode or command.says not in done.stdout:
                    said = f"{done.stdout[-500:]}{done.stderr[-2000:]}"
                    raise RunError(f"{' '.join(command.arguments)} did not say {command.says!r}: {said}")
            rows.append(
                Row("starting", f"{len(configs)} runs", command.title, "s", seconds, most=command.most)
            )
    return rows


def _configs() -> list[Config]:
    profile = config.load_profile(PROFILE)
    return [config.resolve(cell, seed, profile, {}) for cell in all_cells() for seed in SEEDS]


def _stand_ins(configs: Sequence[Config], root: Path) -> Path:
    folder = root / "commands"
    folder.mkdir()
    lines = "".join(
        f"1_{number}|{made_up.JOB_NAME}|PENDING||Priority\n" for number in range(2, len(configs), 3)
    )
    (folder / "queue.txt").write_text(lines)
    scripts = {
        "squeue": f"cat '{folder / 'queue.txt'}'",
        "sacct": "exit 1",
        "sbatch": "echo Submitted batch job 1",
    }
    for name, body in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    return folder
