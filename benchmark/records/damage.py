"""Damaged files of a run folder: what is wrong with them, and how they get out of the next attempt's way (no torch)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import NoneType

from benchmark.errors import RunError
from benchmark.reading import damage_text, explained, is_refusal, is_there, list_folder, open_file
from benchmark.records.run_folder import NOT_JSON, RunFolder, read_checked, set_aside
from benchmark.records.submission import read_with_problem

# How an attempt can end that did not end with a result.
ENDS = ("failed", "preempted")
NEXT = "the next launch sets it aside and goes on"
_CLAIM_BYTES = 2**16
_CLAIM = {"machine?": str, "host?": str, "pid?": int, "since?": float, "owner?": str}
_OUTCOME = {"state": str, "time?": str, "owner?": str}  # and a message of any length
_HEARTBEAT = dict.fromkeys(("time?", "seconds?"), float)
_CONFIG = {
    "hash?": str,
    "identity?": dict,
    "data_fingerprint?": (str, NoneType),
    "way?": (dict, NoneType),
}


@dataclass(frozen=True)
class Damage:
    """A file of a run folder that is not what the suite writes there. problem: in words."""

    file: Path
    problem: str

    def __str__(self) -> str:
        return f"{self.file.name} is damaged: {self.problem}"


def folder_problem(folder: RunFolder) -> str:
    """Why a path that should be a run folder is none, or "". Raises OSError where the system refuses to list it."""
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


def damaged_claims(folder: RunFolder) -> list[Damage]:
    """Claims that no process of the suite made. A torn one is not among them: its process may have died there."""
    found = []
    for path in list_folder(folder.path):
        number = path.name.removeprefix("claim.")
        if path.name.startswith("claim.") and number.isascii() and number.isdigit():
            _, problem = read_checked(path, _CLAIM, _CLAIM_BYTES)
            if problem and problem != NOT_JSON:
                found.append(Damage(path, problem))
    return found


def damaged_files(folder: RunFolder) -> list[Damage]:
    """Files, beside the result and the claims, from which the state of a run cannot be understood."""
    checked = {
        folder.config: read_checked(folder.config, _CONFIG)[1],
        folder.submission: read_with_problem(folder)[1],
        folder.outcome: _outcome_problem(folder),
    }
    return [Damage(path, problem) for path, problem in checked.items() if problem]


def require_readable(folder: RunFolder) -> None:
    """Raises RunError where the system refuses to read a file of the folder: what it holds must not be overwritten."""
    with explained(folder.path):
        for path in (*_written(folder), folder.result):
            try:
                open_file(path).close()
            except OSError as error:
                if is_refusal(error):
                    raise


def is_mendable(folder: RunFolder) -> bool:
    """Whether a run can start in the folder, once its damaged files are set aside."""
    try:
        return not folder_problem(folder) and require_readable(folder) is None
    except (OSError, RunError):
        return False


def set_claims_aside(folder: RunFolder) -> list[str]:
    """Rename damaged claims; returns what was done, in words. Of two processes that do it, one is quicker."""
    done = []
    for damage in damaged_claims(folder):
        try:
            done.append(_aside(damage))
        except RunError:
            if is_there(damage.file):
                raise
    return done


def set_files_aside(folder: RunFolder) -> list[str]:
    """Rename damaged files, and whatever else lies where a run writes its files; returns what was done, in words.

    To be called by who holds the run. The result is left to ``records.read_result``.
    """
    found = damaged_files(folder)
    if problem := read_checked(folder.heartbeat, _HEARTBEAT)[1]:  # the time spent goes on from there
        found.append(Damage(folder.heartbeat, problem))
    for path in _written(folder):
        try:
            open_file(path).close()
        except OSError as error:
            if is_there(path) and path not in [damage.file for damage in found]:
                found.append(Damage(path, damage_text(path, error)))
    return [_aside(damage) for damage in found]


def _outcome_problem(folder: RunFolder) -> str:
    outcome, problem = read_checked(folder.outcome, _OUTCOME)
    if outcome is None:
        return problem
    if not isinstance(outcome.get("message"), str):
        return "it has no message"
    if outcome["state"] in ENDS:
        return ""
    if outcome["state"] == "done":
        return "it says done, but there is no valid result.json"
    return f"state {outcome['state'][:40]!r}, expected {' or '.join(ENDS)}"


def _written(folder: RunFolder) -> tuple[Path, ...]:
    """The files that a run writes, but for its result."""
    return (
        folder.config, folder.provenance, folder.history, folder.checkpoint, folder.previous_checkpoint,
        folder.predictions, folder.outcome, folder.submission, folder.heartbeat, folder.log,
    )  # fmt: skip


def _aside(damage: Damage) -> str:
    return f"{damage}; it is set aside as {set_aside(damage.file, 'damaged').name}"
