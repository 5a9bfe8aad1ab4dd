"""State of every run: from its folder, then from SLURM's information about its job."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmark.records.run_folder import read_json
from benchmark.records.status import RunView
from benchmark.records.submission import Submission, read_submission
from slurm.queue import END_MESSAGES, Job, Queue, job_phase, query_jobs


@dataclass(frozen=True)
class TrackedRun:
    """A run with its last submission and SLURM's information about that job; either may be missing."""

    view: RunView
    submission: Submission | None
    job: Job | None


@dataclass(frozen=True)
class GridState:
    """All selected runs, and the answer of SLURM's queue."""

    runs: tuple[TrackedRun, ...]
    queue: Queue


def track(views: Sequence[RunView]) -> GridState:
    """Read the state of every run: from the folders, then with at most one squeue and one sacct call for all runs."""
    submissions = {
        view.id: read_submission(view.folder)
        for view in views
        if view.state not in ("missing", "no-data", "no-weights")
    }
    ids = [
        submission.job for view in views if (submission := submissions.get(view.id)) and view.state != "done"
    ]
    queue = query_jobs(ids)
    return GridState(tuple(_tracked(view, submissions.get(view.id), queue) for view in views), queue)


def _tracked(view: RunView, submission: Submission | None, queue: Queue) -> TrackedRun:
    job = queue.job(submission.job, submission.name) if submission else None
    if submission is None or view.state == "done":
        return TrackedRun(view, submission, job)
    state, reason = _state(view, submission, job, queue)
    return TrackedRun(replace(view, state=state, reason=reason), submission, job)


def _state(view: RunView, submission: Submission, job: Job | None, queue: Queue) -> tuple[str, str]:
    """State and reason of a run without a result; those of the folder where SLURM has nothing newer."""
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
    phase = job_phase(job.state)
    if phase == "waiting":
        why = f" ({job.reason})" if job.reason else ""
        return "queued", f"job {job.id} {job.state.lower().replace('_', ' ')}{why}"
    if phase == "running":
        return (
            "running",
            f"job {job.id} on {job.nodes or 'its node'}, {job.state.lower()}, no sign of the run yet",
        )
    if phase == "unknown":
        return "unknown", f"job {job.id} is in a state this suite does not know: {job.state}"
    if view.folder.result.exists():  # written after the folder was read
        return "running", f"job {job.id} has just ended"
    outcome = read_json(view.folder.outcome) or {}
    if outcome.get("owner") == submission.owner:
        if view.state == "preempted" and job.state in ("FAILED", "OUT_OF_MEMORY") and submission.ranks > 1:
            # If one task fails, srun ends the others with SIGTERM, perhaps before the failed one has recorded why.
            return (
                "failed",
                f"{view.reason}; job {job.id} {job.state}: another of its tasks was, make logs shows them all",
            )
        return view.state, view.reason  # the run itself recorded the reason
    return "failed", f"job {job.id} {job.state}: {END_MESSAGES[job.state]}"
