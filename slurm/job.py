"""What a job is: the arguments of one run, and nothing else (no torch)."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from submitit.core.job_environment import JobEnvironment
from submitit.core.utils import UncompletedJobError
from submitit.helpers import DelayedSubmission

from benchmark.config import compute_setup
from benchmark.config.compute_setup import World
from benchmark.config.grid import select
from benchmark.config.parse import natural_number
from benchmark.config.places import Places
from benchmark.config.resolve import load_profile, parse_overrides, resolve
from benchmark.errors import RunError, SuiteError
from benchmark.records import lock
from benchmark.records.heartbeat import RunInterrupt, StopRequest
from benchmark.records.lock import LockHeld
from benchmark.records.run_folder import RunFolder, locate_run, read_json
from benchmark.records.submission import job_owner, may_write_outcome, write_outcome
from benchmark.training import trackers
from benchmark.training.device import threads_of, workers_of
from slurm.queue import call
from slurm.staging import staged

if TYPE_CHECKING:
    pass


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
        pass

        attempt(self)

    def checkpoint(self) -> DelayedSubmission:
        """What the job runs when it is queued again: the same; submitit asks for it before it does that."""
        return DelayedSubmission(self)


# --- One start of a job on a compute node: run the cell, and when told to go, save and queue again ---

# SLURM's notice before the time limit, as submitit asks for it.
NOTICE = signal.Signals[f"SIG{JobEnvironment.USR_SIG}"]


def attempt(job: RunJob) -> None:
    """Work on a job's run until it is done or told to stop.

    At the notice before the time limit, and where a preempting site gives time, the run saves at its next step and
    the job is queued again, by submitit; it goes on from the newest complete checkpoint then. Other errors are
    raised: the run folder has them on record, and the job ends as failed.
    """
    # submitit has put its own handlers in place, which would queue the job again in the middle of a step.
    queue_again = signal.getsignal(NOTICE)
    stop = StopRequest()
    stop.listen((signal.SIGINT, signal.SIGTERM, NOTICE), insist=False)
    os.environ["HF_HUB_OFFLINE"] = "1"  # weights were there at submission; a compute node may see no network
    place, owner = world(), job_owner(job_id(), job.name)
    folder = _folder(job)
    try:
        _run(job, place, owner, stop)
    except LockHeld as error:
        print(error, flush=True)
    except RunInterrupt as error:
        print(error, flush=True)
        if place.rank:
            return  # a status of its own would end rank 0 before that has queued the job again
        if NOTICE in stop.signals or _is_preempted():
            _queue_again(job, folder, queue_again)  # does not return where that works
            return
        raise SystemExit(1) from None
    except SuiteError as error:
        recorded = (read_json(folder.outcome) or {}).get("owner") == owner
        if not recorded and may_write_outcome(folder, owner):  # it came before the run could record it
            folder.make()
            write_outcome(folder, "failed", str(error), owner)
        raise


def _run(job: RunJob, place: World, owner: str, stop: StopRequest) -> None:
    from benchmark.training.run import Infrastructure, run_cell

    (cell,) = select([job.cell])
    profile, tracked = load_profile(job.profile), trackers.asked(job.trackers)
    places = _places(job)
    if job.scratch and places.data is not None:
        places = replace(places, data=staged(job.scratch, cell.dataset, places.data, stop))
    run_cell(
        cell,
        job.seed,
        job.profile,
        places,
        overrides=parse_overrides(job.overrides),
        infrastructure=Infrastructure(
            device=job.device,
            threads=threads_of(profile, job.cpus),
            workers=workers_of(profile, job.cpus, on_gpu=job.device == "cuda")
            if job.workers is None
            else job.workers,
            checkpoint_seconds=job.checkpoint_seconds,
            owner=owner,
            submitted=job.submitted,
            world=place,
            tuning=compute_setup.parse(job.tuning),
            trackers=tracked,
        ),
        stop=stop,
    )


def _folder(job: RunJob) -> RunFolder:
    (cell,) = select([job.cell])
    config = resolve(cell, job.seed, load_profile(job.profile), parse_overrides(job.overrides))
    return locate_run(config, Path(job.runs))


def _places(job: RunJob) -> Places:
    data, weights = (Path(path) if path else None for path in (job.data, job.weights))
    return Places.of(job.profile, Path(job.runs), data, weights)


def _queue_again(job: RunJob, folder: RunFolder, queue_again: Callable[[int, object], None]) -> None:
    """By submitit, which counts the time limits met. Where it is not possible, the run's folder says why."""
    if job.requeues == 0:
        _note(folder, "the cluster file says requeues = 0")
        return
    try:
        queue_again(NOTICE, None)
    except UncompletedJobError as error:
        _note(folder, str(error))
    except (
        Exception
    ) as error:  # whatever it is: the state is saved, and the reason belongs into the run's folder
        _note(folder, f"SLURM refused to queue the job again ({type(error).__name__}: {error})")


def _note(folder: RunFolder, why: str) -> None:
    outcome = read_json(folder.outcome) or {}
    message = f"{outcome.get('message', 'stopped')}; not queued again: {why}. make retry goes on from there"
    owner = str(outcome.get("owner", ""))
    if lock.holder(folder.path) is None and may_write_outcome(folder, owner):
        write_outcome(folder, str(outcome.get("state", "preempted")), message, owner)
    print(message, flush=True)


def _is_preempted() -> bool:
    """Whether SLURM is taking the job's place away, rather than its user: then it may be queued again.

    With a grace time the site's scheduler tells the job with SIGTERM, as scancel does, and goes on calling it running;
    one that ends by itself within that time is not queued again by the site. Without, the site has done so already.
    """
    shown, _ = call(["scontrol", "show", "job", job_id()])
    state, preempted = (re.search(rf"\b{name}=(\S+)", shown) for name in ("JobState", "PreemptTime"))
    return bool(state and state[1] == "RUNNING" and preempted and preempted[1] not in ("None", "N/A"))


# --- This task's place among the tasks of its job, from SLURM's variables ---


def job_id(environment: Mapping[str, str] = os.environ) -> str:
    """``12_3`` of an array's element, ``12`` of a job by itself. Raises RunError outside of a job."""
    master = environment.get("SLURM_ARRAY_JOB_ID")
    return (
        f"{master}_{_number(environment, 'SLURM_ARRAY_TASK_ID')}"
        if master
        else str(_number(environment, "SLURM_JOB_ID"))
    )


def world(environment: Mapping[str, str] = os.environ) -> World:
    """Rank and number of ranks of this task, in the job and on its node. Raises RunError outside of a job step."""
    size = _number(environment, "SLURM_NTASKS")
    nodes = _number(environment, "SLURM_NNODES")
    return World(
        rank=_number(environment, "SLURM_PROCID"),
        size=size,
        local_rank=_number(environment, "SLURM_LOCALID"),
        local_size=size // nodes,
        # A job that is queued again keeps its id: its tasks must not meet those of the attempt before.
        attempt=f"{job_id(environment)}.{environment.get('SLURM_RESTART_COUNT', '0')}",
    )


def _number(environment: Mapping[str, str], name: str) -> int:
    value = environment.get(name, "")
    number = natural_number(value)
    if number is None:
        raise RunError(
            f"{name} is {value or 'not set'}: this is meant to be started by srun, inside of a SLURM job"
        )
    return number
