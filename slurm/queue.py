"""State of jobs in SLURM: one squeue call, and one sacct call where the site keeps accounts."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

TIMEOUT_SECONDS = 60
SQUEUE = "%i|%j|%T|%N|%r"
_SACCT = "JobID,JobName,State,NodeList"


@dataclass(frozen=True)
class Job:
    """One job or array element. state: SLURM's word. nodes: as SLURM names them. reason: why it waits or ended."""

    id: str
    name: str
    state: str
    nodes: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Queue:
    """Answer of SLURM. jobs: id → job, squeue's state before sacct's. problem: why squeue did not answer, or ""."""

    jobs: dict[str, Job]
    problem: str = ""

    def job(self, id: str, name: str) -> Job | None:
        """Job with this id and name, else None: a new controller gives the same ids again.

        For an array that was cancelled before it began, SLURM has one line without the elements.
        """
        job = self.jobs.get(id) or self.jobs.get(id.partition("_")[0])
        return job if job and job.name == name else None


def query_jobs(ids: Iterable[str]) -> Queue:
    """Query SLURM about jobs and array elements, ``12`` or ``12_3``; makes no call for no ids."""
    masters = sorted({master for id in ids if (master := id.partition("_")[0]).isdigit()}, key=int)
    if not masters:
        return Queue({})
    listed, problem = run_command(["squeue", "-h", "-t", "all", "-o", SQUEUE, "-j", ",".join(masters)])
    if "Invalid job id" in problem:  # the answer for a single id that the controller no longer has
        listed, problem = "", ""
    if problem:
        return Queue({}, problem)
    # A site without accounts: run folders and squeue are the only sources.
    accounts, _ = run_command(["sacct", "-n", "-P", "-X", "-o", _SACCT, "-j", ",".join(masters)])
    # Only squeue decides which jobs are alive: accounts lag behind, and show jobs that a controller lost as running
    # for ever.
    ended = {
        id: job
        for id, job in parse_sacct(accounts).items()
        if job_phase(job.state) not in ("waiting", "running")
    }
    return Queue({**ended, **parse_squeue(listed)})


def parse_squeue(text: str) -> dict[str, Job]:
    """Id → job, from the output of squeue."""
    jobs = []
    for line in text.splitlines():
        id, name, state, nodes, reason = (part.strip() for part in line.split("|", 4))
        jobs.append(Job(id, name, state.upper(), nodes, "" if reason == "None" else reason))
    return _expand_arrays(jobs)


def parse_sacct(text: str) -> dict[str, Job]:
    """Id → job in its last state, from the output of sacct."""
    jobs = []
    for line in text.splitlines():
        id, name, state, nodes = (part.strip() for part in line.split("|", 3))
        state = state.split()[0].upper() if state else ""  # "CANCELLED by 1000"
        jobs.append(Job(id, name, state, "" if nodes == "None assigned" else nodes))
    return _expand_arrays(jobs)


def _expand_arrays(lines: Iterable[Job]) -> dict[str, Job]:
    """Id → job. An element without a line of its own gets the line of its array, which is older than the others."""
    jobs = {job.id: job for job in lines}
    for job in tuple(jobs.values()):
        for element in expand_array_id(job.id):
            jobs.setdefault(element, replace(job, id=element))
    return {id: job for id, job in jobs.items() if "[" not in id}


def expand_array_id(id: str) -> list[str]:
    """Ids of the elements of ``12_[1,4-6%3]`` or ``12_[0-8:2]``; any other id alone."""
    match = re.fullmatch(r"(\d+)_\[([\d,:-]+)(?:%\d+)?\]", id)
    if not match:
        return [id]
    elements = []
    for part in match[2].split(","):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        elements += [
            f"{match[1]}_{number}" for number in range(int(first), int(last or first) + 1, int(step or 1))
        ]
    return elements


