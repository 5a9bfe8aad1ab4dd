"""One cell's runs into a number: mean and spread over seeds, distance from the paper."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmark.config.datasets import DATASETS
from benchmark.config.grid import Cell
from benchmark.config.paper import REPORTED_METRICS
from benchmark.config.parse import abridged
from tables import records
from tables.formats import one_line
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


# --- What a command asked for and has no number of: the last lines that it prints, and its exit status ---

# What --require takes: the states of a run that are as good as asked for.
# Whether a job of a run that stopped waits again, only SLURM knows: `slurm submit` has judged these states.
ACCEPTED = {
    "done": ("done",),
    "submitted": ("done", "queued", "running", "preempted", "failed", "damaged"),
}
REASONS = 5  # shown; the table and its files have all
_ADVICE = {
    "stale": "RERUN=stale sets stale runs aside and runs their cells anew",
    "queued": "make status shows whether their jobs still wait, make cancel takes them back",
    "preempted": "the same command goes on from their last checkpoint",
}


def complaint(runs: Iterable[RunView], cells: Container[str], required: str) -> str:
    """Which runs of these cells are not in an accepted state, and why, grouped by reason; "" where all are.

    cells: ids; required: a key of ``ACCEPTED``.
    """
    asked = [run for run in runs if run.cell.id in cells]
    groups: dict[tuple[str, str], list[RunView]] = {}
    for run in asked:
        state = _state(run)
        if state not in ACCEPTED[required]:
            groups.setdefault((state, one_line(run.reason)), []).append(run)
    if not groups:
        return ""
    lacking = sum(map(len, groups.values()))
    lines = [f"error: {lacking} of the {len(asked)} runs asked for have no number"]
    lines += [_line(state, reason, several) for (state, reason), several in list(groups.items())[:REASONS]]
    if len(groups) > REASONS:
        lines.append(f"  and {len(groups) - REASONS} more reasons, in the table's list")
    return "\n".join(lines)


def on_their_way(runs: Sequence[RunView], cells: Container[str]) -> str:
    """How many runs of these cells wait or run on a cluster, "" where none does."""
    states = [run.state for run in runs if run.cell.id in cells]
    queued, running = states.count("queued"), states.count("running")
    if not queued and not running:
        return ""
    counts = f"{queued} queued, {running} running"
    return f"{queued + running} of the {len(states)} runs asked for have no number yet: {counts}"


def _state(run: RunView) -> str:
    """A run's state, of the first metric that it has no number of."""
    states = [run_state(run, metric) for metric in REPORTED_METRICS[DATASETS[run.cell.dataset].task]]
    return next((state for state in states if state != "done"), "done")


def _line(state: str, reason: str, runs: Sequence[RunView]) -> str:
    why = f": {reason}" if reason else ""
    advice = f"; {_ADVICE[state]}" if state in _ADVICE else ""
    return f"  {state}: {abridged([run.id for run in runs])}{why}{advice}"
