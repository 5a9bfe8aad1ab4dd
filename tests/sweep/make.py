"""Write the made-up run folders anew: ``PYTHONPATH=tests python -m sweep.make [FOLDER]``.

Deterministic: JSON comes out byte for byte, arrays value for value. What depends on today's recipes (hashes of
settings) or on a library's compression (digests of files) is left empty and filled in by
benchmark.timing.bench.commands.unpack.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from sweep import history, invent, record
from sweep.plan import HOSTILE_HOST, HOSTILE_LOG, HOSTILE_NAMES, PLANS, Planned

HERE = Path(__file__).parent


def make(into: Path) -> None:
    """Every run folder of every profile below ``into``."""
    for profile, plan in PLANS.items():
        for planned in plan:
            _run(profile, planned, into / profile / planned.run)


def _run(profile: str, planned: Planned, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if planned.state == "queued":
        _json(folder / "submission.json", record.submission(planned))
        return
    _json(folder / "config.json", record.config(profile, planned))
    _json(folder / "provenance.json", record.provenance(profile, planned))
    arrays = _predictions(planned)
    metrics, notes = _said(planned, arrays)
    epochs, every = history.EPOCHS_AND_EVERY[profile, record.task_of(planned)]
    lines = history.entries(planned, epochs, every, metrics)
    _history(planned, lines, folder)
    beat = {"time": 0.0, "seconds": 100.0, "epoch": len(lines), "epochs": epochs, "step": 0, "steps": 375}
    _json(folder / "heartbeat.json", beat)
    if arrays:
        np.savez_compressed(folder / "predictions.npz", **arrays)
        _json(folder / "result.json", record.result(profile, planned, metrics, notes, lines))
    _end(planned, folder)


def _history(planned: Planned, lines: list[dict], folder: Path) -> None:
    torn = '{"epoch": 32, "loss": {"sa": 0.2' if planned.run == "cub/deit_base/dcal/seed0" else ""
    if planned.history:
        _text(folder / "history.jsonl", "".join(json.dumps(line) + "\n" for line in lines) + torn)
    last = [HOSTILE_LOG] if planned.state in ("failed", "damaged") else []
    _text(folder / "log.txt", "\n".join([*history.log_lines(planned, lines, record.NOTE), *last]) + "\n")


def _end(planned: Planned, folder: Path) -> None:
    """What an attempt leaves that did not end with a result."""
    if planned.detail == "torn":
        _text(folder / "result.json", '{\n "schema": 1,\n "run": "cars/de')
    elif planned.detail == "without a word":
        lock = {"machine": "elsewhere", "host": HOSTILE_HOST, "pid": 4711, "since": 0.0, "owner": ""}
        _json(folder / "claim.1", lock)
    elif planned.state in ("failed", "preempted"):
        message = planned.detail or "SIGTERM in epoch 58, step 12; saved"
        outcome = {
            "state": planned.state,
            "message": message,
            "time": "2026-01-01T10:00:09+00:00",
            "owner": "",
        }
        _json(folder / "outcome.json", outcome)


def _predictions(planned: Planned) -> dict[str, np.ndarray]:
    if planned.best is None:
        return {}
    dataset, dcal, aim = planned.run.partition("/")[0], "/dcal/" in planned.run, planned.best
    if record.task_of(planned) == "fgvc":
        names, each = _names(planned), record.EACH[planned.coverage]
        arrays = invent.classification(dataset, planned.run, names, each, aim, planned.noise, dcal)
    else:
        queries, gallery = record.QUERIES[planned.coverage]
        arrays = invent.retrieval(
            dataset, planned.run, queries, gallery, aim, planned.rank1, planned.noise, dcal
        )
    lacking = ("classes", "_probability", "_nearest") if planned.older else ()
    return {name: array for name, array in arrays.items() if not name.endswith(lacking)}


def _said(planned: Planned, arrays: dict[str, np.ndarray]) -> tuple[dict[str, float], dict[str, int]]:
    """Metrics and notes of predictions, both empty where there are none."""
    if not arrays:
        return {}, {}
    if record.task_of(planned) == "fgvc":
        return invent.classification_metrics(arrays), {}
    return invent.retrieval_metrics(arrays), {
        "queries": len(arrays["both_ap"]),
        "queries_without_match": int((arrays["both_first_hit"] == 0).sum()),
        "ties": int(arrays["both_ties"].sum()),
    }


def _names(planned: Planned) -> tuple[str, ...]:
    dataset, count = planned.run.partition("/")[0], record.CLASSES[planned.coverage]
    plain = [f"{place:03d}.Made_up_{dataset}_{place}" for place in range(1, count + 1)]
    return (*plain[:2], *HOSTILE_NAMES, *plain[2 + len(HOSTILE_NAMES) :])


def _json(path: Path, value: object) -> None:
    _text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _text(path: Path, text: str) -> None:
    path.write_bytes(text.encode())


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
