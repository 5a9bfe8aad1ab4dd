"""Submission of job arrays to SLURM, through submitit."""

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
from slurm.arrays import Array, training_device
from slurm.cluster import Cluster
from slurm.job import RunJob
from slurm.queue import (
    SQUEUE,
    command_message,
    foreign_variables_removed,
    is_unreachable,
    parse_squeue,
    run_command,
)

ROOT = provenance.ROOT


@dataclass(frozen=True)
class LaunchSettings:
    """Settings that all jobs of a launch have in common; fields as in RunJob. device: auto, cpu or cuda."""

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
        """Folder of the jobs' pickles, batch scripts and output."""
        return jobs_folder(self.runs / self.profile)


class _Executor(submitit.SlurmExecutor):
    """submitit's executor, which can also give the batch script without SLURM."""

    @classmethod
    def affinity(cls) -> int:
        return 2

    def batch_script(self, runs: int) -> str:
        """Text that sbatch gets. runs: number of jobs of the array."""
        if runs > 1:
            self.parameters["map_count"] = runs
        try:
            return self._make_submission_file_text(self._submitit_command_str, "")
        finally:
            self.parameters.pop("map_count", None)


def job_name(settings: LaunchSettings, array: Array, token: str) -> str:
    """Name of the array in squeue. token: makes it unique."""
    return f"dcal-{settings.profile}-{array.class_name}-{token}"


def batch_script(cluster: Cluster, array: Array, settings: LaunchSettings) -> str:
    """Batch script that ``submit_array`` would give to sbatch, with zeros for the token in the job's name."""
    return _executor(cluster, array, settings, job_name(settings, array, "0" * 8)).batch_script(
        len(array.runs)
    )


def submit_array(
    cluster: Cluster, array: Array, settings: LaunchSettings, code: dict[str, object]
) -> list[Submission]:
    """Submit an array with one sbatch call and write each job's id into its run folder.

    code: of ``provenance.code``. Raises RunError with sbatch's message if the site refuses.
    """
    if lacking := [name for name in ("sbatch", "srun") if shutil.which(name) is None]:
        raise RunError(
            f"no {lacking[0]} on this machine: submit from one that belongs to the cluster; DRY=1 works anywhere"
        )
    name = job_name(settings, array, uuid.uuid4().hex[:8])
    executor = _executor(cluster, array, settings, name)
    submitted = {**code, "time": provenance.now()}
    folders = [view.folder for view in array.runs]
    submissions = [
        Submission(
            job="", name=name, hash=view.config.hash, code=code, time=submitted["time"],
            user=getpass.getuser(),
            gpus=array.resources.nodes * array.resources.gpus_per_node, ranks=array.resources.ranks,
            logs=str(settings.folder),
        )
        for view in array.runs
    ]  # fmt: skip
    handover = Handover(settings.folder, folders, submissions)
    printed = io.StringIO()
    try:
        # submitit prints sbatch's message before it raises an error with it.
        with contextlib.redirect_stderr(printed), foreign_variables_removed(), executor.batch():
            jobs = [
                executor.submit(_run_job(cluster, array, settings, name, submitted, view))
                for view in array.runs
            ]
    except (FailedJobError, FailedSubmissionError) as error:
        raise RunError(_refusal(array, cluster, f"{printed.getvalue()}\n{error}")) from error
    except BaseException:
        sys.stderr.write(printed.getvalue())
        raise
    sys.stderr.write(printed.getvalue())
    submissions = [
        replace(submission, job=job.job_id) for submission, job in zip(submissions, jobs, strict=True)
    ]
    handover.complete(folders, submissions)
    return submissions


def _executor(cluster: Cluster, array: Array, settings: LaunchSettings, name: str) -> _Executor:
    if "%" in str(settings.folder):
        raise RunError(
            f"{settings.folder}: SLURM reads % in the path of a job's output as a placeholder; choose another RUNS"
        )
    resources = array.resources
    python = cluster.python or shlex.quote(sys.executable)
    executor = _Executor(settings.folder, max_num_timeout=cluster.requeues, python=python)
    # Since SLURM 22.05, srun does not take the number of CPUs from the batch script.
    arguments = [f"--cpus-per-task={resources.cpus}"]
    if resources.ranks > 1:
        arguments.append("--kill-on-bad-exit=1")  # else ranks that wait for a dead one would keep their GPUs
    executor.update_parameters(
        job_name=name,
        partition=resources.partition or None,
        account=resources.account or None,
        qos=resources.qos or None,
        constraint=resources.constraint or None,
        nodes=resources.nodes,
        ntasks_per_node=resources.tasks_per_node,
        gpus_per_node=resources.gpus or None,
        gres=resources.gres or None,
        cpus_per_task=resources.cpus,
        mem=resources.memory or None,
        time=array.minutes,
        signal_delay_s=cluster.notice_seconds,
        array_parallelism=array.parallel,
        setup=list(resources.setup) or None,
        srun_args=[*arguments, *resources.srun],
        stderr_to_stdout=True,
        wckey=None,  # the default is submitit's name, which sites do not know
        additional_parameters={
            **resources.extra,
            "chdir": str(ROOT),
            # With requeue, the jobs of a failed node return to the queue.
            ("requeue" if cluster.requeues else "no-requeue"): True,
        },
    )
    return executor


