"""The state of every run: what its folder says, then what SLURM knows of its job (no torch)."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmark.records.run_folder import read_json
from benchmark.records.status import RunView
from benchmark.records.submission import Submission, read_submission
from slurm.queue import ENDED, Job, Queue, ask, kind


@dataclass(frozen=True)
class Tracked:
    """A run, the job it was last handed to, and what SLURM says of that job; either may be missing."""

    view: RunView
    submission: Submission | None
    job: Job | None


@dataclass(frozen=True)
class Grid:
    """All runs asked for, and the answer of the queue."""

    runs: tuple[Tracked, ...]
    queue: Queue


def track(views: Sequence[RunView]) -> Grid:
    """Every run with its job: the folders first, then at most one squeue and one sacct call for all of them."""
    submissions = {
        view.id: read_submission(view.folder)
        for view in views
        if view.state not in ("missing", "no-data", "no-weights")
    }
    asked = [
        submission.job for view in views if (submission := submissions.get(view.id)) and view.state != "done"
    ]
    queue = ask(asked)
    return Grid(tuple(_tracked(view, submissions.get(view.id), queue) for view in views), queue)


def _tracked(view: RunView, submission: Submission | None, queue: Queue) -> Tracked:
    job = queue.job(submission.job, submission.name) if submission else None
    if submission is None or view.state == "done":
        return Tracked(view, submission, job)
    state, reason = _state(view, submission, job, queue)
    return Tracked(replace(view, state=state, reason=reason), submission, job)


def _state(view: RunView, submission: Submission, job: Job | None, queue: Queue) -> tuple[str, str]:
    """What is known of a run without a result; the folder's word stands where SLURM has nothing newer."""
    if view.state in ("stale", "running"):
        return view.state, view.reason
    if queue.problem and view.state == "queued":
        return "unknown", f"job {submission.job}: SLURM does not answer"
    if job is None:
        if queue.problem or view.state != "queued":
            return view.state, view.reason
        if submission.user != getpass.getuser():
            return (
                "unknown",
                f"job {submission.job} is {submission.user}'s, and squeue may show only one's own here",
            )
        return (
            "failed",
            f"job {submission.job} is not in the queue any more and left no sign: lost before it began",
        )
    found = kind(job.state)
    if found == "waits":
        why = f" ({job.reason})" if job.reason else ""
        return "queued", f"job {job.id} {job.state.lower().replace('_', ' ')}{why}"
    if found == "works":
        return (
            "running",
            f"job {job.id} on {job.where or 'its node'}, {job.state.lower()}, no sign of the run yet",
        )
    if found == "unknown":
        return "unknown", f"job {job.id} is in a state this suite does not know: {job.state}"
    if view.folder.result.exists():  # written since the folder was looked at
        return "running", f"job {job.id} has just ended"
    outcome = read_json(view.folder.outcome) or {}
    if outcome.get("owner") == submission.owner:
        if view.state == "preempted" and job.state in ("FAILED", "OUT_OF_MEMORY") and submission.ranks > 1:
            # srun ends all tasks with SIGTERM if one of them fails, perhaps before that could tell the others why.
            return (
                "failed",
                f"{view.reason}; job {job.id} {job.state}: another of its tasks was, make logs shows them all",
            )
        return view.state, view.reason  # the run itself knew why
    return "failed", f"job {job.id} {job.state}: {ENDED[job.state]}"