def run_command(command: list[str]) -> tuple[str, str]:
    """Run one of SLURM's commands; returns (output, "") or ("", error message)."""
    if shutil.which(command[0]) is None:
        return "", f"no {command[0]} on this machine"
    # 0: the whole list of an array's waiting elements, of which SLURM shows only 64 characters by default. squeue -r
    # would write one line for each, but loses the last one of some lists (22.05).
    environment = {**slurm_environment(), "SLURM_BITSTR_LEN": "0"}
    try:
        process = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired:
        return "", f"{command[0]} did not answer within {TIMEOUT_SECONDS} s"
    if process.returncode:
        return "", command_message(command[0], process.stderr or f"exit status {process.returncode}")
    return process.stdout, ""


# --- Job states of SLURM (all of the manual pages of squeue and sacct), by their meaning for a run ---

WAITING_STATES = (
    "PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT",
    "POWER_UP_NODE",
)  # fmt: skip
RUNNING_STATES = (
    "RUNNING", "COMPLETING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED", "RESIZING", "UPDATE_DB", "EXPEDITING",
)  # fmt: skip
END_MESSAGES = {
    "COMPLETED": "ended without a result",
    "BOOT_FAIL": "its node failed to boot",
    "CANCELLED": "cancelled",
    "DEADLINE": "ended at its deadline",
    "FAILED": "ended with an error before the run could say which",
    "LAUNCH_FAILED": "its node could not start it",
    "NODE_FAIL": "its node failed",
    "OUT_OF_MEMORY": "killed for want of memory: raise memory in the cluster file",
    "PREEMPTED": "preempted and not queued again by the site",
    "RECONFIG_FAIL": "its node could not be set up",
    "REVOKED": "moved to another cluster",
    "TIMEOUT": "ended at its time limit",
}


def job_phase(state: str) -> str:
    """``waiting``, ``running``, ``ended``, or ``unknown`` for a word that is not in these lists."""
    if state in WAITING_STATES:
        return "waiting"
    if state in RUNNING_STATES:
        return "running"
    return "ended" if state in END_MESSAGES else "unknown"


# --- Environment of SLURM's commands, without variables that would change what they do ---

# Variables of a job from which somebody launches (its ids and memory would pass to the new jobs), and defaults for
# options, which would override the cluster file or hide jobs from squeue.
_FOREIGN = ("SLURM_", "SBATCH_", "SRUN_", "SQUEUE_", "SACCT_", "SCANCEL_", "SUBMITIT_")
_REQUIRED = ("SLURM_CONF",)


def slurm_environment() -> dict[str, str]:
    """os.environ without the foreign variables."""
    return {name: value for name, value in os.environ.items() if not _is_foreign(name)}


@contextmanager
def foreign_variables_removed() -> Iterator[None]:
    """Remove the foreign variables from os.environ for the duration of the context."""
    removed = {name: os.environ.pop(name) for name in tuple(os.environ) if _is_foreign(name)}
    try:
        yield
    finally:
        os.environ.update(removed)


def _is_foreign(name: str) -> bool:
    return name.startswith(_FOREIGN) and name not in _REQUIRED


# --- Error messages of SLURM's commands, and what to do where its controller does not answer ---

# From protocol errors of SLURM 20 to 25; the last one is ``run_command``'s, for a command that hangs.
_UNREACHABLE = (
    "unable to contact",
    "connection refused",
    "connect failure",
    "timed out",
    "zero bytes",
    "communication connection failure",
    "did not answer within",
)
UNREACHABLE_ADVICE = "the same command does the rest once `squeue` answers"
ELSEWHERE_ADVICE = "run it on a machine that belongs to the cluster"


def command_message(command: str, text: str) -> str:
    """Error output of a command on one line, ``squeue: error: …``, without repeated lines."""
    lines = dict.fromkeys(line.strip() for line in text.splitlines() if line.strip())
    message = "; ".join(lines)
    return message if message.startswith(f"{command}:") else f"{command}: {message}"


def is_unreachable(text: str) -> bool:
    """Whether the message says that the controller did not answer, in contrast to a refusal."""
    return any(word in text.lower() for word in _UNREACHABLE)


def advice(text: str) -> str:
    """What to do about a failed query of SLURM; "" where nothing is known."""
    return UNREACHABLE_ADVICE if is_unreachable(text) else ELSEWHERE_ADVICE if text.startswith("no ") else ""
