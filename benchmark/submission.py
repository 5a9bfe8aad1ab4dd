"""A run handed to a cluster: what its folder says of the job until the job speaks for itself (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from benchmark.records import RunFolder, read_json


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
    stored = read_json(folder.submission) or {}
    try:
        return Submission(**{field.name: stored[field.name] for field in fields(Submission)})
    except KeyError:
        return None


def stored(submission: Submission) -> dict[str, object]:
    """As JSON values."""
    return asdict(submission)
