"""Arrays to SLURM, through submitit (no torch)."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import io
import shlex
import shutil
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import submitit
from submitit.core.utils import FailedJobError, FailedSubmissionError

from benchmark.atomic import explained, write_json
from benchmark.config.compute_setup import Tuning
from benchmark.errors import RunError
from benchmark.records import provenance
from benchmark.records.run_folder import RunFolder, read_json, set_aside
from benchmark.records.status import RunView
from benchmark.records.submission import Submission
from slurm.arrays import Array, device_of
from slurm.cluster import Cluster
from slurm.job import RunJob
from slurm.queue import SQUEUE, call, is_unreachable, parse_squeue, said_by, without_foreign

ROOT = provenance.ROOT


@dataclass(frozen=True)
class Order:
    """What all jobs of a launch have in common, as RunJob has it. device: auto, cpu or cuda."""

    profile: str
    runs: Path
    data: Path | None
    weights: Path | None
    overrides: str
    device: str
    workers: int | None
    checkpoint_seconds: float
    tuning: Tuning = field(default_factory=Tuning)
    trackers: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Where jobs' pickles, batch scripts and output go."""
        return folder_of(self.runs / self.profile)


class _Executor(submitit.SlurmExecutor):
    """submitit's own, which can also be asked what it would send where there is no SLURM."""

    @classmethod
    def affinity(cls) -> int:
        return 2

    def batch_script(self, runs: int) -> str:
        """The text that sbatch gets for so many runs."""
        if runs > 1:
            self.parameters["map_count"] = runs
        try:
            return self._make_submission_file_text(self._submitit_command_str, "")
        finally:
            self.parameters.pop("map_count", None)


def job_name(order: Order, array: Array, token: str) -> str:
    """Says whose it is in squeue, and is like no other."""
    return f"dcal-{order.profile}-{array.class_name}-{token}"


def rehearse(cluster: Cluster, array: Array, order: Order) -> str:
    """Exactly what ``send`` would hand to sbatch, but for the submission's own token, which is zeros here."""
    return _executor(cluster, array, order, job_name(order, array, "0" * 8)).batch_script(len(array.runs))


def send(cluster: Cluster, array: Array, order: Order, code: dict[str, object]) -> list[Submission]:
    """One sbatch call; every run's folder says afterwards which job it belongs to.

    Raises RunError with sbatch's own words if the site refuses.
    """
    if lacking := [name for name in ("sbatch", "srun") if shutil.which(name) is None]:
        raise RunError(
            f"no {lacking[0]} on this machine: submit from one that belongs to the cluster; DRY=1 works anywhere"
        )
    name = job_name(order, array, uuid.uuid4().hex[:8])
    executor = _executor(cluster, array, order, name)
    submitted = {**code, "time": provenance.now()}
    folders = [view.folder for view in array.runs]
    waiting = [
        Submission(
            job="", name=name, hash=view.config.hash, code=code, time=submitted["time"],
            user=getpass.getuser(),
            gpus=array.resources.nodes * array.resources.gpus_per_node, ranks=array.resources.ranks,
            logs=str(order.folder),
        )
        for view in array.runs
    ]  # fmt: skip
    handover = Handover(order.folder, folders, waiting)
    printed = io.StringIO()
    try:
        # submitit prints what sbatch says before it raises it.
        with contextlib.redirect_stderr(printed), without_foreign(), executor.batch():
            jobs = [
                executor.submit(_run_job(cluster, array, order, name, submitted, view)) for view in array.runs
            ]
    except (FailedJobError, FailedSubmissionError) as error:
        raise RunError(_refusal(array, cluster, f"{printed.getvalue()}\n{error}")) from error
    except BaseException:
        sys.stderr.write(printed.getvalue())
        raise
    sys.stderr.write(printed.getvalue())
    made = [replace(submission, job=job.job_id) for submission, job in zip(waiting, jobs, strict=True)]
    handover.complete(folders, made)
    return made


