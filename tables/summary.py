"""Runs into numbers: mean and spread over seeds, distance from the paper, paired gains."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmark import paper
from benchmark.config import is_comparable
from benchmark.grid import TABLES, Cell
from tables import records_view as records
from tables.records_view import RunView, seeds_text

# A done run whose record lacks the metric: shown as a state, because it gives no number.
NO_NUMBER = "no-number"


@dataclass(frozen=True)
class Measured:
    """Mean and sample standard deviation (ddof = 1, from two values on) over ``seeds``, in percent."""

    mean: float | None
    std: float | None
    seeds: tuple[int, ...]

    @property
    def n(self) -> int:
        return len(self.seeds)


@dataclass(frozen=True)
class CellSummary:
    """One cell in one metric.

    states: how many seeds are in which state; coverage: that of the data behind the mean.
    difference: measured minus published, or None where the two must not be compared.
    """

    cell: Cell
    metric: str
    published: float | None
    measured: Measured
    difference: float | None
    states: Mapping[str, int]
    coverage: tuple[str, ...]
    runs: tuple[RunView, ...]

    @property
    def comparable_data(self) -> bool:
        return self.coverage == ("full",)

    @property
    def complete(self) -> bool:
        return self.measured.n == len(self.runs)


@dataclass(frozen=True)
class GainSummary:
    """DCAL minus baseline for one dataset, backbone and metric; ``note`` says what pairing left out."""

    dataset: str
    backbone: str
    metric: str
    published: float | None
    measured: Measured
    difference: float | None
    coverage: tuple[str, ...]
    note: str
    complete: bool


@dataclass(frozen=True)
class TableSummary:
    """All numbers of a table; ``cells`` and ``gains`` are keyed by their place in it.

    comparable: whether the recipe is the paper's, or another reading of it.
    """

    key: str
    profile: str
    comparable: bool
    runs: tuple[RunView, ...]
    cells: Mapping[tuple[str, str, str, str], CellSummary]  # dataset, backbone, method, metric
    gains: Mapping[tuple[str, str, str], GainSummary]  # dataset, backbone, metric


def measure(values: Mapping[int, float]) -> Measured:
    """Mean and spread of ``{seed: value}``."""
    seeds = tuple(sorted(values))
    numbers = [values[seed] for seed in seeds]
    return Measured(
        mean=statistics.fmean(numbers) if numbers else None,
        std=statistics.stdev(numbers) if len(numbers) > 1 else None,
        seeds=seeds,
    )


def run_state(run: RunView, metric: str) -> str:
    """The run's state; ``no-number`` for a done run whose record lacks the metric."""
    return NO_NUMBER if run.state == "done" and records.metric(run, metric) is None else run.state


def summarize(
    table: str, profile: str, runs: Iterable[RunView], overrides: Iterable[str] = ()
) -> TableSummary:
    """The numbers of ``table``; runs of other tables are left out, cells without a run are ``missing``.

    overrides: ``name=value`` of the settings changed by hand.
    """
    comparable = is_comparable(profile, [entry.partition("=")[0] for entry in overrides])
    grid = TABLES[table]
    own = tuple(run for run in runs if run.cell.table == table)
    by_cell: dict[Cell, list[RunView]] = {cell: [] for cell in grid.cells}
    for run in own:
        by_cell[run.cell].append(run)
    cells = {
        (cell.dataset, cell.backbone, cell.method, metric): _cell(
            cell, metric, tuple(by_cell[cell]), comparable
        )
        for cell in grid.cells
        for metric in paper.metrics(table, cell.dataset)
    }
    gains = {
        (dataset, backbone, metric): _gain(
            cells[dataset, backbone, "baseline", metric], cells[dataset, backbone, "dcal", metric], comparable
        )
        for dataset, backbone in grid.pairs
        for metric in paper.metrics(table, dataset)
    }
    return TableSummary(table, profile, comparable, own, cells, gains)


def _values(runs: Iterable[RunView], metric: str) -> dict[int, float]:
    found = ((run.seed, records.metric(run, metric)) for run in runs)
    return {seed: value for seed, value in found if value is not None}


def _cell(cell: Cell, metric: str, runs: tuple[RunView, ...], recipe: bool) -> CellSummary:
    measured = measure(_values(runs, metric))
    published = paper.published(cell.dataset, cell.backbone, cell.method, metric)
    with_number = [run for run in runs if run.seed in measured.seeds]
    coverage = tuple(records.distinct(records.coverage(run) for run in with_number))
    comparable = recipe and coverage == ("full",)
    states = Counter(run_state(run, metric) for run in runs) or Counter(missing=1)
    return CellSummary(
        cell=cell,
        metric=metric,
        published=published,
        measured=measured,
        difference=_minus(measured.mean, published) if comparable else None,
        states=states,
        coverage=coverage,
        runs=runs,
    )


def _gain(baseline: CellSummary, dcal: CellSummary, recipe: bool) -> GainSummary:
    before, after = _values(baseline.runs, baseline.metric), _values(dcal.runs, dcal.metric)
    common = before.keys() & after.keys()
    same_data = {seed for seed in common if _data(baseline, seed) == _data(dcal, seed)}
    measured = measure({seed: after[seed] - before[seed] for seed in same_data})
    # The published numbers have one decimal, so has their difference: 84.6 − 82.1 is 2.5, not 2.4999….
    gain = _minus(dcal.published, baseline.published)
    published = None if gain is None else round(gain, 1)
    coverage = tuple(records.distinct(_data(baseline, seed)[0] for seed in sorted(same_data)))
    comparable = recipe and coverage == ("full",)
    return GainSummary(
        dataset=baseline.cell.dataset,
        backbone=baseline.cell.backbone,
        metric=baseline.metric,
        published=published,
        measured=measured,
        difference=_minus(measured.mean, published) if comparable else None,
        coverage=coverage,
        note=_pairing_note(set(before), set(after), same_data),
        complete=measured.n == max(len(baseline.runs), len(dcal.runs)),
    )


def _data(summary: CellSummary, seed: int) -> tuple[str, str]:
    run = next(run for run in summary.runs if run.seed == seed)
    return records.coverage(run), records.data_text(run)


def _pairing_note(before: set[int], after: set[int], paired: set[int]) -> str:
    if not before or not after or before == after == paired:
        return ""
    different = (before & after) - paired
    parts = [f"gain over {seeds_text(paired)} only" if paired else "no gain"]
    for seeds, words in (
        (before - after, "only the baseline has"),
        (after - before, "only DCAL has"),
        (different, "the two methods saw different data in"),
    ):
        if seeds:
            parts.append(f"{words} {seeds_text(seeds)}")
    return "; ".join(parts)


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
