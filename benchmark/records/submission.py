"""A run handed to a cluster: what its folder says of the job until the job speaks for itself (no torch)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from benchmark.atomic import write_json
from benchmark.errors import RunError
from benchmark.records import lock, provenance
from benchmark.records.run_folder import RunFolder, read_checked

SCHEMA = {
    **dict.fromkeys(("job", "name", "hash", "time", "user", "logs"), str),
    **dict.fromkeys(("gpus", "ranks"), int),
    "code": dict,
}
# 12, 12_3 of an array, 12+1 of a job of several parts. What goes into a command or a path's pattern is nothing else.
_JOB = re.compile(r"\d+([_+]\d+)*")


@dataclass(frozen=True)
class Submission:
    """The last submission of a run.

    job: the cluster's id, ``12_3`` for an array's element; name: the job's, unique to the submission (ids repeat
    when a controller is set up anew). hash: of the settings asked for then. code: as provenance.code gives it.
    gpus: of the whole job, 0 on CPUs; logs: the folder of the job's own output.
    """

    job: str
    name: str
    hash: str
    code: Mapping[str, object]
    time: str
    user: str
    gpus: int
    ranks: int
    logs: str

    @property
    def owner(self) -> str:
        """What claims and outcomes of the job's attempts carry."""
        return owner_of(self.job, self.name)


def owner_of(job: str, name: str) -> str:
    """The owner that a job's attempts give."""
    return f"job {job} ({name})"


def read_submission(folder: RunFolder) -> Submission | None:
    """The last submission, or None where there is none or it is not readable."""
    with contextlib.suppress(RunError):
        return read_with_problem(folder)[0]
    return None


def read_with_problem(folder: RunFolder) -> tuple[Submission | None, str]:
    """The last submission and "", or None and what is wrong with the file. Raises as ``records.read_checked``."""
    stored, problem = read_checked(folder.submission, SCHEMA)
    if stored is None:
        return None, problem
    if not _JOB.fullmatch(stored["job"]):
        return None, f"job {stored['job'][:40]!r}, expected a number like 12 or 12_3"
    if "\0" in stored["logs"] or not stored["name"].isprintable():
        return None, "name or logs hold a character that no name has"
    return Submission(**{field.name: stored[field.name] for field in fields(Submission)}), ""


def stored(submission: Submission) -> dict[str, object]:
    """As JSON values."""
    return asdict(submission)


# --- ``outcome.json``: how an attempt at a run ended that did not end with a result ---


def write_outcome(folder: RunFolder, state: str, message: str, owner: str) -> None:
    """state: ``failed`` or ``preempted``; owner: the launcher's name of the attempt.

    Raises as ``write_json``, and what ``folder.verify`` raises.
    """
    outcome = {"state": state, "message": message, "time": provenance.now(), "owner": owner}
    write_json(folder.outcome, outcome, verify=folder.verify)


def is_free_for(folder: RunFolder, owner: str) -> bool:
    """Whether a process that holds nothing may say how its launcher's attempt ended: nobody else is at work there, or
    has finished the run.
    """
    holder = lock.holder(folder.path)
    return not folder.result.exists() and (holder is None or holder.owner == owner)
