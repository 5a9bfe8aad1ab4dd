"""What SLURM says of jobs: one squeue call, and one sacct call where the site keeps accounts (no torch)."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from slurm.environment import own_environment

TIMEOUT_SECONDS = 60
_SQUEUE = "%i|%j|%T|%N|%r"
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
    listed, problem = call(["squeue", "-h", "-r", "-t", "all", "-o", _SQUEUE, "-j", ",".join(masters)])
    if "Invalid job id" in problem:  # the answer to a single id that the controller has forgotten
        listed, problem = "", ""
    if problem:
        return Queue({}, problem)
    # The site may keep no accounts: then result files, run folders and squeue have to do.
    accounts, _ = call(["sacct", "-n", "-P", "-X", "-o", _SACCT, "-j", ",".join(masters)])
    return Queue({**parse_sacct(accounts), **parse_squeue(listed)})


def parse_squeue(text: str) -> dict[str, Job]:
    """Jobs by id from squeue's lines."""
    jobs = {}
    for line in text.splitlines():
        id, name, state, where, reason = (part.strip() for part in line.split("|", 4))
        for one in expand(id):
            jobs[one] = Job(one, name, state.upper(), where, "" if reason == "None" else reason)
    return jobs


def parse_sacct(text: str) -> dict[str, Job]:
    """Jobs by id, each in its last state, from sacct's lines."""
    jobs = {}
    for line in text.splitlines():
        id, name, state, where = (part.strip() for part in line.split("|", 3))
        word = state.split()[0].upper() if state else ""  # "CANCELLED by 1000"
        for one in expand(id):
            jobs[one] = Job(one, name, word, "" if where == "None assigned" else where)
    return jobs


def expand(id: str) -> list[str]:
    """``12_[1,4-6%3]`` to its elements; any other id is its own."""
    match = re.fullmatch(r"(\d+)_\[([\d,-]+)(?:%\d+)?\]", id)
    if not match:
        return [id]
    elements = []
    for part in match[2].split(","):
        first, _, last = part.partition("-")
        elements += [f"{match[1]}_{number}" for number in range(int(first), int(last or first) + 1)]
    return elements


def call(command: list[str]) -> tuple[str, str]:
    """Output and "", or "" and what went wrong."""
    if shutil.which(command[0]) is None:
        return "", f"no {command[0]} on this machine"
    try:
        done = subprocess.run(
            command, env=own_environment(), capture_output=True, text=True, timeout=TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired:
        return "", f"{command[0]} did not answer within {TIMEOUT_SECONDS} s"
    if done.returncode:
        return "", f"{command[0]}: {done.stderr.strip() or f'exit status {done.returncode}'}"
    return done.stdout, ""
