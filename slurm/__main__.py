"""`python -m slurm VERB`: submit, retry, status, cancel, logs. Nothing here loads torch."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmark import config, options, provenance, status
from benchmark.atomic import write_json
from benchmark.errors import RunError, SettingsError, SuiteError
from benchmark.places import Places
from slurm import show
from slurm.states import Grid, Tracked, kind, track

WATCH_SECONDS = 30
# A failed run would fail again for the same reason: it is for `retry` alone.
SUBMITTED = ("missing", "preempted")
RETRIED = ("failed", "preempted")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; returns the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.verb(arguments)
    except SuiteError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def submit(arguments: argparse.Namespace) -> int:
    """Submit what is missing, and return at once."""
    return _launch(arguments, SUBMITTED)


def retry(arguments: argparse.Namespace) -> int:
    """Submit failed and preempted runs again; they go on from their last checkpoint."""
    return _launch(arguments, RETRIED)


def show_status(arguments: argparse.Namespace) -> int:
    """Print every run's state, progress, place and reason."""
    while True:
        grid = track(options.collect(arguments))
        text = show.status_text(grid, arguments.profile)
        if not arguments.watch:
            print(text)
            return 0
        clear = "\x1b[2J\x1b[H" if sys.stdout.isatty() else ""
        print(
            f"{clear}{provenance.now()}  (every {arguments.watch:g} s; Ctrl-C ends the watching, not the runs)"
        )
        print(text, flush=True)
        if not any(run.view.state in ("running", "queued", "unknown") for run in grid.runs):
            return 0
        time.sleep(arguments.watch)


def cancel(arguments: argparse.Namespace) -> int:
    """Take queued runs back and end running ones, which save first."""
    grid = _answered(track(options.collect(arguments)))
    jobs = [run for run in grid.runs if run.job and kind(run.job.state) in ("waits", "works")]
    if not jobs:
        print("no job of these runs is queued or running")
        return 0
    done = subprocess.run(["scancel", *(run.job.id for run in jobs)], capture_output=True, text=True)
    if done.returncode:
        raise RunError(f"scancel: {done.stderr.strip()}")
    for run in jobs:
        if run.view.state != "running":
            message = {"state": "preempted", "message": f"job {run.job.id} was taken back by make cancel"}
            write_json(
                run.view.folder.outcome, {**message, "time": provenance.now(), "owner": run.submission.owner}
            )
    print(f"cancelled: {len(jobs)} jobs; the next launch goes on where they were")
    return 0


def logs(arguments: argparse.Namespace) -> int:
    """Print the end of a run's log and of its job's output."""
    for run in track(options.collect(arguments)).runs:
        print(f"== {run.view.id}: {run.view.state} {run.view.reason}".rstrip())
        for path in (run.view.folder.log, show.job_output(run)):
            if path is not None and path.is_file():
                print(f"-- {path}")
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
                print("\n".join(lines[-arguments.lines :]))
    return 0


def _launch(arguments: argparse.Namespace, states: tuple[str, ...]) -> int:
    from slurm.arrays import plan
    from slurm.cluster import load_cluster
    from slurm.submit import Order, alone, rehearse, send

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
        grid = _with_weights(track(options.collect(arguments)), places)
        chosen = [run.view for run in grid.runs if run.view.state in states]
        arrays = plan(cluster, chosen, places.runs, device)
        for number, array in enumerate(arrays, start=1):
            print(f"# array {number} of {len(arrays)}: {len(array.runs)} runs; minutes: {array.source}")
            print("\n".join(f"#   {index}: {view.id}" for index, view in enumerate(array.runs)))
            print(rehearse(cluster, array, order))
        _say(grid, f"{len(chosen)} runs would be submitted", states)
        return 0
    with alone(order):
        if places.generated:
            from benchmark.mini.sets import write

            write(places.data, dict.fromkeys(cell.dataset for cell in options.cells(arguments)))
        grid = _with_weights(_answered(track(options.collect(arguments))), places)
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


def _answered(grid: Grid) -> Grid:
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m slurm", description=__doc__)
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
        launching.add_argument(
            "--cluster", type=Path, default=None, help="cluster file; none: slurm/cluster.toml"
        )
        launching.add_argument(
            "--dry", action="store_true", help="print what would be sent, and send nothing"
        )
    watching = verb("status", show_status)
    watching.add_argument("--watch", type=float, default=0.0, help="seconds between two looks; 0: one look")
    verb("cancel", cancel)
    logging = verb("logs", logs)
    logging.add_argument("--lines", type=int, default=40, help="of each file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
