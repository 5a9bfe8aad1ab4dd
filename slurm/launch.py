"""One launch: which runs are submitted, which are not, and the messages about both."""

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
from slurm.arrays import Array, plan_arrays
from slurm.cluster import Cluster, load_cluster
from slurm.queue import advice, job_phase
from slurm.submit import LaunchSettings, batch_script, launch_lock, recover_handovers, submit_array
from slurm.tracking import GridState, TrackedRun, track

# Only `retry` submits failed and damaged runs: the first would fail again, and damage needs a look at the files.
SUBMIT_STATES = ("missing", "preempted")
RETRY_STATES = ("failed", "preempted", "damaged")
# States of runs that need no submission.
ACTIVE_OR_DONE = ("done", "queued", "running", "unknown")


def launch(arguments: argparse.Namespace, states: tuple[str, ...]) -> int:
    """Submit the selected runs that are in one of these states; with --dry print the batch scripts instead.

    Returns 1 if a run is not submitted that is neither done, queued nor running, else 0. Raises SettingsError for a
    cluster file or settings that cannot be used, and where no run has its data; RunError where SLURM does not answer or
    refuses. Arrays submitted before a refusal stay submitted, and their run folders say so.
    """
    if arguments.rerun == "stale":
        states = (*states, "stale")
    tuning, tracker_names = compute_setup.parse(arguments.tune), trackers.parse(arguments.track)
    options.require_startable(arguments)
    cluster = load_cluster(options.absolute(arguments.cluster))
    if not cluster.python:  # packages of another Python are checked by the jobs themselves
        trackers.require_installed(tracker_names)
    places = options.places(arguments)
    target_device = device.wanted(arguments.device, resolve.load_profile(arguments.profile).device)
    settings = LaunchSettings(
        arguments.profile, places.runs, options.absolute(arguments.data), options.absolute(arguments.weights),
        arguments.overrides, target_device, arguments.workers, arguments.checkpoint_seconds, tuning, tracker_names,
    )  # fmt: skip
    if arguments.dry:
        grid, to_submit, arrays = _plan(arguments, cluster, settings, places, states)
        for number, array in enumerate(arrays, start=1):
            print(f"# array {number} of {len(arrays)}: {len(array.runs)} runs; minutes: {array.source}")
            print("\n".join(f"#   {index}: {view.id}" for index, view in enumerate(array.runs)))
            print(batch_script(cluster, array, settings))
        _print_summary(grid, f"{len(to_submit)} runs would be submitted", states)
        return COMPLETE
    with launch_lock(settings.folder):
        if places.generated:
            write(places.data, dict.fromkeys(cell.dataset for cell in options.cells(arguments)))
        recover_handovers(settings.folder)
        grid, to_submit, arrays = _plan(arguments, cluster, settings, places, states)
        tidy_done(run.view for run in grid.runs)
        for view in to_submit:
            if view.state == "stale":
                print(f"set aside: {set_aside(view.folder.path, 'stale')}", file=sys.stderr)
            if view.state == "damaged":
                for text in _set_files_aside(view):
                    print(f"{view.id}: {text}", file=sys.stderr)
        code = provenance.code_state()
        if code["dirty"] and arrays:
            print("WARNING: the checkout differs from its commit; the records will say so", file=sys.stderr)
        for array in arrays:
            submissions = submit_array(cluster, array, settings, code)
            first, last = submissions[0].job, submissions[-1].job
            ids = first if len(submissions) == 1 else f"{first} to {last}"
            print(
                f"submitted: job {ids}, {len(submissions)} runs, class {array.class_name}, {array.minutes} minutes "
                f"({array.source}), at most {array.parallel} at once"
            )
    _print_summary(grid, f"{len(to_submit)} runs submitted", states)
    return _report_missing(grid, states)


def _set_files_aside(view: status.RunView) -> list[str]:
    """Rename the damaged files of a run; where a job works on the run, that job has done it already."""
    try:
        held = lock.acquire(view.folder.path)
    except lock.LockHeld:
        return []
    try:
        return damage.set_files_aside(view.folder)
    finally:
        held.release()


