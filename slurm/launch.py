"""One launch: which runs are sent, which are left alone, and what is said of both (no torch)."""

from __future__ import annotations

import argparse
import getpass
import sys
from dataclasses import replace

from benchmark.commands import options
from benchmark.commands.command_line import COMPLETE, INCOMPLETE
from benchmark.config import compute_setup, resolve
from benchmark.config.parse import abridged
from benchmark.config.places import Places
from benchmark.data.mini.sets import write
from benchmark.errors import RunError
from benchmark.records import damage, lock, provenance, status
from benchmark.records.run_folder import set_aside
from benchmark.training import device, trackers
from benchmark.training.leftovers import tidy_done
from slurm import status_text
from slurm.arrays import Array, plan
from slurm.cluster import Cluster, load_cluster
from slurm.queue import advice, kind
from slurm.submit import Order, adopt, alone, rehearse, send
from slurm.tracking import Grid, Tracked, track

# A failed run would fail again for the same reason, and damage needs eyes first: both are for `retry` alone.
SUBMITTED = ("missing", "preempted")
RETRIED = ("failed", "preempted", "damaged")
# What a launch may leave alone and still have done all that it was asked for.
ON_THEIR_WAY = ("done", "queued", "running", "unknown")


def launch(arguments: argparse.Namespace, states: tuple[str, ...]) -> int:
    """Send the runs asked for that are in one of these states; with --dry print what would be sent instead.

    Returns 1 if a run is left alone that is neither done nor on its way, else 0. Raises SettingsError for a cluster
    file or settings that cannot be followed and where no run has its data, RunError where SLURM does not answer or
    refuses; arrays sent before a refusal stay sent, and their runs know it.
    """
    if arguments.rerun == "stale":
        states = (*states, "stale")
    tuned, tracked = compute_setup.parse(arguments.tune), trackers.parse(arguments.track)
    options.require_startable(arguments)
    cluster = load_cluster(options.absolute(arguments.cluster))
    if not cluster.python:  # another Python's packages its jobs look at themselves
        trackers.require_installed(tracked)
    places = options.places(arguments)
    wanted = device.wanted(arguments.device, resolve.load_profile(arguments.profile).device)
    order = Order(
        arguments.profile, places.runs, options.absolute(arguments.data), options.absolute(arguments.weights),
        arguments.overrides, wanted, arguments.workers, arguments.checkpoint_seconds, tuned, tracked,
    )  # fmt: skip
    if arguments.dry:
        _rehearse(arguments, cluster, order, places, states)
        return COMPLETE
    with alone(order.folder):
        if places.generated:
            write(places.data, dict.fromkeys(cell.dataset for cell in options.cells(arguments)))
        adopt(order.folder)
        grid = answered(track(_collect(arguments, places)))
        grid = _with_weights(grid, places, states)
        chosen, arrays = _planned(grid, cluster, order, states)
        tidy_done(run.view for run in grid.runs)
        for view in chosen:
            if view.state == "stale":
                print(f"set aside: {set_aside(view.folder.path, 'stale')}", file=sys.stderr)
            if view.state == "damaged":
                for text in _set_files_aside(view):
                    print(f"{view.id}: {text}", file=sys.stderr)
        code = provenance.code_state()
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
    return _complain(grid, states)


def _set_files_aside(view: status.RunView) -> list[str]:
    """Rename the damaged files of a run that no process works on; a job that works there has done it itself."""
    try:
        held = lock.acquire(view.folder.path)
    except lock.LockHeld:
        return []
    try:
        return damage.set_files_aside(view.folder)
    finally:
        held.release()


def _complain(grid: Grid, states: tuple[str, ...]) -> int:
    """Say last of all which runs asked for are neither done nor on their way; returns the exit status.

    ``retry`` asks for those that have stopped alone.
    """
    asked = [run for run in grid.runs if "missing" in states or run.view.state in RETRIED]
    left = [run.view for run in asked if not _is_sent(run, states) and run.view.state not in ON_THEIR_WAY]
    if not left:
        return COMPLETE
    counts = status.state_counts(view.state for view in left)
    print(
        f"error: {len(left)} of the {len(asked)} runs asked for will have no number: {counts}; first "
        f"{left[0].id}: {left[0].reason}",
        file=sys.stderr,
    )
    return INCOMPLETE


