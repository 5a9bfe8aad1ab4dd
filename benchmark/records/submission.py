"""Submission of a run to a cluster, recorded in its run folder, and the outcome of an attempt without a result."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from benchmark.atomic import write_json
from benchmark.errors import RunError
from benchmark.records import lock, provenance
from benchmark.records.run_folder import RunFolder, read_checked

SCHEMA = {
    **dict.fromkeys(("job", "name", "hash", "time", "user", "logs"), str),
    **dict.fromkeys(("gpus", "ranks"), int),
    "code": dict,
}
# 12, 12_3 of an array, 12+1 of a heterogeneous job. Only this goes into commands and path patterns.
_JOB = re.compile(r"\d+([_+]\d+)*")


@dataclass(frozen=True)
class Submission:
    """The last submission of a run.

    job: id of the job, ``12_3`` for an array element.
    name: of the job, unique to the submission; ids start again when a controller is set up anew.
    hash: of the requested settings.
    code: as of ``provenance.code_state``.
    time: of the submission, ISO 8601.
    gpus: of the whole job, 0 for CPUs.
    logs: folder of the job's own output.
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
        """Owner in the locks and outcomes of the job's attempts."""
        return job_owner(self.job, self.name)


def job_owner(job: str, name: str) -> str:
    """Owner of a job's attempts, as written to locks and outcomes."""
    return f"job {job} ({name})"


def read_submission(folder: RunFolder) -> Submission | None:
    """Read the last submission; None if there is none or it is not readable."""
    with contextlib.suppress(RunError):
        return read_checked_submission(folder)[0]
    return None


def read_checked_submission(folder: RunFolder) -> tuple[Submission | None, str]:
    """Read the last submission: it and "", or None and what is wrong. Raises as ``run_folder.read_checked``."""
    record, problem = read_checked(folder.submission, SCHEMA)
    if record is None:
        return None, problem
    if not _JOB.fullmatch(record["job"]):
        return None, f"job {record['job'][:40]!r}, expected a number like 12 or 12_3"
    if "\0" in record["logs"] or not record["name"].isprintable():
        return None, "name or logs hold a character that no name has"
    return Submission(**{field.name: record[field.name] for field in fields(Submission)}), ""


# --- ``outcome.json``: end of an attempt without a result ---


def write_outcome(folder: RunFolder, state: str, message: str, owner: str) -> None:
    """Write how an attempt ended.

    state: ``failed`` or ``preempted``.
    owner: the launcher's name of the attempt.
    Raises as ``write_json`` and ``folder.verify``.
    """
    outcome = {"state": state, "message": message, "time": provenance.now(), "owner": owner}
    write_json(folder.outcome, outcome, verify=folder.verify)


def may_write_outcome(folder: RunFolder, owner: str) -> bool:
    """Whether a process without the lock may write the outcome of its launcher's attempt.

    It may if the run has no result and no process of another owner holds it.
    """
    holder = lock.holder(folder.path)
    return not folder.result.exists() and (holder is None or holder.owner == owner)
