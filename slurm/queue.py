"""What SLURM says of jobs: one squeue call, and one sacct call where the site keeps accounts (no torch)."""

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
    """One job or array element. state: SLURM's word; where: its nodes; reason: why it waits or ended."""

    id: str
    name: str
    state: str
    where: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Queue:
    """What could be learnt. jobs: by id, squeue's word before sacct's. problem: why squeue did not answer, or ""."""

    jobs: dict[str, Job]
    problem: str = ""

    def job(self, id: str, name: str) -> Job | None:
        """A job by its id, if it is the one of that name: ids start anew with a new controller.

        What is left of an array that ended before it began is one line without its elements.
        """
        found = self.jobs.get(id) or self.jobs.get(id.partition("_")[0])
        return found if found and found.name == name else None


def ask(ids: Iterable[str]) -> Queue:
    """Ask SLURM about jobs and array elements, ``12`` or ``12_3``; no call at all if there are none."""
    masters = sorted({master for id in ids if (master := id.partition("_")[0]).isdigit()}, key=int)
    if not masters:
        return Queue({})
    listed, problem = call(["squeue", "-h", "-t", "all", "-o", SQUEUE, "-j", ",".join(masters)])
    if "Invalid job id" in problem:  # the answer to a single id that the controller has forgotten
        listed, problem = "", ""
    if problem:
        return Queue({}, problem)
    # The site may keep no accounts: then result files, run folders and squeue have to do.
    accounts, _ = call(["sacct", "-n", "-P", "-X", "-o", _SACCT, "-j", ",".join(masters)])
    # Who lives squeue alone decides: accounts lag behind, and keep jobs that a controller has lost as running for ever.
    ended = {
        id: job for id, job in parse_sacct(accounts).items() if kind(job.state) not in ("waits", "works")
    }
    return Queue({**ended, **parse_squeue(listed)})


def parse_squeue(text: str) -> dict[str, Job]:
    """Jobs by id from squeue's lines."""
    found = []
    for line in text.splitlines():
        id, name, state, where, reason = (part.strip() for part in line.split("|", 4))
        found.append(Job(id, name, state.upper(), where, "" if reason == "None" else reason))
    return _by_element(found)


def parse_sacct(text: str) -> dict[str, Job]:
    """Jobs by id, each in its last state, from sacct's lines."""
    found = []
    for line in text.splitlines():
        id, name, state, where = (part.strip() for part in line.split("|", 3))
        word = state.split()[0].upper() if state else ""  # "CANCELLED by 1000"
        found.append(Job(id, name, word, "" if where == "None assigned" else where))
    return _by_element(found)


def _by_element(found: Iterable[Job]) -> dict[str, Job]:
    """The line of many elements is for those that have none of their own: it is the older one."""
    jobs = {job.id: job for job in found}
    for job in tuple(jobs.values()):
        for one in expand(job.id):
            jobs.setdefault(one, replace(job, id=one))
    return {id: job for id, job in jobs.items() if "[" not in id}


def expand(id: str) -> list[str]:
    """``12_[1,4-6%3]`` and ``12_[0-8:2]`` to their elements; any other id is its own."""
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


def call(command: list[str]) -> tuple[str, str]:
    """Output and "", or "" and what went wrong."""
    if shutil.which(command[0]) is None:
        return "", f"no {command[0]} on this machine"
    # The whole list of an array's waiting elements, of which SLURM shows 64 characters otherwise. squeue -r, which
    # would write each on a line, loses the last one of some lists (22.05).
    environment = {**own_environment(), "SLURM_BITSTR_LEN": "0"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired:
        return "", f"{command[0]} did not answer within {TIMEOUT_SECONDS} s"
    if done.returncode:
        return "", said_by(command[0], done.stderr or f"exit status {done.returncode}")
    return done.stdout, ""


# --- SLURM's job states by what they mean for a run ---

# Every job state of SLURM's squeue and sacct pages, by what it means for a run. The first two are alive.
WAITS = (
    "PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT",
    "POWER_UP_NODE",
)  # fmt: skip
WORKS = (
    "RUNNING", "COMPLETING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED", "RESIZING", "UPDATE_DB", "EXPEDITING",
)  # fmt: skip
ENDED = {
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


def kind(state: str) -> str:
    """``waits``, ``works``, ``ended``, or ``unknown`` for a word that this list does not have."""
    if state in WAITS:
        return "waits"
    if state in WORKS:
        return "works"
    return "ended" if state in ENDED else "unknown"


# --- The environment for SLURM's commands: what a job or a user's defaults put there would steer them ---

# Of a job from which somebody launches (its ids and memory would become the new jobs'), and defaults for options,
# which would override the cluster file or hide jobs from squeue.
_FOREIGN = ("SLURM_", "SBATCH_", "SRUN_", "SQUEUE_", "SACCT_", "SCANCEL_", "SUBMITIT_")
_NEEDED = ("SLURM_CONF",)


def own_environment() -> dict[str, str]:
    """os.environ without them."""
    return {name: value for name, value in os.environ.items() if not _is_foreign(name)}


@contextmanager
def without_foreign() -> Iterator[None]:
    """The same for what reads os.environ itself."""
    kept = {name: os.environ.pop(name) for name in tuple(os.environ) if _is_foreign(name)}
    try:
        yield
    finally:
        os.environ.update(kept)


def _is_foreign(name: str) -> bool:
    return name.startswith(_FOREIGN) and name not in _NEEDED


# --- What SLURM's commands say, each line once, and what to do where its controller does not answer ---

# As SLURM 20 to 25 say it in protocol errors, and ``slurm.queue`` of a command that hangs.
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


def said_by(command: str, text: str) -> str:
    """``squeue: error: …``: what a command wrote to stderr, on one line, without lines that repeat one before them."""
    lines = dict.fromkeys(line.strip() for line in text.splitlines() if line.strip())
    whole = "; ".join(lines)
    return whole if whole.startswith(f"{command}:") else f"{command}: {whole}"


def is_unreachable(text: str) -> bool:
    """Whether this says that the controller did not answer, and not that it refused."""
    return any(word in text.lower() for word in _UNREACHABLE)


def advice(text: str) -> str:
    """What to do about a problem in asking SLURM."""
    return UNREACHABLE_ADVICE if is_unreachable(text) else ELSEWHERE_ADVICE if text.startswith("no ") else ""
