"""Kill runs and launchers at random moments and at the last step, each time repeat the command, and look at the end.

    python -m tests.campaigns.kills [KILLS]

At least KILLS (60) SIGKILLs through `python -m benchmark launch`, in a third of the rounds with two launchers at once.
In the end every run must be done, with the final weights, metrics and outputs of an undisturbed run to the last bit,
and with no file that the undisturbed one has not. Ends with 1 if one is not. Takes about half an hour on 2 idle cores.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmark.data.mini.sets import write

ROOT = Path(__file__).resolve().parents[2]
CELLS = ("cub/deit_tiny/dcal", "cub/deit_small/dcal")
# Few pictures; evaluations that draw local queries at random, so that lost random states show.
SET = "data.class_limit=3 train.epochs=3 evaluate.every=1 model.glca_select=random model.glca_readout=mean"
MOST_KILLS_A_ROUND = 6
SAME = ("metrics", "final_weights_sha256", "outputs_sha256")


class Campaign:
    """root: a folder of its own. draw: decides everything that is random."""

    def __init__(self, root: Path, draw: random.Random) -> None:
        self.root, self.draw = root, draw
        self.kills: Counter[str] = Counter()
        self.wrong: list[str] = []
        write(root / "data", ("cub",))
        began = time.monotonic()
        self._end(self._launcher(root / "whole"))
        self.seconds = time.monotonic() - began
        self.expected = self._records(root / "whole")

    def round(self, number: int) -> None:
        """One folder of runs: some kills, then the same command in peace."""
        runs = self.root / f"round {number}"
        launchers = 2 if number % 3 == 2 else 1
        for _ in range(self.draw.randrange(2, MOST_KILLS_A_ROUND + 1)):
            working = [self._launcher(runs) for _ in range(launchers)]
            moment = self.draw.choice([None, None, *_LAST_STEPS])
            if moment is None:
                self._sleep(working, self.draw.uniform(0.2, 1.0) * self.seconds)
            else:
                self._watch(working, runs, _LAST_STEPS[moment])
            self._kill(working, moment or "random")
        for process in [self._launcher(runs) for _ in range(launchers)]:
            self._end(process)
        self._check(runs)
        shutil.rmtree(runs, ignore_errors=True)

    def _launcher(self, runs: Path) -> subprocess.Popen:
        command = [
            sys.executable, "-m", "benchmark", "launch", "--profile", "mini", "--runs", str(runs), "--data",
            str(self.root / "data"), "--cells", " ".join(CELLS), "--set", SET, "--jobs", "2",
            "--checkpoint-seconds", "0",
        ]  # fmt: skip
        log = open(self.root / "launchers.txt", "ab")
        with log:
            return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def _end(self, launcher: subprocess.Popen) -> None:
        if launcher.wait():
            self.wrong.append(f"the launcher that nobody killed ended with {launcher.returncode}")

    def _sleep(self, working: list[subprocess.Popen], seconds: float) -> None:
        self._wait(working, lambda: False, seconds)

    def _watch(self, working: list[subprocess.Popen], runs: Path, has_come: Callable[[Path], bool]) -> None:
        folders = [runs / "mini" / cell / "seed0" for cell in CELLS]
        self._wait(working, lambda: any(has_come(folder) for folder in folders), 20 * self.seconds)

    def _wait(self, working: list[subprocess.Popen], is_over: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not is_over():
            if all(process.poll() is not None for process in working):
                return
            time.sleep(0.001)

    def _kill(self, launchers: list[subprocess.Popen], moment: str) -> None:
        """The runs, the launchers, or both, of one launcher or of all."""
        if self.draw.random() < 0.5:
            launchers, spared = [launchers[0]], launchers[1:]
        else:
            spared = []
        what = self.draw.choice(["runs", "launcher", "both"])
        for launcher in launchers:
            victims = _children(launcher.pid) if what != "launcher" else []
            victims += [launcher.pid] if what != "runs" and launcher.poll() is None else []
            for victim in victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
                    self.kills[f"{moment}: {'launcher' if victim == launcher.pid else 'run'}"] += 1
        for launcher in (*launchers, *spared):
            launcher.wait()  # one whose runs were killed ends by itself, as does a spared one

    def _records(self, runs: Path) -> dict[str, tuple[dict, set[str]]]:
        found = {}
        for cell in CELLS:
            folder = runs / "mini" / cell / "seed0"
            with contextlib.suppress(OSError, ValueError):
                result = json.loads((folder / "result.json").read_text())
                found[cell] = {name: result[name] for name in SAME}, set(os.listdir(folder))
        return found

    def _check(self, runs: Path) -> None:
        found = self._records(runs)
        for cell, (numbers, names) in self.expected.items():
            if cell not in found:
                self.wrong.append(f"{runs.name}: {cell} has no result")
                continue
            if found[cell][0] != numbers:
                self.wrong.append(f"{runs.name}: {cell} has other numbers")
            if found[cell][1] != names:
                self.wrong.append(f"{runs.name}: {cell} differs in {sorted(found[cell][1] ^ names)}")


# When a run is about to end: its last epoch, predictions, slim checkpoint and result are being written.
_LAST_STEPS: dict[str, Callable[[Path], bool]] = {
    "last epoch recorded": lambda folder: _lines(folder / "history.jsonl") == 3,
    "predictions written": lambda folder: (folder / "predictions.npz").exists(),
    "a checkpoint after the predictions": lambda folder: (
        (folder / "predictions.npz").exists() and any(folder.glob(".checkpoint.pt.*.tmp"))
    ),
    "result being written": lambda folder: any(folder.glob(".result.json.*.tmp")),
    "result written": lambda folder: (folder / "result.json").exists(),
}


def _lines(path: Path) -> int:
    try:
        return len(path.read_text().splitlines())
    except OSError:
        return 0


def _children(process: int) -> list[int]:
    try:
        return [int(text) for text in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    except OSError:
        return []


def main() -> int:
    """Run all of it and print the counts."""
    wanted, root = int(sys.argv[1]) if len(sys.argv) > 1 else 60, Path(tempfile.mkdtemp(prefix="kills "))
    campaign, rounds = Campaign(root, random.Random(0)), 0
    while sum(campaign.kills.values()) < wanted:
        campaign.round(rounds)
        rounds += 1
        print(
            f"{sum(campaign.kills.values())} kills in {rounds} rounds, {len(campaign.wrong)} wrong",
            flush=True,
        )
    print(*(f"{count:4} {what}" for what, count in sorted(campaign.kills.items())), sep="\n")
    print(*campaign.wrong, sep="\n")
    print(f"{sum(campaign.kills.values())} kills, {rounds * len(CELLS)} runs, {len(campaign.wrong)} wrong")
    if campaign.wrong:
        print(f"what is left lies in {root}")
        return 1
    shutil.rmtree(root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
