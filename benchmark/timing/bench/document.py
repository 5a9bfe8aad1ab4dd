"""A bench's file: the machine on top, the rows below (no torch)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmark.atomic import write_json
from benchmark.errors import RunError
from benchmark.records import provenance
from benchmark.records.run_folder import set_aside
from benchmark.timing.bench.results import Row
from benchmark.training.device import ANSWER_SECONDS, count_gpus, usable_cores

NAMES = {"cpu": "bench.json", "cuda": "bench-cuda.json"}
FORMAT = 1
# Rows of one file have these in common.
MACHINE = ("cpu", "gpu", "device", "cores", "usable_cores", "threads", "platform", "host", "versions")
CODE = ("commit", "dirty", "changes")
SHOWN_VERSIONS = ("python", "torch", "timm")


def machine(device: str) -> dict[str, object]:
    """What the numbers depend on: code, versions, processor, threads, and the GPU if one is measured.

    Raises RunError for a GPU that is not there.
    """
    if device == "cuda" and not count_gpus():
        raise RunError(
            "--device cuda needs an NVIDIA GPU and none is visible here: leave it out to measure the CPU"
        )
    found = provenance.collect() | {"format": FORMAT, "device": device, "usable_cores": usable_cores()}
    found["threads"] = usable_cores()  # of each measured process, but for the pictures' one
    return found | ({"gpu": _gpu_name()} if device == "cuda" else {})


def heading(machine: Mapping[str, object]) -> str:
    """Two lines: the machine, then versions and code."""
    gpu = f"{machine['gpu']}; " if "gpu" in machine else ""
    versions = machine["versions"]
    shown = ", ".join(f"{name} {versions[name]}" for name in SHOWN_VERSIONS if name in versions)
    changed = provenance.changes_text(machine["dirty"])
    return (
        f"{gpu}{machine['cpu']}, {machine['usable_cores']} of {machine['cores']} cores usable, "
        f"{machine['threads']} threads; {machine['platform']}\n"
        f"{shown}, commit {str(machine['commit'])[:12]}{changed}, {machine['started']}"
    )


def add(path: Path, machine: Mapping[str, object], rows: Iterable[Row]) -> Path | None:
    """Write the rows of a benchmark in place of its earlier ones; those of other benchmarks stay.

    A file of another machine, other versions or other code is set aside first, and a damaged one too: its new name is
    returned. Raises RunError if the folder cannot be written.
    """
    records = [{**row.record(), "started": machine["started"]} for row in rows]
    measured = {record["benchmark"] for record in records}
    kept, aside = [], None
    if path.exists():
        earlier = _read(path)
        if earlier is None:
            aside = set_aside(path, "damaged")
        elif any(earlier.get(name) != machine.get(name) for name in (*MACHINE, *CODE)):
            aside = set_aside(path, "other")
        else:
            kept = [row for row in earlier["rows"] if row["benchmark"] not in measured]
    write_json(path, {**machine, "rows": kept + records})
    return aside


def _read(path: Path) -> dict | None:
    """A bench's file, None if it is damaged or something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_bench = isinstance(found, dict) and found.get("format") == FORMAT and _are_rows(found.get("rows"))
    return found if is_bench else None


def _are_rows(rows: object) -> bool:
    return isinstance(rows, list) and all(isinstance(row, dict) and "benchmark" in row for row in rows)


def _gpu_name() -> str:
    asked = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        raise RunError(f"nvidia-smi did not answer within {ANSWER_SECONDS} s") from None
    return done.stdout.partition("\n")[0].strip() or "unknown GPU"
