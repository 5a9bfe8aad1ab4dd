"""What a job is: the arguments of one run, and nothing else (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from submitit.helpers import DelayedSubmission


@dataclass(frozen=True)
class RunJob:
    """One run as submitit pickles it. It is read again at every start of the job, so it holds no state: what the run
    has reached lies in its folder, and whatever it needs is imported where it runs.

    data, weights: folders, "" where the profile has its own or the hub's cache serves. overrides: as SET has them;
    tuning, trackers: as TUNE and TRACK have them.
    device: cpu or cuda, decided at submission. scratch: a node's own disk, variables unexpanded, or "".
    name: the job's own; submitted: the code at submission.
    """

    name: str
    cell: str
    seed: int
    profile: str
    runs: str
    data: str
    weights: str
    overrides: str
    device: str
    cpus: int
    workers: int | None
    scratch: str
    requeues: int
    checkpoint_seconds: float
    submitted: Mapping[str, object]
    tuning: str = ""
    trackers: str = ""

    def __call__(self) -> None:
        """Work on the run until it is done, or saved for the job's next start."""
        from slurm.attempt import attempt

        attempt(self)

    def checkpoint(self) -> DelayedSubmission:
        """What the job runs when it is queued again: the same; submitit asks for it before it does that."""
        return DelayedSubmission(self)
