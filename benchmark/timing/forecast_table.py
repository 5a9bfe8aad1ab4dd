"""A forecast as text: a row a pair, baseline and DCAL side by side, and totals (no torch)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from benchmark.config import paper
from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS
from benchmark.config.grid import METHODS
from benchmark.config.parse import amount, duration, hours, memory
from benchmark.config.resolve import Config
from benchmark.config.variants import VARIANTS
from benchmark.records.estimate import Estimate
from benchmark.records.forecasts import Forecast, Machine
from benchmark.records.status import RunView
from benchmark.records.workload import OFFICIAL, DatasetCounts, reading_key

Pair = tuple[str, str]
HEADINGS = (
    "dataset · backbone",
    "epoch: baseline", "+ DCAL", "ratio",
    "run: baseline", "+ DCAL",
    "memory: baseline", "+ DCAL",
    "{unit}: baseline", "+ DCAL",
    "bound by",
)  # fmt: skip
PAPER_HEADING = f"paper, {paper.COST_GPU} GPU-hours"


@dataclass(frozen=True)
class ForecastTable:
    """found: (dataset, backbone) → method → what one run takes, where that is known. seeds: of each run.

    published: pairs that the paper's costs may stand beside: on complete data, with its recipe.
    """

    machine: Machine
    found: Mapping[Pair, Mapping[str, Estimate]]
    seeds: int
    published: Set[Pair]

    def hours(self, estimate: Estimate) -> float:
        """GPU-hours, or on a CPU core-hours, of one run."""
        return estimate.run_seconds * max(1, self.machine.threads) / 3600

    @property
    def unit(self) -> str:
        return "core-hours" if self.machine.type == "cpu" else "GPU-hours"


def table(contents: ForecastTable) -> str:
    """All pairs."""
    from tabulate import tabulate

    headings = [heading.format(unit=contents.unit) for heading in HEADINGS]
    rows = [
        _row(contents, pair, estimates_of_pair, method)
        for pair, estimates_of_pair in contents.found.items()
        for method in _row_methods(estimates_of_pair)
    ]
    if contents.published:
        headings.append(PAPER_HEADING)
    align = ("left", *("right",) * 9, "left", *(("right",) if contents.published else ()))
    return tabulate(rows, headers=headings, tablefmt="github", disable_numparse=True, colalign=align)


def _row_methods(estimates_of_pair: Mapping[str, Estimate]) -> list[str]:
    """Methods that have a row, each compared with the baseline: DCAL and the selected variants."""
    variants = [method for method in estimates_of_pair if method not in METHODS]
    return [
        *(["dcal"] if not estimates_of_pair or estimates_of_pair.keys() & set(METHODS) else []),
        *variants,
    ]


def _row(
    contents: ForecastTable, pair: Pair, estimates_of_pair: Mapping[str, Estimate], method: str
) -> list[str]:
    variant = method in VARIANTS
    both = [estimates_of_pair.get("baseline"), estimates_of_pair.get(method)]
    epochs = [item.epoch_seconds if item else None for item in both]
    ratio = f"{epochs[1] / epochs[0]:.2f}" if all(epochs) else "–"
    bounds = dict.fromkeys(item.bound for item in both if item)
    row = [
        f"{DATASETS[pair[0]].title} · {BACKBONES[pair[1]].title}{': ' + VARIANTS[method].title if variant else ''}",
        *(duration(value) for value in epochs),
        ratio,
        *(duration(item and item.run_seconds) for item in both),
        *(memory(item.memory_bytes) if item else "–" for item in both),
        *(hours(contents.hours(item)) if item else "–" for item in both),
        ", ".join(bounds) or "–",
    ]
    return (
        [*row, _published(pair) if pair in contents.published and not variant else ""]
        if contents.published
        else row
    )


def _published(pair: Pair) -> str:
    published_costs = {cost.method: cost for cost in paper.COSTS if (cost.dataset, cost.backbone) == pair}
    if not published_costs:
        return ""
    return " / ".join(
        f"{published_costs[method].gpu_hours:.1f}" if method in published_costs else "–" for method in METHODS
    )


def totals(contents: ForecastTable) -> list[str]:
    """Over all runs that can be forecast, times the seeds."""
    by_method: dict[str, list[Estimate]] = {}
    for estimates_of_pair in contents.found.values():
        for method, estimate in estimates_of_pair.items():
            by_method.setdefault("variants" if method in VARIANTS else method, []).append(estimate)
    runs = [estimate for estimates in by_method.values() for estimate in estimates]
    if not runs:
        return ["nothing can be forecast"]
    parts = [
        f"{method} {hours(contents.seeds * math.fsum(map(contents.hours, estimates)))}"
        for method, estimates in by_method.items()
        if estimates
    ]
    seconds = contents.seeds * math.fsum(estimate.run_seconds for estimate in runs)
    total = contents.seeds * math.fsum(map(contents.hours, runs))
    count = len(runs) * contents.seeds
    return [
        f"{amount(count, 'run')} ({amount(contents.seeds, 'seed')}): {hours(total)} {contents.unit} "
        f"({', '.join(parts)}); one after another on one such device {duration(seconds)}"
    ]


def rests_on(runs: Iterable[tuple[Config, DatasetCounts]], forecast: Forecast, workers: int) -> list[str]:
    """A line a dataset: whose numbers of pictures these are, and how fast one process reads them."""
    lines = {}
    for config, counts in runs:
        dataset = DATASETS[config.cell.dataset]
        key = reading_key(dataset.key, config.settings.data, in_process=not workers)
        if found := forecast.reading_pace(key):
            spread = ", spread evenly over identities" if counts.gallery and counts.source == OFFICIAL else ""
            lines[dataset.key] = (
                f"{dataset.title}: {counts.steps:,} steps an epoch, {counts.test:,} test pictures "
                f"({counts.source}{spread}); pictures: {found.text}, {found.per_second:,.0f} a second by one process"
            )
    return list(lines.values())


def finished(views: Iterable[RunView]) -> list[str]:
    """A line for every finished run that had a forecast: what that said, and what the run took."""
    lines = []
    for view in views:
        cost = (view.result or {}).get("cost", {})
        forecast_seconds, seconds = cost.get("forecast_seconds"), cost.get("seconds")
        if forecast_seconds and seconds:
            lines.append(
                f"done: {view.id}: forecast {duration(forecast_seconds)}, took {duration(seconds)} "
                f"({seconds / forecast_seconds:.2f} × the forecast)"
            )
    return lines
