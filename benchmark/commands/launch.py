"""``launch``: run every selected cell that has no result yet, in JOBS slots on this machine (no torch)."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from benchmark.commands import options, pool
from benchmark.commands.command_line import COMPLETE, INCOMPLETE, JOBS, STOPPED, Command, whole_number
from benchmark.commands.live_view import LiveView
from benchmark.commands.run import set_stale_aside
from benchmark.config import compute_setup, resolve
from benchmark.config.places import Places
from benchmark.config.resolve import Profile
from benchmark.data import shared_memory
from benchmark.records import status
from benchmark.records.status import RunView
from benchmark.training import device, trackers
from benchmark.training.leftovers import tidy_done
from benchmark.training.request import Infrastructure, RunRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which runs, what they may use, and how many at once."""
    options.add_grid(parser)
    options.add_machine(parser)
    options.add_tracking(parser)
    options.add_rerun(parser)
    parser.add_argument(
        "--jobs",
        type=whole_number(1, JOBS),
        default=None,
        help="runs at once; none: one a GPU, or one a core",
    )


def launch(arguments: argparse.Namespace) -> int:
    """Run what is missing, in JOBS slots; the exit status is 1 if one of the selected runs has no result then."""
    profile, tuning = resolve.load_profile(arguments.profile), compute_setup.parse(arguments.tune)
    tracker_names = trackers.parse_installed(arguments.track)
    options.require_startable(arguments)
    places = options.places(arguments)
    if places.generated:
        from benchmark.data.mini.sets import write

        write(places.data, dict.fromkeys(cell.dataset for cell in options.cells(arguments)))
    views = options.collect(arguments)
    if arguments.rerun == "stale" and set_stale_aside(views):
        views = options.collect(arguments)
    options.require_data(views, places)
    startable = any(view.state in status.STATES_TO_RUN for view in views)
    device_type = device.choose(arguments.device, profile.name, profile.device) if startable else "cpu"
    tidy_done(views)
    views = [status.with_weights(view, places) for view in views]
    pending = [view for view in views if view.state in status.STATES_TO_RUN]
    slots = pool.plan_slots(device_type, len(pending), arguments.jobs)
    slots = replace(slots, threads=device.threads_of(profile, slots.threads))
    infrastructure = Infrastructure(
        device=device_type,
        threads=slots.threads,
        workers=_workers(arguments.workers, profile, slots, pending),
        checkpoint_seconds=arguments.checkpoint_seconds,
        quiet=True,
        parent=os.getpid(),
        tuning=tuning,
        trackers=tracker_names,
    )
    overrides = resolve.parse_overrides(arguments.overrides)
    summary = pool.launch(
        views,
        lambda view: run_command(_request(view, places, overrides, infrastructure)),
        slots,
        look=functools.partial(status.refresh, places=places),
        show=LiveView(),
    )
    not_ready = Counter(
        (view.state, view.reason) for view in views if view.state in ("no-data", "no-weights")
    )
    for (state, reason), count in not_ready.items():
        print(f"{state}, {count} runs not started: {reason}", file=sys.stderr)
    return report(summary) or (INCOMPLETE if not_ready else COMPLETE)


def run_command(request: RunRequest) -> list[str]:
    """The command line of one run: this interpreter, and the request as one JSON text."""
    return [sys.executable, "-m", "benchmark", "run", "--request", request.to_json()]


def report(summary: pool.Summary) -> int:
    """Print which runs have no result and why; returns the exit status."""
    for runs, title, advice in (
        (
            summary.stale,
            "stale",
            "stale runs are kept and not used: RERUN=stale sets them aside and runs the cells anew",
        ),
        (
            summary.queued,
            "left to the cluster",
            "make status shows whether their jobs still wait, make cancel takes them back, and then they run here",
        ),
    ):
        if runs:
            lines = (f"{title}: {run_id}: {reason}" for run_id, reason in runs.items())
            print(*lines, advice, sep="\n", file=sys.stderr)
    if summary.interrupted:
        print("interrupted: the runs saved their state; the same command goes on from there", file=sys.stderr)
        return STOPPED
    if summary.failed:
        print(
            f"{len(summary.failed)} of the runs failed; the reasons are above and in their log.txt",
            file=sys.stderr,
        )
    return INCOMPLETE if summary.failed or summary.stale or summary.queued else COMPLETE


def _request(
    view: RunView, places: Places, overrides: dict[str, object], infrastructure: Infrastructure
) -> RunRequest:
    return RunRequest(view.cell.id, view.seed, view.config.profile, places, overrides, infrastructure)


def _workers(requested: int | None, profile: Profile, slots: pool.Slots, pending: Sequence[RunView]) -> int:
    """Decoding processes a run: WORKERS, else as the cores of a slot allow; no more than shared memory holds."""
    workers = requested
    if workers is None:
        workers = device.workers_of(profile, device.usable_cores() // slots.jobs, on_gpu=bool(slots.gpus))
    if not pending:
        return workers
    largest = max(shared_memory.batch_bytes(view.config) for view in pending)
    return shared_memory.fitting_workers(workers, largest, slots.jobs)


COMMANDS = {"launch": Command(launch, add_arguments)}
