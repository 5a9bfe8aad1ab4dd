"""`python -m benchmark VERB`: list, run, launch, check-data, mini-data, weights, settings, forecast, overhead,
evaluate, predict, export. Of these `run` loads torch, what measures or counts, and the last three.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from benchmark.commands import evaluate, export, options, predict
from benchmark.commands import launch as pool
from benchmark.commands.command_line import (
    COMPLETE,
    INCOMPLETE,
    JOBS,
    STOPPED,
    Parser,
    exit_status,
    one_seed,
    status_of,
    whole_number,
)
from benchmark.commands.live_view import LiveView
from benchmark.config import compute_setup, resolve, show
from benchmark.config.applicability import require_free, require_meaning
from benchmark.data import shared_memory
from benchmark.errors import DataError, RunError, SettingsError
from benchmark.records import forecasts, status
from benchmark.records.heartbeat import StopRequest
from benchmark.records.lock import LockHeld
from benchmark.records.run_folder import set_aside
from benchmark.timing import glca_overhead
from benchmark.training import device, trackers
from benchmark.training.leftovers import tidy_done


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; returns the exit status."""
    arguments = parser().parse_args(argv)
    return status_of(lambda: arguments.verb(arguments))


def list_runs(arguments: argparse.Namespace) -> int:
    """Print every run with its state."""
    views = options.collect(arguments)
    width = max(len(view.id) for view in views)
    for view in views:
        note = view.reason if view.state not in ("missing", "done") else ""
        print(f"{view.id:<{width}}  {view.state:<10}  {note}".rstrip())
    print(f"{len(views)} runs: {status.state_counts(view.state for view in views)}")
    return 0


