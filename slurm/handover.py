"""Which runs an sbatch call took, written down before it is made: a launcher may die before it learns the job's id."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from benchmark.atomic import write_json
from benchmark.errors import RunError
from benchmark.records import RunFolder, read_json
from benchmark.submission import Submission, stored
from slurm.queue import call, parse_squeue


def folder_of(profile_runs: Path) -> Path:
    """Where jobs' pickles, batch scripts and output go, what is being handed over, and the launchers' lock."""
    return profile_runs / "slurm"


class Handover:
    """The runs of one array on their way. submissions: theirs, in the array's order, as yet without a job."""

    def __init__(
        self, profile_runs: Path, folders: Sequence[RunFolder], submissions: Sequence[Submission]
    ) -> None:
        self._file = folder_of(profile_runs) / f"{submissions[0].name}.handover.json"
        runs = [
            {"folder": str(folder.path), "submission": stored(submission)}
            for folder, submission in zip(folders, submissions, strict=True)
        ]
        write_json(self._file, {"name": submissions[0].name, "runs": runs})

    def complete(self, folders: Sequence[RunFolder], submissions: Sequence[Submission]) -> None:
        """Every run's folder knows its job from now on."""
        for folder, submission in zip(folders, submissions, strict=True):
            folder.make()
            write_json(folder.submission, stored(submission))
        self._file.unlink(missing_ok=True)


def adopt(profile_runs: Path) -> int:
    """Give jobs of launchers that died, or were told that sbatch failed, back to their runs; returns how many.

    Raises RunError where SLURM does not answer: their runs could be sent twice.
    """
    adopted = 0
    for file in sorted(folder_of(profile_runs).glob("*.handover.json")):
        taken = read_json(file) or {}
        with contextlib.suppress(KeyError, TypeError):  # a damaged file says nothing
            listed, problem = call(["squeue", "-h", "-o", "%i|%j|%T|%N|%r", "--name", taken["name"]])
            if problem:
                raise RunError(
                    f"a launch that broke off left {file.name}, and its jobs cannot be asked for: {problem}"
                )
            for id in parse_squeue(listed):
                number = int(id.partition("_")[2] or 0)
                folder = RunFolder(Path(taken["runs"][number]["folder"]))
                folder.make()
                write_json(folder.submission, {**taken["runs"][number]["submission"], "job": id})
                adopted += 1
        file.unlink(missing_ok=True)
    return adopted
