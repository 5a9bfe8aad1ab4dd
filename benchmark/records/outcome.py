"""``outcome.json``: how an attempt at a run ended that did not end with a result (no torch)."""

from __future__ import annotations

from benchmark.atomic import write_json
from benchmark.records import lock, provenance
from benchmark.records.run_folder import RunFolder


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
