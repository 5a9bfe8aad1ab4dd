"""What runs took: processor hours, time, pace, memory, from records, histories and heartbeats.

GPU-hours and CPU core-hours are never added up: training time × processes for the one, × processes × threads for the
other. Training time leaves evaluations out; the time of all attempts, from the heartbeat, has them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmark.config import paper
from benchmark.config.parse import amount, duration, hours, memory
from benchmark.reading import read_text
from benchmark.records.progress import read_progress
from benchmark.records.status import RunView
from reports.curves.history import HISTORY_BYTES
from reports.page.comparisons import page_of, pair_title
from reports.page.html_table import Column, Entry, Sheet, number, word
from reports.page.provenance import METHODS, run_name

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


# --- The costs of runs as tables and sentences, beside the published ones where they may stand there ---

PUBLISHED_NOTE = (
    f"The paper's are of a {paper.COST_GPU}: the method's from “Implementation Details”, the baseline's from the long "
    "version of the text. Hours on other processors are not the same hours."
)


def sentences(costs: Costs) -> list[str]:
    """Totals; GPU-hours and CPU core-hours apart."""
    if not costs.runs:
        lines = ["No run is finished."]
    else:
        parts = []
        for kind in (GPU, CPU):
            if count := sum(cost.kind == kind for cost in costs.runs):
                parts.append(f"{hours(costs.total(kind))} {kind} in {amount(count, 'finished run')}")
        total = sum(cost.train_seconds for cost in costs.runs)
        lines = [
            f"{'; '.join(parts)}. Training alone, one run after another: {duration(total)}. GPU-hours are training "
            "time × processes, CPU core-hours training time × processes × threads; the two are never added up."
        ]
    seconds, count = costs.spent_unfinished
    if count:
        lines.append(
            f"{count} unfinished run{'s have' if count > 1 else ' has'} spent {duration(seconds)} besides."
        )
    return lines


def pair_rows(costs: Costs, pairs: Iterable[tuple[str, str]]) -> Sheet:
    """One row a pair and kind of processor: baseline, DCAL, and how many times as long DCAL trains."""
    rows = []
    for pair in pairs:
        own = costs.of(*pair)
        for kind in (GPU, CPU):
            alike = [cost for cost in own if cost.kind == kind]
            if alike:
                rows.append((Entry(pair_title(*pair), href=page_of(*pair)), word(kind), *_pair(alike)))
    columns = (
        Column("Dataset · backbone"),
        Column("Unit"),
        Column("Baseline", "number", "A run, mean over seeds"),
        Column("+ DCAL", "number", "A run, mean over seeds"),
        Column("DCAL ÷ baseline", "number", note="training time, same machine"),
        Column("Baseline", "number", "Peak memory"),
        Column("+ DCAL", "number", "Peak memory"),
    )
    return Sheet("costs-pairs", "What DCAL costs in training", columns, tuple(rows))


def _pair(alike: list[RunCost]) -> tuple[Entry, ...]:
    by_method = {method: mean_hours(alike, method) for method in METHODS}
    means = [number(next(iter(found.values()), None), hours) for found in by_method.values()]
    times, why = ratio(alike)
    peaks = [
        max((cost.memory for cost in alike if cost.run.cell.method == method), default=None)
        for method in METHODS
    ]
    factor = word(why, "state") if times is None else number(times, lambda value: f"{value:.2f}")
    return *means, factor, *(number(peak, memory) for peak in peaks)


def run_rows(found: Iterable[RunCost], *, key: str, sortable: bool, caption: str) -> Sheet:
    """One row a run. key: the sheet's id; with one pair's runs alone names are short.

    Where a run had a forecast, two columns more hold it and what the run took.
    """
    found = tuple(found)
    with_forecast = any(cost.forecast for cost in found)
    rows = tuple(
        (
            word(
                f"{pair_title(cost.run.cell.dataset, cost.run.cell.backbone)} {run_name(cost.run)}"
                if sortable
                else run_name(cost.run)
            ),
            word(cost.device),
            number(cost.hours, lambda value, kind=cost.kind: f"{hours(value)} {kind}"),
            number(cost.train_seconds, duration),
            number(cost.total_seconds, duration),
            number(cost.pace, lambda value: f"{value:,.1f}"),
            number(cost.memory, memory),
            number(cost.attempts, lambda value: f"{value:.0f}"),
            *(number(value, duration) for value in (cost.forecast or (None, None)) if with_forecast),
        )
        for cost in found
    )
    columns = (
        Column("Run"),
        Column("Device"),
        Column("Cost", "number"),
        Column("Training", "number", note="without evaluations"),
        Column("All attempts", "number", note="with evaluations"),
        Column("Images/s", "number", note="in training"),
        Column("Peak memory", "number"),
        Column("Attempts", "number"),
    )
    if with_forecast:
        note = "training and evaluations"
        columns += (Column("Forecast", "number", note=note), Column("Took", "number", note=note))
    return Sheet(key, caption, columns, rows, sortable=sortable)


def published_rows(costs: Costs) -> Sheet:
    """The paper's costs, ours beside them. For the paper's recipe alone."""
    rows = []
    for told in paper.COSTS:
        own = mean_hours(costs.of(told.dataset, told.backbone), told.method)
        ours = "; ".join(f"{hours(value)} {kind}" for kind, value in own.items()) or "no finished run"
        title = f"{pair_title(told.dataset, told.backbone)}, {METHODS[told.method]}"
        rows.append(
            (
                Entry(title, href=page_of(told.dataset, told.backbone)),
                word(f"{told.hours:.1f} h on {told.gpus} × {paper.COST_GPU}"),
                number(told.gpu_hours, lambda value: f"{value:.1f}"),
                word(ours),
            )
        )
    columns = (
        Column("Run"),
        Column("Paper"),
        Column("Paper's GPU-hours", "number"),
        Column("Measured, mean over seeds"),
    )
    return Sheet("costs-published", "Beside the paper's costs", columns, tuple(rows), sortable=False)
