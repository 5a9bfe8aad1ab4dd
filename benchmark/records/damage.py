"""Damaged files of a run folder: detection, and renaming so that the next attempt can start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import NoneType

from benchmark.errors import RunError
from benchmark.reading import damage_text, explained, is_refusal, is_there, list_folder, open_file
from benchmark.records.run_folder import NOT_JSON, RunFolder, read_checked, set_aside
from benchmark.records.submission import read_checked_submission

# End states of an attempt without a result.
END_STATES = ("failed", "preempted")
NEXT_LAUNCH = "the next launch sets it aside and goes on"
_LOCK_BYTES = 2**16
_LOCK_SCHEMA = {"machine?": str, "host?": str, "pid?": int, "since?": float, "owner?": str}
_OUTCOME_SCHEMA = {"state": str, "time?": str, "owner?": str}  # and a message of any length
_HEARTBEAT_SCHEMA = dict.fromkeys(("time?", "seconds?"), float)
_CONFIG_SCHEMA = {
    "hash?": str,
    "identity?": dict,
    "data_fingerprint?": (str, NoneType),
    "way?": (dict, NoneType),
}


@dataclass(frozen=True)
class Damage:
    """A damaged file of a run folder. problem: description of the damage."""

    file: Path
    problem: str

    def __str__(self) -> str:
        return f"{self.file.name} is damaged: {self.problem}"


def folder_problem(folder: RunFolder) -> str:
    """Why a path is not a run folder, or "". Raises OSError if the system refuses to list it."""
    if not is_there(folder.path):
        return ""
    try:
        list_folder(folder.path)
    except OSError as error:
        if is_refusal(error):
            raise
        problem = damage_text(folder.path, error)
        return f"{folder.path} is not a run folder: {problem}; move it away, and the next launch makes one"
    return ""


def damaged_locks(folder: RunFolder) -> list[Damage]:
    """Lock files that no process of the suite wrote. Incomplete ones are valid: their process may have died."""
    damages = []
    for path in list_folder(folder.path):
        number = path.name.removeprefix("claim.")
        if path.name.startswith("claim.") and number.isascii() and number.isdigit():
            _, problem = read_checked(path, _LOCK_SCHEMA, _LOCK_BYTES)
            if problem and problem != NOT_JSON:
                damages.append(Damage(path, problem))
    return damages


def damaged_files(folder: RunFolder) -> list[Damage]:
    """Damaged files, except result and locks, that prevent reading the state of a run."""
    problems = {
        folder.config: read_checked(folder.config, _CONFIG_SCHEMA)[1],
        folder.submission: read_checked_submission(folder)[1],
        folder.outcome: _outcome_problem(folder),
    }
    return [Damage(path, problem) for path, problem in problems.items() if problem]


def require_readable(folder: RunFolder) -> None:
    """Raise RunError if the system refuses to read a file of the folder, whose content must not be overwritten."""
    with explained(folder.path):
        for path in (*_run_files(folder), folder.result):
            try:
                open_file(path).close()
            except OSError as error:
                if is_refusal(error):
                    raise


def is_repairable(folder: RunFolder) -> bool:
    """Whether a run can start in the folder after its damaged files are set aside."""
    try:
        return not folder_problem(folder) and require_readable(folder) is None
    except (OSError, RunError):
        return False


def set_locks_aside(folder: RunFolder) -> list[str]:
    """Rename damaged lock files and return a message for each. Another process may do the same at the same time."""
    messages = []
    for damage in damaged_locks(folder):
        try:
            messages.append(_set_aside(damage))
        except RunError:
            if is_there(damage.file):
                raise
    return messages


def set_files_aside(folder: RunFolder) -> list[str]:
    """Rename damaged files, and anything else with the name of a run's file; return a message for each.

    Only for the process that holds the run. The result is checked by ``run_folder.read_result``.
    """
    damages = damaged_files(folder)
    if problem := read_checked(folder.heartbeat, _HEARTBEAT_SCHEMA)[1]:  # it holds the time spent so far
        damages.append(Damage(folder.heartbeat, problem))
    for path in _run_files(folder):
        try:
            open_file(path).close()
        except OSError as error:
            if is_there(path) and path not in [damage.file for damage in damages]:
                damages.append(Damage(path, damage_text(path, error)))
    return [_set_aside(damage) for damage in damages]


def _outcome_problem(folder: RunFolder) -> str:
    outcome, problem = read_checked(folder.outcome, _OUTCOME_SCHEMA)
    if outcome is None:
        return problem
    if not isinstance(outcome.get("message"), str):
        return "it has no message"
    if outcome["state"] in END_STATES:
        return ""
    if outcome["state"] == "done":
        return "it says done, but there is no valid result.json"
    return f"state {outcome['state'][:40]!r}, expected {' or '.join(END_STATES)}"


def _run_files(folder: RunFolder) -> tuple[Path, ...]:
    """All files that a run writes, except its result."""
    return (
        folder.config, folder.provenance, folder.history, folder.checkpoint, folder.previous_checkpoint,
        folder.predictions, folder.outcome, folder.submission, folder.heartbeat, folder.log,
    )  # fmt: skip


def _set_aside(damage: Damage) -> str:
    return f"{damage}; it is set aside as {set_aside(damage.file, 'damaged').name}"
