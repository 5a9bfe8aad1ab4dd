"""What a command asked for and has no number of: the last lines that it prints, and its exit status (no torch)."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from benchmark.config.datasets import DATASETS
from benchmark.config.paper import REPORTED_METRICS
from benchmark.config.quantities import abridged
from tables.cells import run_state
from tables.formats import one_line
from tables.records import RunView

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
