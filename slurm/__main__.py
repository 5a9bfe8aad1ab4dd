"""`python -m slurm VERB`: submit, retry, status, cancel, logs. Nothing here loads torch."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
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
from slurm.launch import RETRIED, SUBMITTED, answered, launch
from slurm.queue import call, kind
from slurm.submit import adopt, alone, folder_of
from slurm.tracking import track


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; returns the exit status."""
    arguments = _parser().parse_args(argv)
    return command_line.status_of(lambda: arguments.verb(arguments))


def submit(arguments: argparse.Namespace) -> int:
    """Submit what is missing, and return at once."""
    return launch(arguments, SUBMITTED)


def retry(arguments: argparse.Namespace) -> int:
    """Submit failed, damaged and preempted runs again; they go on from their last checkpoint."""
    return launch(arguments, RETRIED)


def show_status(arguments: argparse.Namespace) -> int:
    """Print every run's state, progress, place and reason."""
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
    """Take queued runs back and end running ones, which save first."""
    handed = folder_of(options.places(arguments).runs / arguments.profile)
    if handed.is_dir():
        with alone(handed):
            adopt(handed)
    grid = answered(track(options.collect(arguments)))
    jobs = [run for run in grid.runs if run.job and kind(run.job.state) in ("waits", "works")]
    if not jobs:
        print("no job of these runs is queued or running")
        return 0
    _, problem = call(["scancel", *(run.job.id for run in jobs)])
    for run in jobs:
        folder, owner = run.view.folder, run.submission.owner
        if problem or lock.holder(folder.path) or not may_write_outcome(folder, owner):
            continue  # a run that lives records its end itself, and a result is one
        write_outcome(folder, "preempted", f"job {run.job.id} was taken back by make cancel", owner)
    if problem:
        raise RunError(f"{problem}. Jobs it could end are ended; make status shows which")
    print(f"cancelled: {len(jobs)} jobs; the next launch goes on where they were")
    return 0


def logs(arguments: argparse.Namespace) -> int:
    """Print the end of a run's log and of its job's output; status 1 for a run that has none."""
    lacking = []
    for run in track(options.collect(arguments)).runs:
        print(f"== {run.view.id}: {run.view.state} {run.view.reason}".rstrip())
        # Of a path that may not be looked at, there is no file.
        there = [path for path in (run.view.folder.log, *status_text.job_output(run)) if os.path.isfile(path)]
        for path in there:
            print(f"-- {path}")
            print("\n".join(last_lines(path, arguments.lines)))
        if not there:
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

    def verb(name: str, function: object) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=function.__doc__, description=function.__doc__)
        made.set_defaults(verb=function)
        options.add_common(made)
        options.add_grid(made)
        return made

    for name, function in (("submit", submit), ("retry", retry)):
        launching = verb(name, function)
        options.add_machine(launching)
        options.add_tracking(launching)
        launching.add_argument(
            "--cluster", type=Path, default=None, help="cluster file; none: slurm/cluster.toml"
        )
        launching.add_argument(
            "--rerun", choices=("", "stale"), default="", help="set stale runs aside and run anew"
        )
        launching.add_argument(
            "--dry", action="store_true", help="print what would be sent, and send nothing"
        )
    watching = verb("status", show_status)
    watching.add_argument("--watch", type=seconds, default=0.0, help="seconds between two looks; 0: one look")
    verb("cancel", cancel)
    logging = verb("logs", logs)
    logging.add_argument("--lines", type=whole_number(1), default=40, help="of each file")
    return parser


if __name__ == "__main__":
    sys.exit(exit_status(main))
