"""One cell's runs into a number: mean and spread over seeds, distance from the paper."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmark.config.grid import Cell
from tables import records
from tables.records import RunView
from tables.verdicts import reached

# A done run whose record lacks the metric: shown as a state, because it gives no number.
NO_NUMBER = "no-number"
# A cell that the settings asked for (SET) make no sense for: it has no runs.
LEFT_OUT = "left-out"


@dataclass(frozen=True)
class Measured:
    """Mean and sample standard deviation (ddof = 1, from two values on) of one value a seed, in percent."""

    mean: float | None
    std: float | None
    by_seed: Mapping[int, float]

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(self.by_seed)

    @property
    def n(self) -> int:
        return len(self.by_seed)


@dataclass(frozen=True)
class CellSummary:
    """One cell in one metric.

    states: how many seeds are in which state; coverage: that of the data behind the mean.
    difference: measured minus published, or None where the two must not be compared.
    left_out: why the settings asked for make no sense for the cell, which then has no runs; "" for every other cell.
    reached: the verdict on the difference (``tables.verdicts``), "" where nothing was measured or published.
    """

    cell: Cell
    metric: str
    published: float | None
    measured: Measured
    difference: float | None
    reached: str
    states: Mapping[str, int]
    coverage: tuple[str, ...]
    runs: tuple[RunView, ...]
    left_out: str = ""

    @property
    def comparable_data(self) -> bool:
        return self.coverage == ("full",)

    @property
    def complete(self) -> bool:
        return self.measured.n == len(self.runs)


def measure(values: Mapping[int, float]) -> Measured:
    """Mean and spread of ``{seed: value}``."""
    numbers = list(values.values())
    return Measured(
        mean=statistics.fmean(numbers) if numbers else None,
        std=statistics.stdev(numbers) if len(numbers) > 1 else None,
        by_seed={seed: values[seed] for seed in sorted(values)},
    )


def run_state(run: RunView, metric: str) -> str:
    """The run's state; ``no-number`` for a done run whose record lacks the metric."""
    return NO_NUMBER if run.state == "done" and records.metric(run, metric) is None else run.state


def minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def summarize_cell(
    cell: Cell,
    metric: str,
    runs: Iterable[RunView],
    recipe: bool,
    published: float | None,
    left_out: str = "",
) -> CellSummary:
    """The numbers of one cell. recipe: whether the runs' recipe may be compared with the paper's. left_out: as in
    ``CellSummary``.
    """
    runs = tuple(runs)
    found = ((run.seed, records.metric(run, metric)) for run in runs)
    measured = measure({seed: value for seed, value in found if value is not None})
    with_number = [run for run in runs if run.seed in measured.by_seed]
    coverage = tuple(records.distinct(records.coverage(run) for run in with_number))
    difference = minus(measured.mean, published) if recipe and coverage == ("full",) else None
    return CellSummary(
        cell=cell,
        metric=metric,
        published=published,
        measured=measured,
        difference=difference,
        reached=reached(difference) if measured.n and published is not None else "",
        states=Counter(run_state(run, metric) for run in runs)
        or Counter([LEFT_OUT if left_out else "missing"]),
        coverage=coverage,
        runs=runs,
        left_out=left_out,
    )
