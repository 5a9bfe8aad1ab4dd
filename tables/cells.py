"""Numbers of one cell: mean and spread over its seeds, difference from the paper, and runs without a number."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmark.config.datasets import DATASETS
from benchmark.config.grid import Cell
from benchmark.config.paper import REPORTED_METRICS
from benchmark.config.parse import abridged
from benchmark.records.status import RunView
from tables import records
from tables.formats import one_line
from tables.verdicts import reproduction_verdict

# State of a done run whose record lacks the metric: shown as a state, because it gives no number.
NO_NUMBER = "no-number"
# State of a cell that the changed settings (SET) are not applicable to: it has no runs.
LEFT_OUT = "left-out"


@dataclass(frozen=True)
class SeedStatistics:
    """Mean and sample standard deviation (ddof = 1, from two values on) over seeds, in percent or points.

    seed_values: seed → value, by ascending seed.
    """

    mean: float | None
    std: float | None
    seed_values: Mapping[int, float]

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(self.seed_values)

    @property
    def n(self) -> int:
        return len(self.seed_values)


@dataclass(frozen=True)
class CellSummary:
    """One cell in one metric.

    published: the paper's number in percent, None where it gives none.
    measured: over the seeds that have a number.
    difference: measured minus published in points, None where the two must not be compared.
    reproduction: verdict on the difference (``tables.verdicts``), "" where nothing was measured or published.
    states: state → number of seeds.
    coverage: of the data behind the mean, each kind once.
    runs: one for each seed.
    left_out: why the changed settings are not applicable to the cell, which then has no runs; "" for other cells.
    """

    cell: Cell
    metric: str
    published: float | None
    measured: SeedStatistics
    difference: float | None
    reproduction: str
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


def measure(values: Mapping[int, float]) -> SeedStatistics:
    """Mean and spread of ``{seed: value}``."""
    numbers = list(values.values())
    return SeedStatistics(
        mean=statistics.fmean(numbers) if numbers else None,
        std=statistics.stdev(numbers) if len(numbers) > 1 else None,
        seed_values={seed: values[seed] for seed in sorted(values)},
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
    comparable: bool,
    published: float | None,
    left_out: str = "",
) -> CellSummary:
    """Summarize the runs of one cell.

    comparable: whether the recipe of the runs may be compared with the paper's.
    published, left_out: as in ``CellSummary``.
    """
    runs = tuple(runs)
    values = ((run.seed, records.metric(run, metric)) for run in runs)
    measured = measure({seed: value for seed, value in values if value is not None})
    with_number = [run for run in runs if run.seed in measured.seed_values]
    coverage = tuple(records.distinct(records.coverage(run) for run in with_number))
    difference = minus(measured.mean, published) if comparable and coverage == ("full",) else None
    return CellSummary(
        cell=cell,
        metric=metric,
        published=published,
        measured=measured,
        difference=difference,
        reproduction=reproduction_verdict(difference) if measured.n and published is not None else "",
        states=Counter(run_state(run, metric) for run in runs)
        or Counter([LEFT_OUT if left_out else "missing"]),
        coverage=coverage,
        runs=runs,
        left_out=left_out,
    )


# --- Requested runs without a number: the last lines that a command prints, and its exit status ---

# Value of --require → states of a run that satisfy it. For ``submitted`` the state alone cannot tell whether the job of
# a stopped run is in the queue again: ``slurm submit`` has checked that before.
ACCEPTED_STATES = {
    "done": ("done",),
    "submitted": ("done", "queued", "running", "preempted", "failed", "damaged"),
}
REASONS = 5  # printed; the table and its files list all
_ADVICE = {
    "stale": "RERUN=stale sets stale runs aside and runs their cells anew",
    "queued": "make status shows whether their jobs still wait, make cancel takes them back",
    "preempted": "the same command goes on from their last checkpoint",
}


def unfinished_message(runs: Iterable[RunView], cells: Container[str], requirement: str) -> str:
    """Error message on the runs of these cells that are not in an accepted state, grouped by reason; "" for none.

    cells: ids. requirement: key of ``ACCEPTED_STATES``.
    """
    selected = [run for run in runs if run.cell.id in cells]
    groups: dict[tuple[str, str], list[RunView]] = {}
    for run in selected:
        metrics = REPORTED_METRICS[DATASETS[run.cell.dataset].task]
        # The state in the first metric without a number.
        states = (run_state(run, metric) for metric in metrics)
        state = next((state for state in states if state != "done"), "done")
        if state not in ACCEPTED_STATES[requirement]:
            groups.setdefault((state, one_line(run.reason)), []).append(run)
    if not groups:
        return ""
    lines = [f"error: {sum(map(len, groups.values()))} of the {len(selected)} runs asked for have no number"]
    for (state, reason), members in list(groups.items())[:REASONS]:
        why = f": {reason}" if reason else ""
        advice = f"; {_ADVICE[state]}" if state in _ADVICE else ""
        lines.append(f"  {state}: {abridged([run.id for run in members])}{why}{advice}")
    if len(groups) > REASONS:
        lines.append(f"  and {len(groups) - REASONS} more reasons, in the table's list")
    return "\n".join(lines)


def queue_message(runs: Sequence[RunView], cells: Container[str]) -> str:
    """Number of runs of these cells (ids) that wait or run on a cluster, as a message; "" for none."""
    states = [run.state for run in runs if run.cell.id in cells]
    queued, running = states.count("queued"), states.count("running")
    if not queued and not running:
        return ""
    counts = f"{queued} queued, {running} running"
    return f"{queued + running} of the {len(states)} runs asked for have no number yet: {counts}"