def _executor(cluster: Cluster, array: Array, order: Order, name: str) -> _Executor:
    if "%" in str(order.folder):
        raise RunError(
            f"{order.folder}: SLURM reads % in the path of a job's output as a placeholder; choose another RUNS"
        )
    asked = array.resources
    python = cluster.python or shlex.quote(sys.executable)
    executor = _Executor(order.folder, max_num_timeout=cluster.requeues, python=python)
    # srun does not take the batch script's number of CPUs over since SLURM 22.05.
    arguments = [f"--cpus-per-task={asked.cpus}"]
    if asked.ranks > 1:
        arguments.append("--kill-on-bad-exit=1")  # ranks that wait for a dead one would hold their GPUs
    executor.update_parameters(
        job_name=name,
        partition=asked.partition or None,
        account=asked.account or None,
        qos=asked.qos or None,
        constraint=asked.constraint or None,
        nodes=asked.nodes,
        ntasks_per_node=asked.tasks_per_node,
        gpus_per_node=asked.gpus or None,
        gres=asked.gres or None,
        cpus_per_task=asked.cpus,
        mem=asked.memory or None,
        time=array.minutes,
        signal_delay_s=cluster.notice_seconds,
        array_parallelism=array.parallel,
        setup=list(asked.setup) or None,
        srun_args=[*arguments, *asked.srun],
        stderr_to_stdout=True,
        wckey=None,  # submitit's own name for it means nothing to a site
        additional_parameters={
            **asked.extra,
            "chdir": str(ROOT),
            ("requeue" if cluster.requeues else "no-requeue"): True,  # a node that fails gives its jobs back
        },
    )
    return executor


def _run_job(
    cluster: Cluster, array: Array, order: Order, name: str, submitted: dict[str, object], view: RunView
) -> RunJob:
    return RunJob(
        name=name,
        cell=view.cell.id,
        seed=view.seed,
        profile=order.profile,
        runs=str(order.runs),
        data=str(order.data or ""),
        weights=str(order.weights or ""),
        overrides=order.overrides,
        device=device_of(array.resources, order.device),
        cpus=array.resources.cpus,
        workers=order.workers,
        scratch=array.resources.scratch,
        requeues=cluster.requeues,
        checkpoint_seconds=order.checkpoint_seconds,
        submitted=submitted,
        tuning=str(order.tuning),
        trackers=" ".join(order.trackers),
    )


def _refusal(array: Array, cluster: Cluster, said: str) -> str:
    """Why an array was not sent, and what to do. said: by sbatch."""
    what = f"{len(array.runs)} runs of class {array.class_name!r}"
    found = "should the jobs be queued all the same, the next launch finds them"
    text = said_by("sbatch", said)
    if is_unreachable(text):
        return (
            f"SLURM does not answer, {what} are not sent: {text}. Submit again once `squeue` answers; {found}"
        )
    return f"sbatch refused {what}: {text}. Mend {cluster.file} and submit again; {found}"


# --- Which runs an sbatch call took, written down before it is made ---


def folder_of(profile_runs: Path) -> Path:
    """Where jobs' pickles, batch scripts and output go, what is being handed over, and the launchers' lock."""
    return profile_runs / "slurm"


class Handover:
    """The runs of one array on their way. folder: as folder_of gives it; submissions: the runs', in the array's order,
    as yet without a job."""

    def __init__(self, folder: Path, folders: Sequence[RunFolder], submissions: Sequence[Submission]) -> None:
        self._file = folder / f"{submissions[0].name}.handover.json"
        runs = [
            {"folder": str(run.path), "submission": asdict(submission)}
            for run, submission in zip(folders, submissions, strict=True)
        ]
        write_json(self._file, {"name": submissions[0].name, "runs": runs})

    def complete(self, folders: Sequence[RunFolder], submissions: Sequence[Submission]) -> None:
        """Every run's folder knows its job from now on."""
        for folder, submission in zip(folders, submissions, strict=True):
            folder.make()
            write_json(folder.submission, asdict(submission))
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
