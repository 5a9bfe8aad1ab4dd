"""A bench's file: the machine on top, the rows below; written by the bench, read by the comparison (no torch)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmark import provenance
from benchmark.atomic import write_json
from benchmark.bench.rows import Row
from benchmark.device import ANSWER_SECONDS, count_gpus
from benchmark.errors import RunError
from benchmark.pool import usable_cores
from benchmark.records import set_aside

NAME = "bench.json"
NAMES = {"cpu": NAME, "cuda": "bench-cuda.json"}
FORMAT = 1
# Rows of one file have these and the versions in common.
MACHINE = ("cpu", "gpu", "device", "cores", "usable_cores", "threads", "platform", "host")
CODE = ("commit", "dirty", "changes")
SHOWN_VERSIONS = ("python", "torch", "timm")
# What a comparison needs of a row.
ROW_KEYS = frozenset(("benchmark", "case", "quantity", "unit", "ours", "other", "ratio", "ratio_of"))


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


def differences(a: Mapping[str, object], b: Mapping[str, object]) -> list[str]:
    """A line for everything of machine, versions and code that is not the same."""
    pairs = [(name, a.get(name), b.get(name)) for name in (*MACHINE, *CODE)]
    versions = [one.get("versions") or {} for one in (a, b)]
    pairs += [(name, *(one.get(name) for one in versions)) for name in sorted({*versions[0], *versions[1]})]
    return [f"{name}: {_said(x)} → {_said(y)}" for name, x, y in pairs if x != y]


def add(path: Path, machine: Mapping[str, object], rows: Iterable[Row]) -> Path | None:
    """Write the rows of a benchmark in place of its earlier ones; those of other benchmarks stay.

    A file of another machine, other versions or other code is set aside first, and a damaged one too: its new name is
    returned. Raises RunError if the folder cannot be written.
    """
    records = [{**row.record(), "started": machine["started"]} for row in rows]
    measured = {record["benchmark"] for record in records}
    kept, aside = [], None
    if path.exists():
        try:
            earlier = read(path)
            kept = [row for row in earlier["rows"] if row["benchmark"] not in measured]
            why = "other" if differences(earlier, machine) else ""
        except RunError:
            why = "damaged"
        if why:
            kept, aside = [], set_aside(path, why)
    write_json(path, {**machine, "rows": kept + records})
    return aside


def read(path: Path) -> dict:
    """A bench's file, or the one in a folder. Raises RunError if it is missing, damaged or something else, and for a
    folder with both a CPU's and a GPU's.
    """
    file = _in_folder(path) if path.is_dir() else path
    again = "write one with `make bench` (RUNS= says where)"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"{file}: no such file, expected the {NAME} of a bench; {again}") from error
    except OSError as error:
        raise RunError(
            f"{file}: cannot be read ({error.strerror}), expected the {NAME} of a bench"
        ) from error
    except ValueError as error:
        raise RunError(f"{file}: is no JSON ({error}), expected the {NAME} of a bench; {again}") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT or not _are_rows(found.get("rows")):
        raise RunError(
            f"{file}: is JSON, but no {NAME} of this bench (format {FORMAT} with rows was expected); {again}"
        )
    return found


def _in_folder(folder: Path) -> Path:
    found = [folder / name for name in NAMES.values() if (folder / name).exists()]
    if len(found) > 1:
        names = " and ".join(file.name for file in found)
        raise RunError(f"{folder}: holds {names}, expected one of them: name the file")
    return found[0] if found else folder / NAME


def _said(value: object) -> str:
    return "unknown" if value is None else str(value)


def _are_rows(rows: object) -> bool:
    return isinstance(rows, list) and all(isinstance(row, dict) and row.keys() >= ROW_KEYS for row in rows)


def _gpu_name() -> str:
    asked = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(asked, capture_output=True, text=True, timeout=ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        raise RunError(f"nvidia-smi did not answer within {ANSWER_SECONDS} s") from None
    return done.stdout.partition("\n")[0].strip() or "unknown GPU"
