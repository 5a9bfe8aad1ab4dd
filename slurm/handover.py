"""Which runs an sbatch call took, written down before it is made: a launcher may die before it learns the job's id."""

from __future__ import annotations

import contextlib
import fcntl
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmark.atomic import explained, write_json
from benchmark.errors import RunError
from benchmark.records.run_folder import RunFolder, read_json, set_aside
from benchmark.records.submission import Submission, stored
from slurm.queue import SQUEUE, call, parse_squeue


def folder_of(profile_runs: Path) -> Path:
    """Where jobs' pickles, batch scripts and output go, what is being handed over, and the launchers' lock."""
    return profile_runs / "slurm"


class Handover:
    """The runs of one array on their way. folder: as folder_of gives it; submissions: the runs', in the array's order,
    as yet without a job."""

    def __init__(self, folder: Path, folders: Sequence[RunFolder], submissions: Sequence[Submission]) -> None:
        self._file = folder / f"{submissions[0].name}.handover.json"
        runs = [
            {"folder": str(run.path), "submission": stored(submission)}
            for run, submission in zip(folders, submissions, strict=True)
        ]
        write_json(self._file, {"name": submissions[0].name, "runs": runs})

    def complete(self, folders: Sequence[RunFolder], submissions: Sequence[Submission]) -> None:
        """Every run's folder knows its job from now on."""
        for folder, submission in zip(folders, submissions, strict=True):
            folder.make()
            write_json(folder.submission, stored(submission))
        self._file.unlink(missing_ok=True)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Launchers over the same runs take turns, so that the second sees what the first has submitted."""
    with explained(folder / "lock"):
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / "lock", "a")
    with lock:
        # Some network file systems have no locks: there the claims in the run folders keep a run from running twice.
        with contextlib.suppress(OSError):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("another launch over these runs is under way; waiting for its end", file=sys.stderr)
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def adopt(folder: Path) -> None:
    """Give jobs of launchers that died, or were told that sbatch failed, back to their runs. To be called alone.

    Raises RunError where SLURM does not answer: their runs could be sent twice.
    """
    for file in sorted(folder.glob("*.handover.json")):
        taken = read_json(file) or {}
        try:
            listed, problem = call(["squeue", "-h", "-o", SQUEUE, "--name", taken["name"]])
            if problem:
                raise RunError(
                    f"a launch that broke off left {file.name}, and its jobs cannot be asked for: {problem}"
                )
            for id in parse_squeue(listed):
                number = int(id.partition("_")[2] or 0)
                run = RunFolder(Path(taken["runs"][number]["folder"]))
                run.make()
                write_json(run.submission, {**taken["runs"][number]["submission"], "job": id})
        except (LookupError, TypeError, ValueError):
            aside = set_aside(file, "damaged").name
            print(f"{file} is no handover of runs: set aside as {aside}", file=sys.stderr)
        file.unlink(missing_ok=True)
