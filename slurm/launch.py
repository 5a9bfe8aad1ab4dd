"""One launch: which runs are sent, which are left alone, and what is said of both (no torch)."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from dataclasses import replace

from benchmark import config, options, provenance, status
from benchmark.errors import RunError, SettingsError
from benchmark.mini.sets import write
from benchmark.places import Places
from benchmark.records import set_aside
from slurm import show
from slurm.arrays import plan
from slurm.cluster import Cluster, load_cluster
from slurm.states import Grid, Tracked, kind, track
from slurm.submit import Order, alone, rehearse, send

# A failed run would fail again for the same reason: it is for `retry` alone.
SUBMITTED = ("missing", "preempted")
RETRIED = ("failed", "preempted")


def launch(arguments: argparse.Namespace, states: tuple[str, ...]) -> int:
    """Send the runs asked for that are in one of these states; with --dry print what would be sent instead.

    Raises SettingsError for a cluster file or settings that cannot be followed, RunError where SLURM does not answer
    or refuses; arrays sent before a refusal stay sent, and their runs know it.
    """
    cluster = load_cluster(options.absolute(arguments.cluster))
    places = options.places(arguments)
    device = arguments.device or config.load_profile(arguments.profile).device
    if device not in ("auto", "cpu", "cuda"):
        raise SettingsError(f"DEVICE={device}: expected auto, cpu or cuda")
    order = Order(
        arguments.profile, places.runs, options.absolute(arguments.data), options.absolute(arguments.weights),
        arguments.overrides, device, arguments.workers, arguments.checkpoint_seconds,
    )  # fmt: skip
    if arguments.dry:
        _rehearse(arguments, cluster, order, places, states)
        return 0
    with alone(order):
        if places.generated:
            write(places.data, dict.fromkeys(cell.dataset for cell in options.cells(arguments)))
        grid = _with_weights(answered(track(options.collect(arguments))), places)
        if arguments.rerun == "stale" and _set_aside_stale(grid):
            grid = _with_weights(track(options.collect(arguments)), places)
        chosen = [run.view for run in grid.runs if run.view.state in states]
        arrays = plan(cluster, chosen, places.runs, device)
        code = provenance.code()
        if code["dirty"] and arrays:
            print("WARNING: the checkout differs from its commit; the records will say so", file=sys.stderr)
        for array in arrays:
            made = send(cluster, array, order, code)
            first, last = made[0].job, made[-1].job
            ids = first if len(made) == 1 else f"{first} to {last}"
            print(
                f"submitted: job {ids}, {len(made)} runs, class {array.class_name}, {array.minutes} minutes "
                f"({array.source}), at most {array.parallel} at once"
            )
    _say(grid, f"{len(chosen)} runs submitted", states)
    return 0


def _rehearse(
    arguments: argparse.Namespace, cluster: Cluster, order: Order, places: Places, states: tuple[str, ...]
) -> None:
    grid = _with_weights(track(options.collect(arguments)), places)
    chosen = [run.view for run in grid.runs if run.view.state in states]
    arrays = plan(cluster, chosen, places.runs, order.device)
    for number, array in enumerate(arrays, start=1):
        print(f"# array {number} of {len(arrays)}: {len(array.runs)} runs; minutes: {array.source}")
        print("\n".join(f"#   {index}: {view.id}" for index, view in enumerate(array.runs)))
        print(rehearse(cluster, array, order))
    _say(grid, f"{len(chosen)} runs would be submitted", states)


def _set_aside_stale(grid: Grid) -> int:
    """Make room for runs of the settings asked for; returns how many were moved. A job that lives keeps its folder."""
    stale = [
        run
        for run in grid.runs
        if run.view.state == "stale" and not (run.job and kind(run.job.state) != "ended")
    ]
    for run in stale:
        print(f"set aside: {set_aside(run.view.folder.path, 'stale')}", file=sys.stderr)
    return len(stale)


def _say(grid: Grid, sent: str, states: tuple[str, ...]) -> None:
    """What was sent, what was left alone, and why."""
    left: dict[str, list[Tracked]] = {}
    for run in grid.runs:
        if run.view.state not in states:
            left.setdefault(run.view.state, []).append(run)
    counts = Counter({state: len(runs) for state, runs in left.items()})
    print(sent + (f"; left alone: {show.counted(counts)}" if left else ""))
    for state in ("failed", "stale", "unknown", "no-data", "no-weights"):
        for reason, runs in _by_reason(left.get(state, [])).items():
            more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
            print(f"{state}: {runs[0].view.id}{more}: {reason}")
    if "failed" in left:
        print("make retry submits failed runs again")
    for line in show.warnings(grid):
        print(line, file=sys.stderr)


def _by_reason(runs: list[Tracked]) -> dict[str, list[Tracked]]:
    groups: dict[str, list[Tracked]] = {}
    for run in runs:
        groups.setdefault(run.view.reason, []).append(run)
    return groups


def answered(grid: Grid) -> Grid:
    """Raises RunError where SLURM does not answer: runs that it holds could be sent twice, or be left running."""
    if grid.queue.problem:
        raise RunError(f"SLURM does not answer, so nothing is sent or cancelled: {grid.queue.problem}")
    return grid


def _with_weights(grid: Grid, places: Places) -> Grid:
    """Runs whose weights would have to be downloaded on a compute node become ``no-weights``."""
    runs = []
    for run in grid.runs:
        lacking = status.lacking_weights(run.view.config, places, download=False)
        if lacking and run.view.state in (*SUBMITTED, *RETRIED):
            run = replace(run, view=replace(run.view, state="no-weights", reason=lacking))
        runs.append(run)
    return replace(grid, runs=tuple(runs))