def _collect(arguments: argparse.Namespace, places: Places) -> list[status.RunView]:
    """The runs asked for with their states. Raises SettingsError where none has its data."""
    views = options.collect(arguments)
    options.require_data(views, places)
    return views


def _is_sent(run: Tracked, states: tuple[str, ...]) -> bool:
    """A stale run is sent, its folder set aside, only if no job is, or may be, at it; a damaged one, only if its files
    can be set aside.
    """
    if run.view.state == "stale" and "stale" in states:
        if run.job is None:  # squeue shows one's own jobs for sure
            return run.submission is None or run.submission.user == getpass.getuser()
        return kind(run.job.state) == "ended"
    if run.view.state == "damaged" and not damage.is_repairable(run.view.folder):
        return False
    return run.view.state in states


def _planned(
    grid: Grid, cluster: Cluster, order: Order, states: tuple[str, ...]
) -> tuple[list[status.RunView], list[Array]]:
    chosen = [run.view for run in grid.runs if _is_sent(run, states)]
    return chosen, plan(cluster, chosen, order.runs, order.device, order.tuning, order.workers)


def _rehearse(
    arguments: argparse.Namespace, cluster: Cluster, order: Order, places: Places, states: tuple[str, ...]
) -> None:
    grid = _with_weights(track(_collect(arguments, places)), places, states)
    chosen, arrays = _planned(grid, cluster, order, states)
    for number, array in enumerate(arrays, start=1):
        print(f"# array {number} of {len(arrays)}: {len(array.runs)} runs; minutes: {array.source}")
        print("\n".join(f"#   {index}: {view.id}" for index, view in enumerate(array.runs)))
        print(rehearse(cluster, array, order))
    _say(grid, f"{len(chosen)} runs would be submitted", states)


def _say(grid: Grid, sent: str, states: tuple[str, ...]) -> None:
    """What was sent, what was left alone, and why."""
    left: dict[str, list[Tracked]] = {}
    for run in grid.runs:
        if not _is_sent(run, states):
            left.setdefault(run.view.state, []).append(run)
    counts = status.state_counts(run.view.state for runs in left.values() for run in runs)
    print(sent + (f"; left alone: {counts}" if left else ""))
    for state in ("failed", "damaged", "stale", "unknown", "no-data", "no-weights"):
        for reason, runs in _by_reason(left.get(state, [])).items():
            print(f"{state}: {abridged([run.view.id for run in runs])}: {reason}")
    if "failed" in left or "damaged" in left:
        print(f"{status_text.retry(grid)} submits failed and damaged runs again")
    for line in status_text.warnings(grid):
        print(line, file=sys.stderr)


def _by_reason(runs: list[Tracked]) -> dict[str, list[Tracked]]:
    groups: dict[str, list[Tracked]] = {}
    for run in runs:
        groups.setdefault(run.view.reason, []).append(run)
    return groups


def answered(grid: Grid) -> Grid:
    """Raises RunError where SLURM does not answer: runs that it holds could be sent twice, or be left running."""
    if problem := grid.queue.problem:
        what_to_do = f"; {advice(problem)}" if advice(problem) else ""
        raise RunError(f"SLURM does not answer, so nothing is sent or cancelled: {problem}{what_to_do}")
    return grid


def _with_weights(grid: Grid, places: Places, states: tuple[str, ...]) -> Grid:
    """Runs whose weights would have to be downloaded on a compute node become ``no-weights``."""
    runs = []
    for run in grid.runs:
        sent = _is_sent(run, states)
        if sent and (lacking := status.weights_problem(run.view.config, places, download=False)):
            run = replace(run, view=replace(run.view, state="no-weights", reason=lacking))
        runs.append(run)
    return replace(grid, runs=tuple(runs))
