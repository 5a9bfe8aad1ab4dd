"""What a process leaves that dies right after its run's result is written (torch only to convert a checkpoint).

The result is the last thing of a record. What stands beside it then and is no part of it: the claim, the last state of
training, half-written files, a report of failure. Older versions wrote the result before the slim checkpoint: of their
dead the checkpoint still holds the optimizer's state.
"""

from __future__ import annotations

import contextlib
import logging
import zipfile
from collections.abc import Iterable
from dataclasses import replace

from benchmark.atomic import explained, remove_leftovers
from benchmark.errors import SuiteError
from benchmark.records import lock
from benchmark.records.run_folder import RunFolder
from benchmark.records.status import RunView

logger = logging.getLogger("benchmark")


def tidy_done(views: Iterable[RunView]) -> None:
    """Remove it from the finished runs among these, where no process is at work and this user may write."""
    for view in views:
        if view.result is not None and _has_leftovers(view.folder):
            with contextlib.suppress(SuiteError):
                # Not watched: the result was written last, so a process that is dead by its age loses nothing here.
                held = lock.acquire(view.folder.path, watch=False)
                try:
                    remove(replace(view.folder, verify=held.verify), view.result)
                finally:
                    held.release()


def remove(folder: RunFolder, result: dict) -> None:
    """Remove it from the folder of a finished run that this process holds. What cannot be removed stays, with a
    warning: the run is done. Raises LockHeld if another process has taken the folder over.
    """
    try:
        _remove(folder, result)
    except lock.LockHeld:
        raise
    except SuiteError as error:
        logger.warning(
            "the run is done, and what it does not need any more is left beside its result: %s", error
        )


def _remove(folder: RunFolder, result: dict) -> None:
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
    if folder.previous_checkpoint.exists() or folder.outcome.exists() or lock.was_started(folder.path):
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
    from benchmark.training import checkpoint

    state, _ = checkpoint.read(folder, result["config_hash"])
    if state and checkpoint.weights_sha256(state["model"]) == result["final_weights_sha256"]:
        checkpoint.save_slim(folder, {**state, "selections": checkpoint.selections(state)})
