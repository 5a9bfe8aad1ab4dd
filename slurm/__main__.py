"""`python -m slurm VERB`: submit, retry, status, cancel, logs."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmark.commands import command_line, options
from benchmark.commands.command_line import Parser, exit_status, seconds, whole_number
from benchmark.config.parse import abridged
from benchmark.errors import RunError
from benchmark.records import lock
from benchmark.records.provenance import now
from benchmark.records.run_folder import last_lines
from benchmark.records.submission import may_write_outcome, write_outcome
from benchmark.records.terminal_text import write_control
from slurm import status_text
from slurm.launch import RETRY_STATES, SUBMIT_STATES, launch, require_answer
from slurm.queue import job_phase, run_command
from slurm.submit import jobs_folder, launch_lock, recover_handovers
from slurm.tracking import track


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; returns the exit status."""
    arguments = _parser().parse_args(argv)
    return command_line.status_of(lambda: arguments.verb(arguments))


def submit(arguments: argparse.Namespace) -> int:
    """Submit the runs that are missing, and return at once."""
    return launch(arguments, SUBMIT_STATES)


def retry(arguments: argparse.Namespace) -> int:
    """Submit failed, damaged and preempted runs again; they continue from their last checkpoint."""
    return launch(arguments, RETRY_STATES)


def show_status(arguments: argparse.Namespace) -> int:
    """Print the state, progress, node and reason of every run."""
    while True:
        grid = track(options.collect(arguments))
        text = status_text.status_text(grid, arguments.profile)
        if not arguments.watch:
            print(text)
            return 0
        if sys.stdout.isatty():
            write_control(sys.stdout, "\x1b[2J\x1b[H")
        print(f"{now()}  (every {arguments.watch:g} s; Ctrl-C ends the watching, not the runs)")
        print(text, flush=True)
        if not any(run.view.state in ("running", "queued", "unknown") for run in grid.runs):
            return 0
        time.sleep(arguments.watch)


def cancel(arguments: argparse.Namespace) -> int:
    """Cancel the jobs of queued and running runs; running ones save first."""
    folder = jobs_folder(options.places(arguments).runs / arguments.profile)
    if folder.is_dir():
        with launch_lock(folder):
            recover_handovers(folder)
    grid = require_answer(track(options.collect(arguments)))
    jobs = [run for run in grid.runs if run.job and job_phase(run.job.state) in ("waiting", "running")]
    if not jobs:
        print("no job of these runs is queued or running")
        return 0
    _, problem = run_command(["scancel", *(run.job.id for run in jobs)])
    for run in jobs:
        folder, owner = run.view.folder, run.submission.owner
        if problem or lock.holder(folder.path) or not may_write_outcome(folder, owner):
            continue  # a living run records its end itself; a run with a result has ended
        write_outcome(folder, "preempted", f"job {run.job.id} was taken back by make cancel", owner)
    if problem:
        raise RunError(f"{problem}. Jobs it could end are ended; make status shows which")
    print(f"cancelled: {len(jobs)} jobs; the next launch goes on where they were")
    return 0


def logs(arguments: argparse.Namespace) -> int:
    """Print the end of a run's log and of its job's output; exit status 1 for a run that has neither."""
    lacking = []
    for run in track(options.collect(arguments)).runs:
        print(f"== {run.view.id}: {run.view.state} {run.view.reason}".rstrip())
        # isfile is False for a path that may not be read.
        files = [
            path for path in (run.view.folder.log, *status_text.job_output_files(run)) if os.path.isfile(path)
        ]
        for path in files:
            print(f"-- {path}")
            print("\n".join(last_lines(path, arguments.lines)))
        if not files:
            lacking.append(run.view)
    if not lacking:
        return command_line.COMPLETE
    sys.stdout.flush()
    print(
        f"error: {abridged([view.id for view in lacking])}: no log, state {lacking[0].state}; looked in "
        f"{lacking[0].folder.path}",
        file=sys.stderr,
    )
    return command_line.INCOMPLETE


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m slurm", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, function: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        subparser = verbs.add_parser(name, help=function.__doc__, description=function.__doc__)
        subparser.set_defaults(verb=function)
        options.add_common(subparser)
        options.add_grid(subparser)
        return subparser

    for name, function in (("submit", submit), ("retry", retry)):
        submit_parser = verb(name, function)
        options.add_machine(submit_parser)
        options.add_tracking(submit_parser)
        submit_parser.add_argument(
            "--cluster", type=Path, default=None, help="cluster file; none: slurm/cluster.toml"
        )
        submit_parser.add_argument(
            "--rerun", choices=("", "stale"), default="", help="set stale runs aside and run anew"
        )
        submit_parser.add_argument(
            "--dry", action="store_true", help="print what would be sent, and send nothing"
        )
    status_parser = verb("status", show_status)
    status_parser.add_argument(
        "--watch", type=seconds, default=0.0, help="seconds between two looks; 0: one look"
    )
    verb("cancel", cancel)
    logs_parser = verb("logs", logs)
    logs_parser.add_argument("--lines", type=whole_number(1), default=40, help="of each file")
    return parser


if __name__ == "__main__":
    sys.exit(exit_status(main))
