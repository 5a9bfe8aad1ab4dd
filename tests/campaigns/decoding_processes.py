"""Attack the decoding processes of real runs: kill them, suspend them, give them little shared memory.

    .venv/bin/python -m tests.campaigns.decoding_processes --attacks 20

Each attack hits a run of its own at a random moment. It must end by itself, or after one SIGTERM where a process is
suspended, with at most one ``error:`` line and no traceback, and its resumption must end with the weights of a run that
nobody disturbed. Prints what came of each kind; the exit status is 1 if one is wrong.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmark.data.mini.sets import write

ROOT = Path(__file__).resolve().parents[2]
CELL = "cub/deit_tiny/baseline"
SETTINGS = "data.class_limit=3 train.epochs=12 evaluate.every=4"
ENDS_WITHIN = 120  # seconds after the attack, on a machine that is busy with other things
KINDS = ("kill one", "kill all", "suspend all", "fill /dev/shm", "1 MiB of /dev/shm for 8 processes")


def command(runs: Path, data: Path, workers: int, shm: str = "64m") -> list[str]:
    """A run in a mount namespace of its own, with a /dev/shm of its own."""
    private = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        f'mount -t tmpfs -o size={shm} none /dev/shm && exec "$@"',
        "sh",
    ]
    return [
        *private, sys.executable, "-m", "benchmark", "run", CELL, "--runs", str(runs), "--data", str(data),
        "--set", SETTINGS, "--workers", str(workers), "--threads", "1", "--checkpoint-seconds", "1",
    ]  # fmt: skip


def children(pid: int) -> list[int]:
    """Process ids of a run's decoding processes."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def weights(runs: Path) -> str:
    """Digest of the finished run's weights, or ""."""
    try:
        return json.loads((runs / "mini" / CELL / "seed0" / "result.json").read_text())[
            "final_weights_sha256"
        ]
    except OSError:
        return ""


def attack(kind: str, runs: Path, data: Path, chance: random.Random) -> str:
    """What was wrong with the run's end, or ""."""
    with tempfile.TemporaryFile("w+") as said:
        little = kind == KINDS[-1]
        started = command(runs, data, 8, "1m") if little else command(runs, data, 2)
        run = subprocess.Popen(started, cwd=ROOT, stdout=said, stderr=said)
        while len(children(run.pid)) < (1 if little else 2) and run.poll() is None:
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 3))
        found = children(run.pid)
        if kind == "fill /dev/shm" and run.poll() is None:
            with contextlib.suppress(OSError), open(f"/proc/{run.pid}/root/dev/shm/full", "wb", 0) as stream:
                while True:
                    stream.write(bytes(2**20))
        for pid in {"kill one": found[:1], "kill all": found, "suspend all": found}.get(kind, ()):
            with contextlib.suppress(ProcessLookupError):  # the run is over
                os.kill(pid, signal.SIGSTOP if kind == "suspend all" else signal.SIGKILL)
        if kind == "suspend all":
            time.sleep(2)
            run.send_signal(signal.SIGTERM)
        try:
            status = run.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            run.kill()
            return f"did not end within {ENDS_WITHIN} s"
        said.seek(0)
        text = said.read()
    if little and "--shm-size" not in text:
        return f"no word on the room:\n{text}"
    if "Traceback" in text:
        return f"a traceback:\n{text}"
    if status not in (0, 2, 130) or text.count("error: ") != (status == 2):
        return f"status {status} and these words:\n{text}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attacks", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    chance, wrong, counts = random.Random(asked.seed), 0, collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        root, data = Path(folder), Path(folder) / "data"
        write(data, ("cub",))
        undisturbed = root / "undisturbed"
        subprocess.run(command(undisturbed, data, 0), cwd=ROOT, check=True, capture_output=True)
        for number in range(asked.attacks):
            kind, runs = KINDS[number % len(KINDS)], root / f"runs {number}"
            problem = attack(kind, runs, data, chance)
            ended = "finished" if weights(runs) else "ended early"
            done = subprocess.run(command(runs, data, 2), cwd=ROOT, capture_output=True, text=True)
            if not problem and weights(runs) != weights(undisturbed):
                problem = f"its resumption ended with {done.returncode} and other weights:\n{done.stderr}"
            wrong += bool(problem)
            counts[kind, problem.partition("\n")[0] or f"{ended}, resumed to the same weights"] += 1
            print(f"{number + 1}/{asked.attacks} {kind}: {problem or ended}", flush=True)
    for (kind, what), count in sorted(counts.items()):
        print(f"{count:3d} × {kind}: {what}")
    print(f"{asked.attacks} attacks, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
