"""Costs of runs: processor hours, time, speed, memory, from records, histories and heartbeats.

GPU-hours are training time × processes, CPU core-hours are training time × processes × threads; they are never added
up. Training time is without evaluations; the time of all attempts, from the heartbeat, includes them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmark.config import paper
from benchmark.config.grid import METHODS
from benchmark.config.parse import amount, duration, hours, memory
from benchmark.reading import read_text
from benchmark.records.progress import read_progress
from benchmark.records.status import RunView
from reports.curves.history import HISTORY_BYTES
from reports.page.comparisons import pair_page, pair_title
from reports.page.html_table import HtmlCell, HtmlColumn, HtmlTable, number_cell, text_cell
from reports.page.provenance import METHOD_LABELS, run_name

GPU, CPU = "GPU-hours", "CPU core-hours"


@dataclass(frozen=True)
class RunCost:
    """Cost of one finished run.

    kind: unit of ``hours``: ``GPU`` or ``CPU``.
    train_seconds: training without evaluations.
    total_seconds: all attempts with evaluations; None without a heartbeat.
    images_per_second: training speed; None where the history does not have it.
    memory: peak of the largest process, in bytes.
    forecast: seconds of training and evaluations as forecast by `make forecast`, and as measured; None where the
        record lacks either.
    """

    run: RunView
    kind: str
    hours: float
    train_seconds: float
    total_seconds: float | None
    images_per_second: float | None
    memory: int
    attempts: int
    device: str
    forecast: tuple[float, float] | None


@dataclass(frozen=True)
class Costs:
    """Costs of all runs.

    runs: costs of finished runs.
    unfinished_seconds, unfinished_count: time of the attempts of other runs, and the number of these runs.
    """

    runs: tuple[RunCost, ...]
    unfinished_seconds: float
    unfinished_count: int

    def total(self, kind: str) -> float:
        """Add up the hours of one kind over all finished runs."""
        return math.fsum(cost.hours for cost in self.runs if cost.kind == kind)

    def pair_costs(self, dataset: str, backbone: str) -> tuple[RunCost, ...]:
        """Return the costs of a pair's runs."""
        return tuple(
            cost
            for cost in self.runs
            if (cost.run.cell.dataset, cost.run.cell.backbone) == (dataset, backbone)
        )


def collect_costs(runs: Iterable[RunView]) -> Costs:
    """Read the costs of finished runs, and the time that the others have spent so far."""
    runs = tuple(runs)
    unfinished = [
        progress.seconds
        for run in runs
        if run.result is None and (progress := read_progress(run.folder)) and progress.seconds > 0
    ]
    return Costs(
        tuple(run_cost(run) for run in runs if run.result is not None),
        math.fsum(unfinished),
        len(unfinished),
    )


def run_cost(run: RunView) -> RunCost:
    """Read the cost of a finished run."""
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
        images_per_second=_images_per_second(run),
        memory=cost["peak_memory_bytes"],
        attempts=cost["attempts"],
        device=f"{processes} × {device['name']}" if processes > 1 else device["name"],
        forecast=(cost["forecast_seconds"], cost["seconds"])
        if {"forecast_seconds", "seconds"} <= cost.keys()
        else None,
    )


def mean_hours(costs: Iterable[RunCost], method: str) -> Mapping[str, float]:
    """Return kind → mean hours of a method's runs."""
    hours: dict[str, list[float]] = {}
    for cost in costs:
        if cost.run.cell.method == method:
            hours.setdefault(cost.kind, []).append(cost.hours)
    return {kind: math.fsum(values) / len(values) for kind, values in hours.items()}


def time_ratio(costs: Iterable[RunCost]) -> tuple[float | None, str]:
    """Divide DCAL's training time by the baseline's, paired by seed; None with the reason, or a ratio with "".

    Runs are comparable only on the same device with the same number of processes and threads.
    """
    costs = tuple(costs)
    baselines, dcals = (
        {cost.run.seed: cost for cost in costs if cost.run.cell.method == method}
        for method in ("baseline", "dcal")
    )
    pairs = [(baselines[seed], dcals[seed]) for seed in sorted(baselines.keys() & dcals.keys())]
    if not pairs:
        return None, "no seed has both"
    comparable = [(baseline, dcal) for baseline, dcal in pairs if _machine(baseline) == _machine(dcal)]
    if not comparable:
        return None, "on different devices"
    baseline_seconds, dcal_seconds = (
        math.fsum(cost.train_seconds for cost in costs) for costs in zip(*comparable, strict=True)
    )
    if baseline_seconds <= 0:
        return None, "no time recorded"
    return dcal_seconds / baseline_seconds, ""


def _machine(cost: RunCost) -> tuple[str | int, ...]:
    device = cost.run.result["device"]
    return tuple(device[name] for name in ("type", "name", "precision", "threads", "world_size"))


