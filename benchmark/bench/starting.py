"""How soon the everyday commands answer over the whole grid with three seeds, each as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark import config, provenance
from benchmark.bench.rows import Row
from benchmark.config import Config
from benchmark.data import sources
from benchmark.data.registry import DATASETS
from benchmark.errors import RunError
from benchmark.grid import all_cells
from benchmark.mini.sets import write_all
from benchmark.records import SCHEMA, folder_of, result_problem
from benchmark.submission import Submission, stored

REPEATS = 5
SEEDS = (0, 1, 2)
PROFILE = "mini"
JOB_NAME = "dcal-mini-default-00000000"
GRID = ["--profile", PROFILE, "--seeds", " ".join(map(str, SEEDS))]
SITE = 'gpus = 0\ncpus = 1\nmemory = "2G"\nminutes = 60\n'


@dataclass(frozen=True)
class Command:
    """What is started. recorded: over a grid with records and jobs, else over an empty one. most: the bar, seconds.

    says: what its answer must hold, or nothing was measured.
    """

    title: str
    arguments: tuple[str, ...]
    recorded: bool
    most: float
    says: str


STATES = "68 done, 68 queued, 68 failed"
COMMANDS = (
    Command("list", ("benchmark", "list", *GRID), True, 0.5, STATES),
    Command("status", ("slurm", "status", *GRID), True, 1.0, STATES),
    Command(
        "tables table1",
        ("tables", "table1", "--profile", PROFILE, "--seeds", *map(str, SEEDS)),
        True,
        1.5,
        "50.0",
    ),
    # CaiT and Swin have no mini stand-ins yet.
    Command(
        "submit", ("slurm", "submit", *GRID), False, 2.0, "186 runs submitted; left alone: 18 no-weights"
    ),
)


def run(
    commands: Sequence[Command] = COMMANDS, repeats: int = REPEATS, pictures: Path | None = None
) -> list[Row]:
    """Wall-clock seconds of each command, interpreter included. Raises RunError if one of them fails.

    Records are made up, a third of the runs each: done, waiting in a queue, failed. SLURM is stood in for by scripts
    that answer at once, so its own time is not in these numbers. pictures: a folder of the generated sets, None to
    write them.
    """
    rows = []
    with tempfile.TemporaryDirectory(prefix="dcal bench ") as scratch:
        root = Path(scratch)
        if pictures is None:
            pictures = root / "pictures"
            write_all(pictures)
        configs = _configs()
        _record(configs, root / "recorded", pictures)
        environment = os.environ | {"PATH": f"{_stand_ins(configs, root)}{os.pathsep}{os.environ['PATH']}"}
        (root / "site.toml").write_text(SITE)
        for command in commands:
            print(f"starting: {command.title}", file=sys.stderr)
            seconds = []
            for repeat in range(repeats):
                runs = root / ("recorded" if command.recorded else f"empty {repeat}")
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


def _record(configs: Sequence[Config], runs: Path, pictures: Path) -> None:
    prints = {key: sources.fingerprint(sources.locate(key, pictures), key) for key in DATASETS}
    for number, asked in enumerate(configs):
        folder = folder_of(asked, runs)
        folder.make()
        identity = {
            "hash": asked.hash,
            "identity": dict(asked.identity),
            "data_fingerprint": prints[asked.cell.dataset],
        }
        folder.config.write_text(json.dumps(identity))
        folder.log.write_text("a line\n" * 200)
        beat = {"time": time.time(), "epoch": 3, "epochs": 8, "step": 1, "steps": 9, "seconds": 100.0}
        folder.heartbeat.write_text(json.dumps(beat))
        submission = _submission(number, asked)
        folder.submission.write_text(json.dumps(stored(submission)))
        folder.provenance.write_text(json.dumps({**submission.code, "submitted": submission.code}))
        if number % 3 == 0:
            folder.result.write_text(json.dumps(_result(asked, prints[asked.cell.dataset])))
        elif number % 3 == 1:
            outcome = {"state": "failed", "message": "made up", "owner": submission.owner}
            folder.outcome.write_text(json.dumps(outcome))


def _submission(number: int, asked: Config) -> Submission:
    code = {"commit": "0" * 40, "dirty": False, "changes": ""}
    return Submission(
        f"1_{number}", JOB_NAME, asked.hash, code, provenance.now(), "me", gpus=0, ranks=1, logs="."
    )


def _result(asked: Config, fingerprint: str) -> dict[str, object]:
    metric = {"fgvc": ("top1", "top5"), "reid": ("mAP", "R1", "R5", "R10")}[asked.cell.task]
    numbers = dict.fromkeys(
        ("classes", "train_images", "test_images", "query_images", "gallery_images", "skipped_images"), 1
    )
    result = {
        "schema": SCHEMA,
        "run": asked.run_id,
        "cell": asked.cell.id,
        "seed": asked.seed,
        "profile": asked.profile,
        "config_hash": asked.hash,
        "metrics": dict.fromkeys(metric, 50.0),
        "best": {"epoch": 1, metric[0]: 50.0},
        "evaluation": {"queries": 1, "queries_without_match": 0, "ties": 0},
        "data": {
            "name": DATASETS[asked.cell.dataset].title,
            "coverage": "generated",
            "text": "made up",
            "fingerprint": fingerprint,
            "version": "",
            "protocol": "",
            **numbers,
        },
        "weights": {"tag": asked.tag, "file": "none", "sha256": "none", "dropped": []},
        "device": {"type": "cpu", "name": "none", "precision": "float32", "threads": 1, "world_size": 1},
        "cost": {"epochs": 1, "steps": 1, "train_seconds": 1.0, "peak_memory_bytes": 1, "attempts": 1},
        "final_weights_sha256": "none",
        "predictions_sha256": "none",
        "provenance": {},
    }
    if problem := result_problem(result):
        raise RunError(f"the bench's made-up result does not satisfy the schema: {problem}")
    return result


def _stand_ins(configs: Sequence[Config], root: Path) -> Path:
    folder = root / "commands"
    folder.mkdir()
    lines = "".join(f"1_{number}|{JOB_NAME}|PENDING||Priority\n" for number in range(2, len(configs), 3))
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
