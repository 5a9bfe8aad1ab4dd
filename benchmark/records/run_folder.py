"""The run folder: its files, what a valid result is, and what a damaged one is worth: nothing (no torch)."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.atomic import explained, write_json
from benchmark.config.datasets import DATASETS
from benchmark.config.resolve import Config
from benchmark.errors import RunError
from benchmark.reading import damage_text, explanation, is_refusal, is_there, open_file, read_json_value

SCHEMA = 1
RECORD_LIMIT = (
    16 * 2**20
)  # bytes of a JSON file of a run folder; the largest the suite writes have some thousand
NOT_JSON = "it is not readable JSON"
LONGEST = 10_000  # characters of a recorded text
TAIL_BYTES = 2**20  # of a log: a line may be as long as the whole file
_SET_ASIDE = re.compile(r"\.stale-[\d-]+$")  # as set_aside names a run's folder
LARGEST = 1e30  # of a recorded number: JSON's integers have no end, floats have

# field → type, several types, or a dict of such; a trailing "?" marks a field that may be absent. No count or time of a
# record is negative.
_FGVC_SCHEMA: dict[str, object] = {
    "metrics": {"top1": float, "top5": float, "sa_top1?": float, "glca_top1?": float},
    "best": {"epoch": int, "top1": float},
    "data": {"classes": int, "train_images": int, "test_images": int},
}
_RANKED = ("mAP", "R1", "R5", "R10")
_REID_SCHEMA: dict[str, object] = {
    "metrics": {
        **dict.fromkeys(_RANKED, float),
        **{f"{branch}_{name}?": float for branch in ("sa", "glca") for name in _RANKED},
    },
    "best": {"epoch": int, "mAP": float},
    "data": {
        "version": str,
        "protocol": str,
        "classes": int,
        "train_images": int,
        "query_images": int,
        "gallery_images": int,
        "skipped_images": int,
    },
    "evaluation": {"queries": int, "queries_without_match": int, "ties": int},
}
_RESULT_SCHEMA: dict[str, object] = {
    "schema": int,
    "run": str,
    "cell": str,
    "seed": int,
    "profile": str,
    "config_hash": str,
    "metrics": {},
    "best": {},
    "data": {"name": str, "coverage": str, "text": str, "fingerprint": str},
    "weights": {"tag": str, "file": str, "sha256": str, "dropped": list, "resized?": list},
    "device": {
        "type": str,
        "name": str,
        "precision": str,
        "threads": int,
        "world_size": int,
        "tuning?": str,
    },
    "cost": {
        "epochs": int,
        "steps": int,
        "train_seconds": float,
        "seconds?": float,
        "forecast_seconds?": float,
        "peak_memory_bytes": int,
        "attempts": int,
    },
    "final_weights_sha256": str,
    "predictions_sha256": str,
    # of the last evaluation's logits (Re-ID: features) by branch; records made before it was introduced lack it
    "outputs_sha256?": {"sa?": str, "glca?": str, "both?": str},
    "provenance": dict,
}


def _holds_nothing() -> None:
    """The verification of those who hold nothing."""


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run's files.

    verify: raises where the process that holds the run has lost it; called before anything in the folder is changed.
    """

    path: Path
    verify: Callable[[], None] = field(default=_holds_nothing, repr=False, compare=False)

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def provenance(self) -> Path:
        return self.path / "provenance.json"

    @property
    def history(self) -> Path:
        return self.path / "history.jsonl"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.pt"

    @property
    def previous_checkpoint(self) -> Path:
        return self.path / "checkpoint.previous.pt"

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is one; for a moment it may be the previous one alone, where there are no hard links."""
        return self.checkpoint.exists() or self.previous_checkpoint.exists()

    @property
    def predictions(self) -> Path:
        return self.path / "predictions.npz"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    @property
    def outcome(self) -> Path:
        """How the last attempt ended, where it did not end with a result."""
        return self.path / "outcome.json"

    @property
    def submission(self) -> Path:
        """Which job of a cluster the run was last handed to."""
        return self.path / "submission.json"

    @property
    def heartbeat(self) -> Path:
        return self.path / "heartbeat.json"

    @property
    def log(self) -> Path:
        return self.path / "log.txt"

    def make(self) -> None:
        """Create the folder. Raises RunError if that is not allowed."""
        with explained(self.path / "config.json"):
            self.path.mkdir(parents=True, exist_ok=True)


def folder_of(config: Config, runs_dir: Path) -> RunFolder:
    """Where a run lies: ``runs/<profile>/<dataset>/<backbone>/<method>/seed<k>``."""
    return RunFolder(runs_dir / config.profile / config.run_id)


def read_json(path: Path) -> dict | None:
    """A JSON object, or None where there is no readable one."""
    try:
        value = read_json_value(path, RECORD_LIMIT)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def read_checked(path: Path, schema: dict[str, object], limit: int = RECORD_LIMIT) -> tuple[dict | None, str]:
    """The JSON object of a file and "", or None and what is wrong with the file ("" where there is none).

    Raises RunError where the system refuses to read it: that says nothing of the file.
    """
    try:
        if not is_there(path):
            return None, ""
        value = read_json_value(path, limit)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not os.path.lexists(path):
            return None, ""  # removed since: claims and outcomes are, in normal work
        if is_refusal(error):
            raise RunError(explanation(path, error)) from error
        return None, damage_text(path, error)
    except ValueError:
        return None, NOT_JSON
    problem = schema_problem(value, schema)
    return (None, problem) if problem else (value, "")


def read_result(folder: RunFolder) -> tuple[dict | None, str]:
    """The valid result of a run and "", or None and what is wrong with the file. Raises as ``read_checked``."""
    result, problem = read_checked(folder.result, {})
    if result is not None:
        problem = result_problem(result)
        if not problem and not _SET_ASIDE.sub("", folder.path.as_posix()).endswith(result["run"]):
            problem = f"it belongs to {result['run']}"
    return (None, f"result.json is damaged: {problem}") if problem else (result, "")


def write_result(folder: RunFolder, result: dict) -> None:
    """Write a result, once and last. Raises RunError if it does not satisfy its own schema."""
    if problem := result_problem(result):
        raise RunError(f"result of {folder.path} is invalid and is not written: {problem}")
    write_json(folder.result, result, verify=folder.verify)


def result_problem(result: dict) -> str:
    """What is wrong with a result, or ""."""
    problem = schema_problem(result, _RESULT_SCHEMA)
    if not problem:
        row = DATASETS.get(result["cell"].partition("/")[0])
        if row is None:
            return f"cell {result['cell']!r} is of no known dataset"
        problem = schema_problem(result, {"fgvc": _FGVC_SCHEMA, "reid": _REID_SCHEMA}[row.task])
    if problem:
        return problem
    if result["schema"] != SCHEMA:
        return f"schema {result['schema']}, expected {SCHEMA}"
    for name, value in result["metrics"].items():
        if problem := schema_problem(value, float, f"metrics.{name}."):
            return problem
        if not 0 <= value <= 100:
            return f"metrics.{name} = {value} is not a percentage"
    return ""


def schema_problem(value: object, schema: object, at: str = "") -> str:
    """What of a JSON value does not fit a schema like the result's, or "". at: its place, for the answer."""
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            return f"{at or 'it'} is not an object"
        for key, kind in schema.items():
            name = key.removesuffix("?")
            if name not in value:
                if key.endswith("?"):
                    continue
                return f"{at}{name} is missing"
            if problem := schema_problem(value[name], kind, f"{at}{name}."):
                return problem
        return ""
    kinds = schema if isinstance(schema, tuple) else (schema,)
    fits = isinstance(value, kinds) or (float in kinds and isinstance(value, int))
    name = at.rstrip(".") or "it"
    if not fits or (isinstance(value, bool) and bool not in kinds):
        expected = " or ".join(kind.__name__ for kind in kinds)
        return f"{name} is {type(value).__name__}, expected {expected}"
    if isinstance(value, int | float) and not abs(value) <= LARGEST:  # NaN is not, either
        return f"{name} is not finite, or larger than {LARGEST:g}"
    if isinstance(value, str) and len(value) > LONGEST:
        return f"{name} is text of {len(value):,} characters, expected at most {LONGEST:,}"
    if isinstance(value, int | float) and value < 0:
        return f"{name} is {value}, expected no negative number"
    return ""


def set_aside(path: Path, why: str) -> Path:
    """Rename a file or folder out of the way, losing nothing; returns its new name."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for attempt in range(1000):
        aside = path.with_name(f"{path.name}.{why}-{stamp}{f'-{attempt}' if attempt else ''}")
        if not aside.exists():
            with explained(aside):
                os.rename(path, aside)
            return aside
    raise RunError(f"cannot find a free name to set {path} aside")


def last_log_lines(folder: RunFolder, count: int = 3) -> list[str]:
    """The end of a run's log."""
    return last_lines(folder.log, count)


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a text file, of its last MiB at most; none of one that cannot be read."""
    try:
        with open_file(path) as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL_BYTES))
            lines = stream.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line.rstrip() for line in lines[-count:]] if count else []
