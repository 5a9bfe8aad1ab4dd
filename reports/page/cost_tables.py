"""The costs of runs as tables and sentences, beside the published ones where they may stand there."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.config import paper
from benchmark.config.quantities import amount, duration, hours, memory
from reports.page.comparisons import page_of, pair_title
from reports.page.costs import CPU, GPU, Costs, RunCost, mean_hours, ratio
from reports.page.html_table import Column, Entry, Sheet, number, word
from reports.page.provenance import METHODS, run_name

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
