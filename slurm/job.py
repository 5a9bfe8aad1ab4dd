"""Job of one run: its arguments, which submitit pickles, and what it does on a compute node."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

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
from slurm.queue import run_command
from slurm.staging import stage_data


@dataclass(frozen=True)
class RunJob:
    """Arguments of one run, as submitit pickles them.

    The pickle is read at every start of the job, so it has no state: the run's folder has it. Jobs that wait in a queue
    are pickled under this class's name and these fields: neither may be renamed, and new fields need a default.

    name: of the job. cell: id. runs: root of all run folders.
    data, weights: folders, "" for the profile's own, or for the hub's cache.
    overrides, tuning, trackers: as in SET, TUNE and TRACK.
    device: cpu or cuda, decided at submission. cpus: of a task. workers: decoding processes, None: as the cores allow.
    scratch: path on the node's own disk, variables not expanded, or "".
    submitted: commit and changes of the code at submission, with the time.
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
        attempt_run(self)

    def checkpoint(self) -> DelayedSubmission:
        """The same job, which submitit queues again."""
        return DelayedSubmission(self)


# --- One start of a job on a compute node: run the cell; at a stop signal, save and queue the job again ---

# Signal before the time limit, as submitit requests it from SLURM.
NOTICE = signal.Signals[f"SIG{JobEnvironment.USR_SIG}"]


def attempt_run(job: RunJob) -> None:
    """Work on a job's run until it is done or a signal stops it.

    At the notice before the time limit, and at a preemption with a grace time, the run saves at its next step and
    submitit queues the job again; the run then continues from the newest complete checkpoint. Other errors are written
    to the run folder and raised, so that the job ends as failed.
    """
    # submitit has installed its own signal handlers, which would queue the job again in the middle of a step.
    queue_again = signal.getsignal(NOTICE)
    stop = StopRequest()
    stop.listen((signal.SIGINT, signal.SIGTERM, NOTICE), insist=False)
    # The weights were there at submission, and a compute node may have no network.
    os.environ["HF_HUB_OFFLINE"] = "1"
    rank_world, owner = world(), job_owner(job_id(), job.name)
    folder = _run_folder(job)
    try:
        _run(job, rank_world, owner, stop)
    except LockHeld as error:
        print(error, flush=True)
    except RunInterrupt as error:
        print(error, flush=True)
        if rank_world.rank:
            return  # a non-zero exit status would end rank 0 before it has queued the job again
        if NOTICE in stop.signals or _is_preempted():
            _queue_again(job, folder, queue_again)  # does not return where that works
            return
        raise SystemExit(1) from None
    except SuiteError as error:
        recorded = (read_json(folder.outcome) or {}).get("owner") == owner
        if not recorded and may_write_outcome(folder, owner):  # the error came before the run could record it
            folder.make()
            write_outcome(folder, "failed", str(error), owner)
        raise


def _run(job: RunJob, rank_world: World, owner: str, stop: StopRequest) -> None:
    from benchmark.training.request import Infrastructure
    from benchmark.training.run import run_cell

    (cell,) = select([job.cell])
    profile, tracker_names = load_profile(job.profile), trackers.parse_installed(job.trackers)
    data, weights = (Path(path) if path else None for path in (job.data, job.weights))
    places = Places.of(job.profile, Path(job.runs), data, weights)
    if job.scratch and places.data is not None:
        places = replace(places, data=stage_data(job.scratch, cell.dataset, places.data, stop))
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
            world=rank_world,
            tuning=compute_setup.parse(job.tuning),
            trackers=tracker_names,
        ),
        stop=stop,
    )


def _run_folder(job: RunJob) -> RunFolder:
    (cell,) = select([job.cell])
    config = resolve(cell, job.seed, load_profile(job.profile), parse_overrides(job.overrides))
    return locate_run(config, Path(job.runs))


def _queue_again(job: RunJob, folder: RunFolder, queue_again: Callable[[int, object], None]) -> None:
    """Queue the job again through submitit, which counts the time limits; where that is impossible, record why."""
    if job.requeues == 0:
        _record_reason(folder, "the cluster file says requeues = 0")
        return
    try:
        queue_again(NOTICE, None)
    except UncompletedJobError as error:
        _record_reason(folder, str(error))
    except Exception as error:  # of any kind: the state is saved, and the run's folder gets the reason
        _record_reason(folder, f"SLURM refused to queue the job again ({type(error).__name__}: {error})")


def _record_reason(folder: RunFolder, reason: str) -> None:
    outcome = read_json(folder.outcome) or {}
    message = (
        f"{outcome.get('message', 'stopped')}; not queued again: {reason}. make retry goes on from there"
    )
    owner = str(outcome.get("owner", ""))
    if lock.holder(folder.path) is None and may_write_outcome(folder, owner):
        write_outcome(folder, str(outcome.get("state", "preempted")), message, owner)
    print(message, flush=True)


def _is_preempted() -> bool:
    """Whether SLURM preempts the job, in contrast to a cancellation by the user: then it may be queued again.

    With a grace time, SLURM sends SIGTERM, as scancel does, and the job's state stays RUNNING; the site does not queue
    a job again that ends by itself within that time. Without a grace time, the site has queued it again already.
    """
    output, _ = run_command(["scontrol", "show", "job", job_id()])
    state, preempted = (re.search(rf"\b{name}=(\S+)", output) for name in ("JobState", "PreemptTime"))
    return bool(state and state[1] == "RUNNING" and preempted and preempted[1] not in ("None", "N/A"))


# --- Rank of this task among the tasks of its job, from SLURM's variables ---


def job_id(environment: Mapping[str, str] = os.environ) -> str:
    """Id of the job: ``12_3`` for an array's element, else ``12``. Raises RunError outside a job."""
    if master := environment.get("SLURM_ARRAY_JOB_ID"):
        return f"{master}_{_number(environment, 'SLURM_ARRAY_TASK_ID')}"
    return str(_number(environment, "SLURM_JOB_ID"))


def world(environment: Mapping[str, str] = os.environ) -> World:
    """Rank of this task and number of ranks, in the job and on its node. Raises RunError outside a job step."""
    size = _number(environment, "SLURM_NTASKS")
    nodes = _number(environment, "SLURM_NNODES")
    return World(
        rank=_number(environment, "SLURM_PROCID"),
        size=size,
        local_rank=_number(environment, "SLURM_LOCALID"),
        local_size=size // nodes,
        # A job that is queued again keeps its id: its tasks must not connect to those of the attempt before.
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
