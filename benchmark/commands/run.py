"""``run``: one run in this process, from options or from a launch's request."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmark.commands import options
from benchmark.commands.command_line import INCOMPLETE, Command, one_seed, whole_number
from benchmark.config import compute_setup, resolve
from benchmark.config.applicability import require_free, require_meaning
from benchmark.config.grid import Cell
from benchmark.errors import DataError, RunError, SettingsError
from benchmark.records import status
from benchmark.records.heartbeat import StopRequest
from benchmark.records.lock import LockHeld
from benchmark.records.run_folder import set_aside
from benchmark.records.status import RunView
from benchmark.training import device, trackers
from benchmark.training.request import Infrastructure, RunRequest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The cell and its seed, and what the run may use."""
    options.add_machine(parser)
    options.add_tracking(parser)
    options.add_rerun(parser)
    parser.add_argument(
        "--log-interval",
        type=whole_number(0),
        default=0,
        help="steps between two lines in the log; 0: a line an epoch",
    )
    parser.add_argument(
        "--val-interval",
        type=whole_number(1),
        default=None,
        help="epochs between two evaluations, SET evaluate.every",
    )
    parser.add_argument(
        "cell", nargs="?", help="dataset/backbone/method; the dataset may be a folder of yours in DATA"
    )
    parser.add_argument("--seed", type=one_seed, default=0)
    parser.add_argument("--threads", type=whole_number(1), default=None, help="CPU threads; none: all cores")
    parser.add_argument("--quiet", action="store_true", help="log to the run folder only")
    parser.add_argument("--request", default="", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    """One run, in this process."""
    if arguments.request:
        request = RunRequest.from_json(arguments.request)
        cell = options.named_cell(request.cell, request.places.data)
    else:
        cell, request = _from_options(arguments)
    stop = StopRequest()
    stop.listen()
    from benchmark.training.run import run_cell

    infrastructure = request.infrastructure
    try:
        result = run_cell(
            cell,
            request.seed,
            request.profile,
            request.places,
            overrides=dict(request.overrides),
            infrastructure=infrastructure,
            stop=stop,
        )
    except LockHeld:
        raise
    except (DataError, RunError) as error:  # the run began and failed: its folder says so, too
        print(f"error: {error}", file=sys.stderr)
        return INCOMPLETE
    if not infrastructure.quiet:
        print("  ".join(f"{name} {value:.2f}" for name, value in result["metrics"].items()))
    return 0


def set_stale_aside(views: Sequence[RunView]) -> int:
    """Move the folders of stale runs out of the way; returns how many there were."""
    stale = [view for view in views if view.state == "stale"]
    for view in stale:
        print(f"set aside: {set_aside(view.folder.path, 'stale')}", file=sys.stderr)
    return len(stale)


def _from_options(arguments: argparse.Namespace) -> tuple[Cell, RunRequest]:
    if not arguments.cell:
        raise SettingsError(
            "run: no cell given, expected dataset/backbone/method, for example cub/deit_tiny/dcal"
        )
    cell = options.named_cell(arguments.cell, options.absolute(arguments.data))
    overrides, profile = _overrides(arguments), resolve.load_profile(arguments.profile)
    require_meaning(overrides, [cell])
    require_free(overrides, [cell])
    tracker_names, places = trackers.parse_installed(arguments.track), options.places(arguments)
    if arguments.rerun == "stale":
        config = resolve.resolve(cell, arguments.seed, profile, overrides)
        set_stale_aside([status.view_run(config, places, *status.data_fingerprint(cell.dataset, places))])
    infrastructure = Infrastructure(
        device=arguments.device,
        threads=arguments.threads or device.threads_of(profile, device.usable_cores()),
        workers=arguments.workers or 0,
        checkpoint_seconds=arguments.checkpoint_seconds,
        log_interval=arguments.log_interval,
        quiet=arguments.quiet,
        tuning=compute_setup.parse(arguments.tune),
        trackers=tracker_names,
    )
    return cell, RunRequest(cell.id, arguments.seed, arguments.profile, places, overrides, infrastructure)


def _overrides(arguments: argparse.Namespace) -> dict[str, object]:
    """SET, with --val-interval under its name there. Raises SettingsError where they contradict."""
    overrides = resolve.parse_overrides(arguments.overrides)
    if arguments.val_interval is None:
        return overrides
    if overrides.setdefault("evaluate.every", arguments.val_interval) != arguments.val_interval:
        raise SettingsError(
            f"--val-interval {arguments.val_interval} and SET evaluate.every={overrides['evaluate.every']} are one "
            "setting: give one of them"
        )
    return overrides


COMMANDS = {"run": Command(run, add_arguments)}
