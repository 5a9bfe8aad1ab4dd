"""What SLURM says of jobs: one squeue call, and one sacct call where the site keeps accounts (no torch)."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace

from slurm.environment import own_environment
from slurm.job_states import kind
from slurm.words import said_by

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