def launch(arguments: argparse.Namespace) -> int:
    """Run what is missing, in JOBS slots; the exit status is 1 if one of the runs asked for has no result then."""
    profile, tuned = resolve.load_profile(arguments.profile), compute_setup.parse(arguments.tune)
    tracked = trackers.asked(arguments.track)
    options.require_startable(arguments)
    places = options.places(arguments)
    if places.generated:
        from benchmark.data.mini.sets import write

        write(places.data, dict.fromkeys(cell.dataset for cell in options.cells(arguments)))
    views = options.collect(arguments)
    if arguments.rerun == "stale" and _set_stale_aside(views):
        views = options.collect(arguments)
    options.require_data(views, places)
    asked = any(view.state in status.STATES_TO_RUN for view in views)
    chosen = device.choose(arguments.device, profile.name, profile.device) if asked else "cpu"
    tidy_done(views)
    views = [status.with_weights(view, places) for view in views]
    todo = [view for view in views if view.state in status.STATES_TO_RUN]
    slots = pool.plan_slots(chosen, len(todo), arguments.jobs)
    slots = replace(slots, threads=device.threads_of(profile, slots.threads))
    workers = arguments.workers
    if workers is None:
        workers = device.workers_of(profile, device.usable_cores() // slots.jobs, on_gpu=bool(slots.gpus))
    if todo:
        largest = max(shared_memory.batch_bytes(view.config) for view in todo)
        workers = shared_memory.fitting_workers(workers, largest, slots.jobs)
    passed = [
        "--profile", arguments.profile, "--runs", str(places.runs), "--device", chosen,
        "--threads", str(slots.threads), "--workers", str(workers), "--set", arguments.overrides,
        "--checkpoint-seconds", str(arguments.checkpoint_seconds), "--tune", str(tuned),
        "--track", " ".join(tracked),
        "--data", str(options.absolute(arguments.data) or ""),
        "--weights", str(options.absolute(arguments.weights) or ""),
    ]  # fmt: skip
    look = functools.partial(status.refresh, places=places)
    summary = pool.launch(
        views, lambda view: pool.run_command(passed, view), slots, look=look, show=LiveView()
    )
    unready = Counter((view.state, view.reason) for view in views if view.state in ("no-data", "no-weights"))
    for (state, reason), runs in unready.items():
        print(f"{state}, {runs} runs not started: {reason}", file=sys.stderr)
    return _report(summary) or (INCOMPLETE if unready else COMPLETE)


def _set_stale_aside(views: Sequence[status.RunView]) -> int:
    """How many there were."""
    stale = [view for view in views if view.state == "stale"]
    for view in stale:
        print(f"set aside: {set_aside(view.folder.path, 'stale')}", file=sys.stderr)
    return len(stale)


def _report(summary: pool.Summary) -> int:
    for run_id, reason in summary.stale.items():
        print(f"stale: {run_id}: {reason}", file=sys.stderr)
    if summary.stale:
        print(
            "stale runs are kept and not used: RERUN=stale sets them aside and runs the cells anew",
            file=sys.stderr,
        )
    for run_id, reason in summary.queued.items():
        print(f"left to the cluster: {run_id}: {reason}", file=sys.stderr)
    if summary.queued:
        print(
            "make status shows whether their jobs still wait, make cancel takes them back, and then they run here",
            file=sys.stderr,
        )
    if summary.interrupted:
        print("interrupted: the runs saved their state; the same command goes on from there", file=sys.stderr)
        return STOPPED
    if summary.failed:
        print(
            f"{len(summary.failed)} of the runs failed; the reasons are above and in their log.txt",
            file=sys.stderr,
        )
    incomplete = summary.failed or summary.stale or summary.queued
    return INCOMPLETE if incomplete else COMPLETE


def run(arguments: argparse.Namespace) -> int:
    """One run, in this process."""
    cell, overrides = options.cell(arguments), options.overrides(arguments)
    if not arguments.parent:  # a launch of both tables passes all settings to all of its runs
        require_meaning(overrides, [cell])
        require_free(overrides, [cell])
    tracked, places = trackers.asked(arguments.track), options.places(arguments)
    if arguments.rerun == "stale":
        resolved = resolve.resolve(cell, arguments.seed, resolve.load_profile(arguments.profile), overrides)
        _set_stale_aside([status.view_run(resolved, places, *status.data_fingerprint(cell.dataset, places))])
    stop = StopRequest()
    stop.listen()
    from benchmark.training.run import Infrastructure, run_cell

    fitting = device.threads_of(resolve.load_profile(arguments.profile), device.usable_cores())
    try:
        result = run_cell(
            cell,
            arguments.seed,
            arguments.profile,
            places,
            overrides=overrides,
            infrastructure=Infrastructure(
                device=arguments.device,
                threads=arguments.threads or fitting,
                workers=arguments.workers or 0,
                checkpoint_seconds=arguments.checkpoint_seconds,
                log_interval=arguments.log_interval,
                quiet=arguments.quiet,
                parent=arguments.parent,
                tuning=compute_setup.parse(arguments.tune),
                trackers=tracked,
            ),
            stop=stop,
        )
    except LockHeld:
        raise
    except (DataError, RunError) as error:  # the run began and failed: its folder says so, too
        print(f"error: {error}", file=sys.stderr)
        return INCOMPLETE
    if not arguments.quiet:
        print("  ".join(f"{name} {value:.2f}" for name, value in result["metrics"].items()))
    return 0


def check_data(arguments: argparse.Namespace) -> int:
    """Compare the datasets at hand with the official counts."""
    from benchmark.data.check import check_all

    places = options.places(arguments)
    if places.data is None:
        raise SettingsError(
            "check-data needs DATA=folder, the folder that holds CUB_200_2011, VeRi_776 and their like"
        )
    profile, overrides = resolve.load_profile(arguments.profile), resolve.parse_overrides(arguments.overrides)
    read_as = {
        cell.dataset: resolve.resolve(cell, 0, profile, overrides).settings.data
        for cell in options.cells(arguments)
    }
    return check_all(
        read_as,
        places.data,
        decode=not arguments.no_decode,
        limit=arguments.limit,
        jobs=device.usable_cores(),
        options={
            key: {"merge_val": data.merge_val, "skip_unparsable": data.skip_unparsable}
            for key, data in read_as.items()
        },
    )


def forecast(arguments: argparse.Namespace) -> int:
    """Measure a few steps of every distinct shape here, and print what the runs will take."""
    from benchmark.commands.forecast import told

    return told(arguments)


def count_overhead(arguments: argparse.Namespace) -> int:
    """Count what GLCA adds to a baseline at the paper's sizes, and write it for the ablation table."""
    path = forecasts.glca_cost_path(
        options.places(arguments).runs, resolve.load_profile(arguments.profile).name
    )
    print(glca_overhead.text(glca_overhead.complete(path)))
    return 0


def mini_data(arguments: argparse.Namespace) -> int:
    """Write the generated mini sets, if they are not there."""
    from benchmark.data.mini.sets import write_all

    places = options.places(arguments)
    write_all(places.data)
    print(places.data)
    return 0


def weights(arguments: argparse.Namespace) -> int:
    """Fetch the pretrained weights that the cells need, verify and record them; what is there stays."""
    from benchmark.commands.weights import fetch_all

    return fetch_all(arguments)


def settings(arguments: argparse.Namespace) -> int:
    """Print the settings of a profile as SET takes them, task by task, dataset and backbone."""
    profile = resolve.load_profile(arguments.profile)
    overrides = resolve.parse_overrides(arguments.overrides)
    print(*show.lines(profile, overrides), sep="\n")
    return 0


def parser() -> argparse.ArgumentParser:
    """All verbs with their options."""
    top = Parser(prog="python -m benchmark", description=__doc__)
    verbs = top.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, function: object, *adders: object) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=function.__doc__, description=function.__doc__)
        made.set_defaults(verb=function)
        options.add_common(made)
        for add in adders:
            add(made)
        return made

    verb("list", list_runs, options.add_grid)
    launching = verb("launch", launch, options.add_grid, options.add_machine, options.add_tracking)
    launching.add_argument(
        "--jobs",
        type=whole_number(1, JOBS),
        default=None,
        help="runs at once; none: one a GPU, or one a core",
    )
    running = verb("run", run, options.add_machine, options.add_tracking, options.add_by_hand)
    for made in (launching, running):
        made.add_argument(
            "--rerun", choices=("", "stale"), default="", help="set stale runs aside and run anew"
        )
    running.add_argument("cell", help="dataset/backbone/method; the dataset may be a folder of yours in DATA")
    running.add_argument("--seed", type=one_seed, default=0)
    running.add_argument("--threads", type=whole_number(1), default=None, help="CPU threads; none: all cores")
    running.add_argument("--quiet", action="store_true", help="log to the run folder only")
    running.add_argument("--parent", type=int, default=0, help=argparse.SUPPRESS)
    checking = verb("check-data", check_data, options.add_grid)
    checking.add_argument("--no-decode", action="store_true", help="do not open every picture")
    checking.add_argument(
        "--limit", type=whole_number(0), default=10, help="how many missing or unreadable pictures to name"
    )
    telling = verb("forecast", forecast, options.add_grid, options.add_machine)
    telling.add_argument(
        "--jobs", type=whole_number(1, JOBS), default=None, help="runs at once, as launch has it"
    )
    telling.add_argument("--again", action="store_true", help="measure also what was measured before")
    verb("overhead", count_overhead)
    verb("mini-data", mini_data)
    verb("weights", weights, options.add_grid).add_argument(
        "--mirror", default="", help="folder to copy files of weights from; none: the hub"
    )
    verb("settings", settings)
    verb("evaluate", evaluate.evaluate, options.add_grid, evaluate.add_arguments)
    verb("export", export.export, export.add_arguments)
    verb("predict", predict.predict, predict.add_arguments)
    return top


if __name__ == "__main__":
    sys.exit(exit_status(main))