def _run_job(
    cluster: Cluster,
    array: Array,
    settings: LaunchSettings,
    name: str,
    submitted: dict[str, object],
    view: RunView,
) -> RunJob:
    return RunJob(
        name=name,
        cell=view.cell.id,
        seed=view.seed,
        profile=settings.profile,
        runs=str(settings.runs),
        data=str(settings.data or ""),
        weights=str(settings.weights or ""),
        overrides=settings.overrides,
        device=training_device(array.resources, settings.device),
        cpus=array.resources.cpus,
        workers=settings.workers,
        scratch=array.resources.scratch,
        requeues=cluster.requeues,
        checkpoint_seconds=settings.checkpoint_seconds,
        submitted=submitted,
        tuning=str(settings.tuning),
        trackers=" ".join(settings.trackers),
    )


def _refusal(array: Array, cluster: Cluster, output: str) -> str:
    """Error message for an array that was not submitted. output: of sbatch."""
    runs = f"{len(array.runs)} runs of class {array.class_name!r}"
    next_launch = "should the jobs be queued all the same, the next launch finds them"
    text = command_message("sbatch", output)
    if is_unreachable(text):
        return f"SLURM does not answer, {runs} are not sent: {text}. Submit again once `squeue` answers; {next_launch}"
    return f"sbatch refused {runs}: {text}. Mend {cluster.file} and submit again; {next_launch}"


# --- Runs of an sbatch call, written to a file before the call: a launcher may die before it knows the jobs ---


def jobs_folder(profile_runs: Path) -> Path:
    """Folder of the jobs' pickles, batch scripts and output, of handover files and of the launchers' lock."""
    return profile_runs / "slurm"


class Handover:
    """File with the runs of one array, from before the sbatch call until their folders have the job's id.

    folder: from ``jobs_folder``. folders: of the runs. submissions: of the runs in the array's order, without job ids.
    """

    def __init__(self, folder: Path, folders: Sequence[RunFolder], submissions: Sequence[Submission]) -> None:
        self._file = folder / f"{submissions[0].name}.handover.json"
        runs = [
            {"folder": str(run.path), "submission": asdict(submission)}
            for run, submission in zip(folders, submissions, strict=True)
        ]
        write_json(self._file, {"name": submissions[0].name, "runs": runs})

    def complete(self, folders: Sequence[RunFolder], submissions: Sequence[Submission]) -> None:
        """Write the submissions, now with job ids, into the run folders, and remove the file."""
        for folder, submission in zip(folders, submissions, strict=True):
            folder.make()
            write_json(folder.submission, asdict(submission))
        self._file.unlink(missing_ok=True)


@contextlib.contextmanager
def launch_lock(folder: Path) -> Iterator[None]:
    """Lock between launchers over the same runs: the second one sees what the first has submitted."""
    with explained(folder / "lock"):
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / "lock", "a")
    with lock:
        # Some network file systems have no locks: there the locks in the run folders prevent that a run runs twice.
        with contextlib.suppress(OSError):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("another launch over these runs is under way; waiting for its end", file=sys.stderr)
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def recover_handovers(folder: Path) -> None:
    """Write the job ids of broken-off launches, and of sbatch calls that failed, into the run folders.

    folder: from ``jobs_folder``; the caller holds ``launch_lock``. Raises RunError where SLURM does not answer: the
    runs could be submitted twice.
    """
    for file in sorted(folder.glob("*.handover.json")):
        handover = read_json(file) or {}
        try:
            output, problem = run_command(["squeue", "-h", "-o", SQUEUE, "--name", handover["name"]])
            if problem:
                raise RunError(
                    f"a launch that broke off left {file.name}, and its jobs cannot be asked for: {problem}"
                )
            for id in parse_squeue(output):
                number = int(id.partition("_")[2] or 0)
                run = RunFolder(Path(handover["runs"][number]["folder"]))
                run.make()
                write_json(run.submission, {**handover["runs"][number]["submission"], "job": id})
        except (LookupError, TypeError, ValueError):
            renamed = set_aside(file, "damaged").name
            print(f"{file} is no handover of runs: set aside as {renamed}", file=sys.stderr)
        file.unlink(missing_ok=True)