def _images_per_second(run: RunView) -> float | None:
    """Divide all images by all seconds of the epochs in history.jsonl."""
    images = seconds = 0.0
    try:
        for line in read_text(run.folder.history, HISTORY_BYTES).splitlines():
            entry = json.loads(line)
            images += float(entry["images_per_second"]) * float(entry["seconds"])
            seconds += float(entry["seconds"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None  # an older or damaged history: the speed stays unknown, the record is still valid
    return images / seconds if seconds > 0 and math.isfinite(images) else None


# --- Costs as tables and sentences ---

PUBLISHED_NOTE = (
    f"The paper's costs are of a {paper.COST_GPU}: those of the method from “Implementation Details”, those of the "
    "baseline from the long version of the text. Hours on other processors are not comparable."
)


def sentences(costs: Costs) -> list[str]:
    """Describe the totals; GPU-hours and CPU core-hours are separate."""
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
    if costs.unfinished_count:
        runs = amount(costs.unfinished_count, "unfinished run")
        lines.append(f"In addition, {runs} took {duration(costs.unfinished_seconds)}.")
    return lines


def pair_costs_table(costs: Costs, pairs: Iterable[tuple[str, str]]) -> HtmlTable:
    """Show one row per pair and kind of processor: baseline, DCAL, and the ratio of their training times."""
    rows = []
    for pair in pairs:
        for kind in (GPU, CPU):
            run_costs = [cost for cost in costs.pair_costs(*pair) if cost.kind == kind]
            if run_costs:
                title = HtmlCell(pair_title(*pair), href=pair_page(*pair))
                rows.append((title, text_cell(kind), *_pair_cells(run_costs)))
    columns = (
        HtmlColumn("Dataset · backbone"),
        HtmlColumn("Unit"),
        HtmlColumn("Baseline", "number", "A run, mean over seeds"),
        HtmlColumn("+ DCAL", "number", "A run, mean over seeds"),
        HtmlColumn("DCAL ÷ baseline", "number", note="training time, same machine"),
        HtmlColumn("Baseline", "number", "Peak memory"),
        HtmlColumn("+ DCAL", "number", "Peak memory"),
    )
    return HtmlTable("costs-pairs", "What DCAL costs in training", columns, tuple(rows))


def _pair_cells(costs: list[RunCost]) -> tuple[HtmlCell, ...]:
    """Show mean hours, ratio and peak memory of costs of one kind."""
    means = [number_cell(next(iter(mean_hours(costs, method).values()), None), hours) for method in METHODS]
    peaks = [
        max((cost.memory for cost in costs if cost.run.cell.method == method), default=None)
        for method in METHODS
    ]
    ratio, reason = time_ratio(costs)
    factor = text_cell(reason, "state") if ratio is None else number_cell(ratio, lambda value: f"{value:.2f}")
    return *means, factor, *(number_cell(peak, memory) for peak in peaks)


def run_costs_table(costs: Iterable[RunCost], *, key: str, sortable: bool, caption: str) -> HtmlTable:
    """Show one row per run.

    key: id of the table on the page.
    sortable: also name the pair of each run; without it all runs are of one pair.

    If a run has a forecast, two more columns show forecast and measured time.
    """
    costs = tuple(costs)
    with_forecast = any(cost.forecast for cost in costs)
    rows = tuple(
        (
            text_cell(
                f"{pair_title(cost.run.cell.dataset, cost.run.cell.backbone)} {run_name(cost.run)}"
                if sortable
                else run_name(cost.run)
            ),
            text_cell(cost.device),
            number_cell(cost.hours, lambda value, kind=cost.kind: f"{hours(value)} {kind}"),
            number_cell(cost.train_seconds, duration),
            number_cell(cost.total_seconds, duration),
            number_cell(cost.images_per_second, lambda value: f"{value:,.1f}"),
            number_cell(cost.memory, memory),
            number_cell(cost.attempts, lambda value: f"{value:.0f}"),
            *(number_cell(value, duration) for value in (cost.forecast or (None, None)) if with_forecast),
        )
        for cost in costs
    )
    columns = (
        HtmlColumn("Run"),
        HtmlColumn("Device"),
        HtmlColumn("Cost", "number"),
        HtmlColumn("Training", "number", note="without evaluations"),
        HtmlColumn("All attempts", "number", note="with evaluations"),
        HtmlColumn("Images/s", "number", note="in training"),
        HtmlColumn("Peak memory", "number"),
        HtmlColumn("Attempts", "number"),
    )
    if with_forecast:
        note = "training and evaluations"
        columns += (HtmlColumn("Forecast", "number", note=note), HtmlColumn("Took", "number", note=note))
    return HtmlTable(key, caption, columns, rows, sortable=sortable)


def published_costs_table(costs: Costs) -> HtmlTable:
    """Show the paper's costs and the measured ones; only for runs of the paper's recipe."""
    rows = []
    for published in paper.COSTS:
        means = mean_hours(costs.pair_costs(published.dataset, published.backbone), published.method)
        measured = "; ".join(f"{hours(value)} {kind}" for kind, value in means.items())
        title = f"{pair_title(published.dataset, published.backbone)}, {METHOD_LABELS[published.method]}"
        rows.append(
            (
                HtmlCell(title, href=pair_page(published.dataset, published.backbone)),
                text_cell(f"{published.hours:.1f} h on {published.gpus} × {paper.COST_GPU}"),
                number_cell(published.gpu_hours, lambda value: f"{value:.1f}"),
                text_cell(measured or "no finished run"),
            )
        )
    columns = (
        HtmlColumn("Run"),
        HtmlColumn("Paper"),
        HtmlColumn("Paper's GPU-hours", "number"),
        HtmlColumn("Measured, mean over seeds"),
    )
    return HtmlTable(
        "costs-published", "The paper's costs and the measured ones", columns, tuple(rows), sortable=False
    )
