"""How soon the everyday commands answer over the whole grid with three seeds, each as a process of its own."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.atomic import file_sha256
from benchmark.config.grid import TABLES, select
from benchmark.config.resolve import Config, load_profile, resolve
from benchmark.data.mini.sets import write_all
from benchmark.errors import RunError
from benchmark.records import provenance
from benchmark.records.provenance import ROOT
from benchmark.timing.bench.results import BenchRow

REPEATS = 5
# The sample's records are of the paper's profile; what is submitted needs data, which the mini profile has.
GRID = ("--profile", "paper", "--seeds", "0 1 2")
TABLE = ("--profile", "paper", "--seeds", "0", "1", "2")
SUBMITTED = ("--profile", "mini", "--seeds", "0 1 2")
SITE = 'gpus = 0\ncpus = 1\nmemory = "2G"\nminutes = 60\n'
# Stand-ins that answer at once. The sample's two queued runs wait.
SLURM = {
    "squeue": "printf '4711_%s|dcal-made-up|PENDING||Priority\\n' 0 1",
    "sacct": "exit 1",
    "sbatch": "echo Submitted batch job 1",
}


@dataclass(frozen=True)
class TimedCommand:
    """What is started.

    most: the bar, seconds. says: what its answer must hold, or nothing was measured. submits: it gets an empty folder
    of runs, pictures and a cluster file; otherwise the sample of run records.
    """

    title: str
    arguments: tuple[str, ...]
    most: float
    says: str
    submits: bool = False

    @property
    def case(self) -> str:
        """The runs that the command looks at."""
        return "204 runs, none done" if self.submits else "204 runs, 36 done"


STATES = "204 runs: 36 done, 2 queued"
COMMANDS = (
    TimedCommand("list", ("benchmark", "list", *GRID), 0.5, STATES),
    TimedCommand("status", ("slurm", "status", *GRID), 1.0, STATES),
    *(
        TimedCommand(f"tables {name}", ("tables", name, *TABLE), 1.5, table.title.partition(":")[0])
        for name, table in TABLES.items()
    ),
    TimedCommand("submit", ("slurm", "submit", *SUBMITTED), 2.0, "204 runs submitted", submits=True),
)


def run(commands: Sequence[TimedCommand] = COMMANDS, repeats: int = REPEATS) -> list[BenchRow]:
    """Wall-clock seconds of each command, interpreter included. Raises RunError if one of them fails.

    SLURM is stood in for by scripts that answer at once, so its own time is not in these numbers.
    """
    rows = []
    with tempfile.TemporaryDirectory(prefix="dcal bench ") as scratch:
        root = Path(scratch)
        unpack(root / "sample")
        if any(command.submits for command in commands):
            write_all(root / "pictures")
        (root / "site.toml").write_text(SITE)
        environment = os.environ | {"PATH": f"{_stand_ins(root)}{os.pathsep}{os.environ['PATH']}"}
        for command in commands:
            print(f"starting: {command.title}", file=sys.stderr)
            seconds = [_time(command, root, environment, repeat) for repeat in range(repeats)]
            rows.append(BenchRow("starting", command.case, command.title, "s", seconds, most=command.most))
    return rows


def _time(command: TimedCommand, root: Path, environment: dict[str, str], repeat: int) -> float:
    places = ["--runs", str(root / "sample")]
    if command.submits:
        places = ["--runs", str(root / f"empty {repeat}"), "--data", str(root / "pictures")]
        places += ["--cluster", str(root / "site.toml")]
    line = [sys.executable, "-m", *command.arguments, *places]
    began = time.perf_counter()
    process = subprocess.run(line, cwd=provenance.ROOT, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if process.returncode or command.says not in process.stdout:
        output = f"{process.stdout[-500:]}{process.stderr[-2000:]}"
        raise RunError(f"{' '.join(command.arguments)} did not say {command.says!r}: {output}")
    return seconds


def _stand_ins(root: Path) -> Path:
    folder = root / "commands"
    folder.mkdir()
    for name, body in SLURM.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    return folder


# --- The committed sample of made-up run records (tests/sweep), unpacked as a folder of runs ---

SAMPLE = ROOT / "tests" / "sweep"


def unpack(into: Path) -> Path:
    """Copy the sample to ``into``, a folder of runs, and fill in what depends on today's recipes; returns ``into``.

    Raises RunError where the checkout has no sample.
    """
    folders = sorted(SAMPLE.glob("*/*/*/*/seed*"))  # profile/dataset/backbone/method/seed
    if not folders:
        raise RunError(f"{SAMPLE}: no run folders, expected the sample of run records: `git checkout` it")
    profiles = {folder.relative_to(SAMPLE).parts[0] for folder in folders}
    loaded = {profile: load_profile(profile) for profile in profiles}
    for folder in folders:
        run = folder.relative_to(SAMPLE)
        shutil.copytree(folder, into / run)
        profile, *cell, seed = run.parts
        config = resolve(select(["/".join(cell)])[0], int(seed.removeprefix("seed")), loaded[profile], {})
        _write_records(into / run, config)
    return into


def change(path: Path, **values: object) -> None:
    """Set values of a JSON file."""
    path.write_text(json.dumps(_read(path) | values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_records(folder: Path, config: Config) -> None:
    """Settings are today's, but for those that the record itself names as different; digests are the files'."""
    settings_hash = config.hash
    if (started := _read(folder / "config.json")) is not None:
        identity = dict(config.identity)
        identity["settings"] = identity["settings"] | started["identity"].get("settings", {})
        if identity != config.identity:
            settings_hash = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
        change(folder / "config.json", hash=settings_hash, identity=identity)
    if _read(folder / "result.json") is not None:
        digest = file_sha256(folder / "predictions.npz")
        change(folder / "result.json", config_hash=settings_hash, predictions_sha256=digest)
    if (folder / "submission.json").exists():
        change(folder / "submission.json", hash=settings_hash)
    for sign in ("heartbeat.json", "claim.1"):  # long silent, however young the copy is
        if (folder / sign).exists():
            os.utime(folder / sign, (0, 0))


def _read(path: Path) -> dict | None:
    """None for a file that is missing or torn."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
