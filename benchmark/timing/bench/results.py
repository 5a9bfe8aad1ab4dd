"""A row of the bench: one quantity of one case, ours and what it is compared with (no torch)."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmark.atomic import write_json
from benchmark.errors import RunError
from benchmark.records import provenance
from benchmark.records.run_folder import set_aside
from benchmark.training.device import ANSWER_SECONDS, count_gpus, usable_cores

MB = 1e6


@dataclass(frozen=True)
class BenchRow:
    """ours, other: one value a repeat; other is empty where there is nothing to compare with, or it was not run.

    most: bar that ours must stay below, in unit.
    cost: ours does more than the other, which is only its measure: DCAL against the plain backbone. The ratio is then
        ours/other; otherwise the two do the same, and it is other/ours, how many times as much the other takes.
    times: bar of the ratio: the least that is asked for, and with cost the most that is allowed.
    note: what a reader must know, for one why other was not run.
    """

    benchmark: str
    case: str
    quantity: str
    unit: str
    ours: Sequence[float]
    other: Sequence[float] = ()
    other_name: str = ""
    most: float | None = None
    times: float | None = None
    cost: bool = False
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Of the medians; None where there is no other."""
        if not self.other:
            return None
        ours, other = median(self.ours), median(self.other)
        return _quotient(ours, other) if self.cost else _quotient(other, ours)

    @property
    def met(self) -> bool | None:
        """Whether the bars are reached; None without a bar, or where it cannot be told."""
        answers = []
        if self.most is not None:
            answers.append(median(self.ours) < self.most)
        if self.times is not None:
            ratio = self.ratio
            answers.append(
                None if ratio is None else ratio <= self.times if self.cost else ratio >= self.times
            )
        if None in answers:
            return None
        return all(answers) if answers else None

    def record(self) -> dict[str, object]:
        """As it stands in bench.json."""
        return {
            "benchmark": self.benchmark,
            "case": self.case,
            "quantity": self.quantity,
            "unit": self.unit,
            "ours": {"median": median(self.ours), "repeats": list(self.ours)},
            "other": {"name": self.other_name, "median": median(self.other), "repeats": list(self.other)}
            if self.other
            else None,
            "ratio": self.ratio,
            "ratio_of": self._ratio_of(),
            "bar": self._bar() or None,
            "met": self.met,
            "note": self.note,
        }

    def cells(self) -> list[str]:
        """As it stands in the table."""
        other = f"{number(median(self.other))} {self.unit} ({self.other_name})" if self.other else "–"
        met = {True: "yes", False: "NO", None: "?" if self._bar() else ""}[self.met]
        return [
            self.benchmark,
            self.case,
            self.quantity,
            f"{number(median(self.ours))} {self.unit}",
            other,
            "" if self.ratio is None else f"{number(self.ratio)} × ({self._ratio_of()})",
            self._bar(),
            met,
        ]

    def _ratio_of(self) -> str:
        return "ours/other" if self.cost else "other/ours"

    def _bar(self) -> str:
        bars = []
        if self.most is not None:
            bars.append(f"< {self.most:g} {self.unit}")
        if self.times is not None:
            bars.append(f"{'≤' if self.cost else '≥'} {self.times:g} ×")
        return ", ".join(bars)


def table(rows: Iterable[BenchRow]) -> str:
    """All rows as text, the notes below."""
    from tabulate import tabulate

    rows = list(rows)
    headings = ["benchmark", "case", "quantity", "ours", "compared with", "ratio", "bar", "met"]
    align = ("left", "left", "left", "right", "right", "right", "right", "left")
    text = tabulate(
        [row.cells() for row in rows],
        headers=headings,
        tablefmt="simple",
        disable_numparse=True,
        colalign=align,
    )
    notes = dict.fromkeys(f"{row.case}: {row.note}" for row in rows if row.note)
    return "\n".join([text, *([""] if notes else []), *notes])


def number(value: float) -> str:
    """Three significant figures, no exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _quotient(above: float, below: float) -> float | None:
    """None where nothing was measured below: a growth of memory may be zero."""
    return above / below if below else None


# --- A bench's file: the machine on top, the rows below ---

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
    facts = provenance.collect() | {"format": FORMAT, "device": device, "usable_cores": usable_cores()}
    facts["threads"] = usable_cores()  # of each measured process, but for the pictures' one
    return facts | ({"gpu": _gpu_name()} if device == "cuda" else {})


def heading(machine: Mapping[str, object]) -> str:
    """Two lines: the machine, then versions and code."""
    gpu = f"{machine['gpu']}; " if "gpu" in machine else ""
    versions = machine["versions"]
    versions_text = ", ".join(f"{name} {versions[name]}" for name in SHOWN_VERSIONS if name in versions)
    changed = provenance.changes_text(machine["dirty"])
    return (
        f"{gpu}{machine['cpu']}, {machine['usable_cores']} of {machine['cores']} cores usable, "
        f"{machine['threads']} threads; {machine['platform']}\n"
        f"{versions_text}, commit {str(machine['commit'])[:12]}{changed}, {machine['started']}"
    )


def add(path: Path, machine: Mapping[str, object], rows: Iterable[BenchRow]) -> Path | None:
    """Write the rows of a benchmark in place of its earlier ones; those of other benchmarks stay.

    A file of another machine, other versions or other code is set aside first, and a damaged one too: its new name is
    returned. Raises RunError if the folder cannot be written.
    """
    records = [{**row.record(), "started": machine["started"]} for row in rows]
    measured = {record["benchmark"] for record in records}
    kept_rows, aside = [], None
    if path.exists():
        earlier = _read(path)
        if earlier is None:
            aside = set_aside(path, "damaged")
        elif any(earlier.get(name) != machine.get(name) for name in (*MACHINE, *CODE)):
            aside = set_aside(path, "other")
        else:
            kept_rows = [row for row in earlier["rows"] if row["benchmark"] not in measured]
    write_json(path, {**machine, "rows": kept_rows + records})
    return aside


def _read(path: Path) -> dict | None:
    """A bench's file, None if it is damaged or something else."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_bench = (
        isinstance(document, dict) and document.get("format") == FORMAT and _are_rows(document.get("rows"))
    )
    return document if is_bench else None


def _are_rows(rows: object) -> bool:
    return isinstance(rows, list) and all(isinstance(row, dict) and "benchmark" in row for row in rows)


def _gpu_name() -> str:
    command = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        raise RunError(f"nvidia-smi did not answer within {ANSWER_SECONDS} s") from None
    return process.stdout.partition("\n")[0].strip() or "unknown GPU"


# --- Two ways to the same numbers must come to the same numbers, or their times mean nothing ---


class Disagreement(Exception):
    """The two come to different numbers: one of them is wrong."""


def check_agreement(
    title: str, ours: Mapping[str, float], other: Mapping[str, float], *, tolerance: float = 1e-6
) -> None:
    """Raises Disagreement unless both have the same names with the same values, to a relative tolerance."""
    same = set(ours) == set(other) and all(
        math.isclose(ours[name], other[name], rel_tol=tolerance) for name in ours
    )
    if not same:
        raise Disagreement(f"{title}: ours {dict(ours)}, the other {dict(other)}, allowed {tolerance:g}")
