"""What a process leaves that dies right after its run's result is written (torch only to convert a checkpoint).

The result is the last thing of a record. What stands beside it then and is no part of it: the claim, the last state of
training, half-written files, a report of failure. Older versions wrote the result before the slim checkpoint: of their
dead the checkpoint still holds the optimizer's state.
"""

from __future__ import annotations

import contextlib
import zipfile
from dataclasses import replace

from benchmark import claim
from benchmark.atomic import explained, remove_leftovers
from benchmark.errors import SuiteError
from benchmark.records import RunFolder


def tidy(folder: RunFolder, result: dict) -> None:
    """Remove what a dead process left beside a finished run's result. Does nothing where a process is at work, or
    nothing may be written.
    """
    if not _has_leftovers(folder):
        return
    with contextlib.suppress(SuiteError):
        held = claim.acquire(folder.path)
        try:
            remove(replace(folder, verify=held.verify), result)
        finally:
            held.release()


def remove(folder: RunFolder, result: dict) -> None:
    """The same for the process that holds the run. Raises RunError where something cannot be removed."""
    folder.verify()
    remove_leftovers(folder.path)
    if _holds_training_state(folder):
        _make_slim(folder, result)
    if folder.checkpoint.exists():
        with explained(folder.previous_checkpoint):
            folder.previous_checkpoint.unlink(missing_ok=True)
    with explained(folder.outcome):
        folder.outcome.unlink(missing_ok=True)


def _has_leftovers(folder: RunFolder) -> bool:
    if folder.previous_checkpoint.exists() or folder.outcome.exists() or claim.was_started(folder.path):
        return True
    return any(folder.path.glob(".*.tmp"))


def _holds_training_state(folder: RunFolder) -> bool:
    """Whether the checkpoint's table of contents names an optimizer."""
    try:
        with zipfile.ZipFile(folder.checkpoint) as archive:
            names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            return any(b"optimizer" in archive.read(name) for name in names)
    except Exception:  # whatever a damaged file raises: it stays as it is, and `evaluate` says so
        return False


def _make_slim(folder: RunFolder, result: dict) -> None:
    from benchmark import checkpoint

    state, _ = checkpoint.read(folder, result["config_hash"])
    if state and checkpoint.weights_sha256(state["model"]) == result["final_weights_sha256"]:
        checkpoint.save_slim(folder, {**state, "selections": checkpoint.selections(state)})
