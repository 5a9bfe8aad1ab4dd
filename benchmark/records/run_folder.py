"""Run folder: paths of its files, reading and checking of its JSON files, and the schema of a result."""

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
MAX_RECORD_BYTES = 16 * 2**20  # of a JSON file of a run folder; the suite writes some thousand at most
NOT_JSON = "it is not readable JSON"
MAX_TEXT = 10_000  # characters of a recorded text
TAIL_BYTES = 2**20  # read at the end of a log, whose lines may be very long
_SET_ASIDE = re.compile(r"\.stale-[\d-]+$")  # suffix by set_aside for a run's folder
MAX_VALUE = 1e30  # of a recorded number; JSON integers may exceed the range of floats

# Field → type, tuple of types, or dict of fields. A trailing "?" marks an optional field. Numbers must not be negative.
_FGVC_SCHEMA: dict[str, object] = {
    "metrics": {"top1": float, "top5": float, "sa_top1?": float, "glca_top1?": float},
    "best": {"epoch": int, "top1": float},
    "data": {"classes": int, "train_images": int, "test_images": int},
}
_REID_METRICS = ("mAP", "R1", "R5", "R10")
_REID_SCHEMA: dict[str, object] = {
    "metrics": {
        **dict.fromkeys(_REID_METRICS, float),
        **{f"{branch}_{name}?": float for branch in ("sa", "glca") for name in _REID_METRICS},
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
    # digests of the last evaluation's logits (Re-ID: features) by branch; older records lack them
    "outputs_sha256?": {"sa?": str, "glca?": str, "both?": str},
    "provenance": dict,
}


def _no_verification() -> None:
    """Verification for processes that only read."""


def _file(name: str, doc: str = "") -> property:
    """A property of ``RunFolder``: the path of a file in it."""

    def path(folder: RunFolder) -> Path:
        return folder.path / name

    return property(path, doc=doc)


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run's files.

    verify: called before each change in the folder; raises if this process has lost the lock of the run.
    """

    path: Path
    verify: Callable[[], None] = field(default=_no_verification, repr=False, compare=False)

    config = _file("config.json")
    provenance = _file("provenance.json")
    history = _file("history.jsonl")
    checkpoint = _file("checkpoint.pt")
    previous_checkpoint = _file("checkpoint.previous.pt")
    predictions = _file("predictions.npz")
    result = _file("result.json")
    outcome = _file("outcome.json", "End of the last attempt, if it had no result.")
    submission = _file("submission.json", "Last submission of the run to a cluster.")
    heartbeat = _file("heartbeat.json")
    log = _file("log.txt")

    @property
    def has_checkpoint(self) -> bool:
        """Whether a checkpoint exists; without hard links, for a moment only the previous one may."""
        return self.checkpoint.exists() or self.previous_checkpoint.exists()

    def make(self) -> None:
        """Create the folder. Raises RunError if that fails."""
        with explained(self.path / "config.json"):
            self.path.mkdir(parents=True, exist_ok=True)


def locate_run(config: Config, runs_dir: Path) -> RunFolder:
    """Folder of a run: ``runs/<profile>/<dataset>/<backbone>/<method>/seed<k>``."""
    return RunFolder(runs_dir / config.profile / config.run_id)


def read_json(path: Path) -> dict | None:
    """Read a JSON object; None if there is none or it is not readable."""
    try:
        value = read_json_value(path, MAX_RECORD_BYTES)
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def read_checked(
    path: Path, schema: dict[str, object], limit: int = MAX_RECORD_BYTES
) -> tuple[dict | None, str]:
    """Read a JSON object and check it: it and "", or None and what is wrong ("" for a file that does not exist).

    schema: as of ``schema_problem``.
    limit: largest size in bytes.
    Raises RunError if the system refuses to read the file: that is no damage.
    """
    try:
        if not is_there(path):
            return None, ""
        value = read_json_value(path, limit)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not os.path.lexists(path):
            return None, ""  # removed in the meantime, as locks and outcomes normally are
        if is_refusal(error):
            raise RunError(explanation(path, error)) from error
        return None, damage_text(path, error)
    except ValueError:
        return None, NOT_JSON
    problem = schema_problem(value, schema)
    return (None, problem) if problem else (value, "")


def read_result(folder: RunFolder) -> tuple[dict | None, str]:
    """Read the result of a run: it and "", or None and what is wrong with it. Raises as ``read_checked``."""
    result, problem = read_checked(folder.result, {})
    if result is not None:
        problem = result_problem(result)
        if not problem and not _SET_ASIDE.sub("", folder.path.as_posix()).endswith(result["run"]):
            problem = f"it belongs to {result['run']}"
    return (None, f"result.json is damaged: {problem}") if problem else (result, "")


def write_result(folder: RunFolder, result: dict) -> None:
    """Write the result of a run, as its last file. Raises RunError if the result does not satisfy its schema."""
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


def schema_problem(value: object, schema: object, place: str = "") -> str:
    """The first violation of a schema by a JSON value, or "". place: name of the value, for the message."""
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            return f"{place or 'it'} is not an object"
        for key, kind in schema.items():
            name = key.removesuffix("?")
            if name not in value:
                if key.endswith("?"):
                    continue
                return f"{place}{name} is missing"
            if problem := schema_problem(value[name], kind, f"{place}{name}."):
                return problem
        return ""
    kinds = schema if isinstance(schema, tuple) else (schema,)
    fits = isinstance(value, kinds) or (float in kinds and isinstance(value, int))
    name = place.rstrip(".") or "it"
    if not fits or (isinstance(value, bool) and bool not in kinds):
        expected = " or ".join(kind.__name__ for kind in kinds)
        return f"{name} is {type(value).__name__}, expected {expected}"
    if isinstance(value, int | float) and not abs(value) <= MAX_VALUE:  # also True for NaN
        return f"{name} is not finite, or larger than {MAX_VALUE:g}"
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return f"{name} is text of {len(value):,} characters, expected at most {MAX_TEXT:,}"
    if isinstance(value, int | float) and value < 0:
        return f"{name} is {value}, expected no negative number"
    return ""


def set_aside(path: Path, reason: str) -> Path:
    """Rename a file or folder to a free name, so that nothing is lost; return its path. reason: part of the name."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for attempt in range(1000):
        new_path = path.with_name(f"{path.name}.{reason}-{stamp}{f'-{attempt}' if attempt else ''}")
        if not new_path.exists():
            with explained(new_path):
                os.rename(path, new_path)
            return new_path
    raise RunError(f"cannot find a free name to set {path} aside")


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a text file, at most 1 MiB of it; none if it cannot be read."""
    try:
        with open_file(path) as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL_BYTES))
            lines = stream.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line.rstrip() for line in lines[-count:]] if count else []