def _report_missing(grid: GridState, states: tuple[str, ...]) -> int:
    """Print which selected runs are neither done, queued nor running, after everything else; returns the exit status.

    For ``retry`` only runs that have stopped count as selected.
    """
    selected = [run for run in grid.runs if "missing" in states or run.view.state in RETRY_STATES]
    left = [
        run.view
        for run in selected
        if not _should_submit(run, states) and run.view.state not in ACTIVE_OR_DONE
    ]
    if not left:
        return COMPLETE
    counts = status.state_counts(view.state for view in left)
    print(
        f"error: {len(left)} of the {len(selected)} runs asked for will have no number: {counts}; first "
        f"{left[0].id}: {left[0].reason}",
        file=sys.stderr,
    )
    return INCOMPLETE


def _should_submit(run: TrackedRun, states: tuple[str, ...]) -> bool:
    """Whether a run is to be submitted.

    A stale run only if no job works, or may work, on it, because its folder is set aside; a damaged one only if its
    files can be set aside.
    """
    if run.view.state == "stale" and "stale" in states:
        if run.job is None:  # squeue shows all jobs of the user, perhaps not those of others
            return run.submission is None or run.submission.user == getpass.getuser()
        return job_phase(run.job.state) == "ended"
    if run.view.state == "damaged" and not damage.is_repairable(run.view.folder):
        return False
    return run.view.state in states


def _plan(
    arguments: argparse.Namespace,
    cluster: Cluster,
    settings: LaunchSettings,
    places: Places,
    states: tuple[str, ...],
) -> tuple[GridState, list[status.RunView], list[Array]]:
    """The selected runs, those to submit, and their arrays.

    Raises SettingsError where no run has its data, RunError where SLURM does not answer (not with --dry).
    """
    views = options.collect(arguments)
    options.require_data(views, places)
    grid = track(views)
    if not arguments.dry:
        require_answer(grid)
    grid = _check_weights(grid, places, states)
    to_submit = [run.view for run in grid.runs if _should_submit(run, states)]
    arrays = plan_arrays(
        cluster, to_submit, settings.runs, settings.device, settings.tuning, settings.workers
    )
    return grid, to_submit, arrays


def _print_summary(grid: GridState, submitted: str, states: tuple[str, ...]) -> None:
    """Print what was submitted (``submitted``, in words), what was not, and why."""
    left: dict[str, list[TrackedRun]] = {}
    for run in grid.runs:
        if not _should_submit(run, states):
            left.setdefault(run.view.state, []).append(run)
    counts = status.state_counts(run.view.state for runs in left.values() for run in runs)
    print(submitted + (f"; left alone: {counts}" if left else ""))
    for state in ("failed", "damaged", "stale", "unknown", "no-data", "no-weights"):
        reasons: dict[str, list[TrackedRun]] = {}
        for run in left.get(state, []):
            reasons.setdefault(run.view.reason, []).append(run)
        for reason, runs in reasons.items():
            print(f"{state}: {abridged([run.view.id for run in runs])}: {reason}")
    if "failed" in left or "damaged" in left:
        print(f"{status_text.retry_command(grid)} submits failed and damaged runs again")
    for line in status_text.warnings(grid):
        print(line, file=sys.stderr)


def require_answer(grid: GridState) -> GridState:
    """Raise RunError where SLURM does not answer: its jobs could be submitted twice, or not be cancelled."""
    if problem := grid.queue.problem:
        hint = f"; {advice(problem)}" if advice(problem) else ""
        raise RunError(f"SLURM does not answer, so nothing is sent or cancelled: {problem}{hint}")
    return grid


def _check_weights(grid: GridState, places: Places, states: tuple[str, ...]) -> GridState:
    """Set the state of runs to ``no-weights`` whose weights a compute node would have to download."""
    runs = []
    for run in grid.runs:
        if _should_submit(run, states) and (
            lacking := status.weights_problem(run.view.config, places, download=False)
        ):
            run = replace(run, view=replace(run.view, state="no-weights", reason=lacking))
        runs.append(run)
    return replace(grid, runs=tuple(runs))
