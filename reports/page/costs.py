"""What runs took: processor hours, time, pace, memory, from records, histories and heartbeats.

GPU-hours and CPU core-hours are never added up: training time × processes for the one, × processes × threads for the
other. Training time leaves evaluations out; the time of all attempts, from the heartbeat, has them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmark.reading import read_text
from benchmark.records.progress import read_progress
from benchmark.records.status import RunView
from reports.curves.history import HISTORY_BYTES

GPU, CPU = "GPU-hours", "CPU core-hours"


@dataclass(frozen=True)
class RunCost:
    """One run's. kind: ``GPU`` or ``CPU``. hours: of that kind. train_seconds: without evaluations.

    total_seconds: of all attempts, with evaluations; None where no heartbeat tells. pace: training images a second,
    None where the history does not tell. memory: peak, in bytes, of the largest process. forecast: what `make forecast`
    had said of training and evaluations, and what they took, both in seconds; None where the record lacks either.
    """

    run: RunView
    kind: str
    hours: float
    train_seconds: float
    total_seconds: float | None
    pace: float | None
    memory: int
    attempts: int
    device: str
    forecast: tuple[float, float] | None


@dataclass(frozen=True)
class Costs:
    """runs: finished ones. spent_unfinished: seconds of the attempts of all others, and how many these are."""

    runs: tuple[RunCost, ...]
    spent_unfinished: tuple[float, int]

    def total(self, kind: str) -> float:
        """Hours of one kind over all finished runs."""
        return math.fsum(cost.hours for cost in self.runs if cost.kind == kind)

    def of(self, dataset: str, backbone: str) -> tuple[RunCost, ...]:
        """Those of a pair's runs."""
        return tuple(
            cost
            for cost in self.runs
            if (cost.run.cell.dataset, cost.run.cell.backbone) == (dataset, backbone)
        )


def of_runs(runs: Iterable[RunView]) -> Costs:
    """The costs of finished runs, and the time that the others have spent so far."""
    runs = tuple(runs)
    unfinished = [
        progress.seconds
        for run in runs
        if run.result is None and (progress := read_progress(run.folder)) and progress.seconds > 0
    ]
    return Costs(
        tuple(of_run(run) for run in runs if run.result is not None),
        (math.fsum(unfinished), len(unfinished)),
    )


def of_run(run: RunView) -> RunCost:
    """The cost of a finished run."""
    device, cost = run.result["device"], run.result["cost"]
    processes = max(1, device["world_size"])
    kind, processors = (GPU, processes) if device["type"] == "cuda" else (CPU, processes * device["threads"])
    progress = read_progress(run.folder)
    return RunCost(
        run=run,
        kind=kind,
        hours=cost["train_seconds"] * processors / 3600,
        train_seconds=cost["train_seconds"],
        total_seconds=progress.seconds if progress and progress.seconds > 0 else None,
        pace=_pace(run),
        memory=cost["peak_memory_bytes"],
        attempts=cost["attempts"],
        device=f"{processes} × {device['name']}" if processes > 1 else device["name"],
        forecast=(cost["forecast_seconds"], cost["seconds"])
        if {"forecast_seconds", "seconds"} <= cost.keys()
        else None,
    )


def mean_hours(costs: Iterable[RunCost], method: str) -> Mapping[str, float]:
    """Kind → mean hours of a method's runs among these."""
    by_kind: dict[str, list[float]] = {}
    for cost in costs:
        if cost.run.cell.method == method:
            by_kind.setdefault(cost.kind, []).append(cost.hours)
    return {kind: math.fsum(hours) / len(hours) for kind, hours in by_kind.items()}


def ratio(costs: Iterable[RunCost]) -> tuple[float | None, str]:
    """DCAL's training time over the baseline's, paired by seed, and "" or why there is none.

    Runs are comparable on the same device with as many processes and threads only.
    """
    costs = tuple(costs)
    by_method = {
        method: {cost.run.seed: cost for cost in costs if cost.run.cell.method == method}
        for method in ("baseline", "dcal")
    }
    seeds = sorted(by_method["baseline"].keys() & by_method["dcal"].keys())
    if not seeds:
        return None, "no seed has both"
    pairs = [(by_method["baseline"][seed], by_method["dcal"][seed]) for seed in seeds]
    alike = [(before, after) for before, after in pairs if _machine(before) == _machine(after)]
    if not alike:
        return None, "on different devices"
    before, after = (math.fsum(pair[place].train_seconds for pair in alike) for place in (0, 1))
    return (after / before, "") if before > 0 else (None, "no time recorded")


def _machine(cost: RunCost) -> tuple[object, ...]:
    device = cost.run.result["device"]
    return tuple(device[name] for name in ("type", "name", "precision", "threads", "world_size"))


def _pace(run: RunView) -> float | None:
    """All images over all seconds of the epochs in history.jsonl."""
    images = seconds = 0.0
    try:
        for line in read_text(run.folder.history, HISTORY_BYTES).splitlines():
            entry = json.loads(line)
            images += float(entry["images_per_second"]) * float(entry["seconds"])
            seconds += float(entry["seconds"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None  # an older or a torn history: the pace is left open, the record counts all the same
    return images / seconds if seconds > 0 and math.isfinite(images) else None
