"""Status of the grid as text: counts, one line for each run, reasons, warnings."""

from __future__ import annotations

import contextlib
from pathlib import Path

from benchmark.config.grid import ABLATIONS
from benchmark.config.parse import abridged, duration
from benchmark.records import lock, provenance
from benchmark.records.progress import Progress, read_progress
from benchmark.records.run_folder import last_lines, read_json
from benchmark.records.status import STATES, has_job_started, state_counts
from benchmark.records.terminal_text import single_line
from slurm.tracking import GridState, TrackedRun

# States in the order of the output: those that need attention first, ``done`` last.
_FIRST = ("failed", "damaged", "unknown", "stale", "preempted", "running", "queued")
ORDER = (*_FIRST, *(state for state in STATES if state not in (*_FIRST, "done")), "done")
LOG_LINES = 4


def status_text(grid: GridState, profile: str) -> str:
    """Output of ``make status``."""
    runs = sorted(grid.runs, key=lambda run: ORDER.index(run.view.state))
    states = [run.view.state for run in runs]
    width = max(len(run.view.id) for run in runs)
    lines = [f"profile {profile}, {len(runs)} runs: {state_counts(states)}"]
    lines += usage_lines(grid)
    lines += warnings(grid)
    lines.append("")
    for run in runs:
        lines.append(f"{run.view.id:<{width}}  {run.view.state:<10}  {_note(run)}".rstrip())
        if run.view.state in ("failed", "damaged"):
            lines += [f"    | {line}" for line in log_tail(run, LOG_LINES)]
    if {"failed", "damaged", "preempted"} & {*states}:
        lines += [
            "",
            f"{retry_command(grid)} submits failed, damaged and preempted runs again; make logs CELL=… shows a run's "
            "log",
        ]
    return "\n".join(lines)


def retry_command(grid: GridState) -> str:
    """Command that submits these runs again; ablations need TABLE, because without it patterns match no variant."""
    variants = any(run.view.cell.table == ABLATIONS for run in grid.runs)
    return f"make retry TABLE={ABLATIONS}" if variants else "make retry"


def usage_lines(grid: GridState) -> list[str]:
    """GPU-hours and hours on CPUs so far, from the runs' heartbeats, which need no accounting."""
    gpu = cpu = 0.0
    for run in grid.runs:
        progress = read_progress(run.view.folder)
        if progress is None:
            continue
        gpus = _gpus(run)
        gpu += progress.seconds * gpus
        cpu += progress.seconds * (0 if gpus else run.submission.ranks if run.submission else 1)
    parts = [
        f"{seconds / 3600:.2f} {unit}"
        for seconds, unit in ((gpu, "GPU-hours"), (cpu, "hours on CPUs"))
        if seconds
    ]
    return [f"used so far: {', '.join(parts)}"] if parts else []


def warnings(grid: GridState) -> list[str]:
    """Warnings about the states and the numbers."""
    lines = []
    if grid.queue.problem:
        lines.append(
            f"WARNING: SLURM does not answer ({grid.queue.problem}): states are the run folders' alone"
        )
    code = provenance.code_state()
    waiting = [
        run.view.id
        for run in grid.runs
        if run.view.state == "queued"
        and run.submission
        and provenance.code_difference(run.submission.code, code)
    ]
    if waiting:
        lines.append(
            f"WARNING: the code was changed since {len(waiting)} queued runs were submitted "
            f"({abridged(waiting, 3, '; ')}): they will start with the code of that moment"
        )
    changed = [
        f"{run.view.id} {text}"
        for run in grid.runs
        if run.view.state in ("running", "done", "failed", "damaged", "preempted")
        and (text := _code_difference(run))
    ]
    if changed:
        lines.append(f"WARNING: other code than at submission: {abridged(changed, 3, '; ')}")
    return lines


def log_tail(run: TrackedRun, count: int) -> list[str]:
    """Last lines of a run's log, or of its job's output where the job ended before it opened the log."""
    outcome = read_json(run.view.folder.outcome)
    if run.submission is None or has_job_started(run.submission, run.view.folder, outcome):
        return last_lines(run.view.folder.log, count)
    return [line for path in job_output_files(run) for line in last_lines(path, count)][-count:]


def job_output_files(run: TrackedRun) -> list[Path]:
    """Output files of the job's tasks, over all of its starts, in the order of ranks."""
    if run.submission is None:
        return []
    files: dict[Path, int] = {}
    with contextlib.suppress(OSError):  # another user's folder cannot be read
        for path in Path(run.submission.logs).glob(f"{run.submission.job}_*_log.out"):
            rank = path.name.removeprefix(f"{run.submission.job}_").split("_")[0]
            files |= {path: int(rank)} if rank.isdecimal() else {}
    return sorted(files, key=files.get)


def _note(run: TrackedRun) -> str:
    view = run.view
    if view.state == "done":
        return "  ".join(f"{name} {value:.1f}" for name, value in list(view.result["metrics"].items())[:2])
    holder = lock.holder(view.folder.path) if view.state == "running" else None
    progress = read_progress(view.folder)
    if holder is None or progress is None:  # not running, or only SLURM says so
        return "" if view.state == "missing" else view.reason
    where = f"on {run.job.nodes} (job {run.job.id})" if run.job and run.job.nodes else str(holder)
    return f"{_progress_text(progress)}, {where}"


def _progress_text(progress: Progress) -> str:
    left = progress.remaining_seconds
    text = f"epoch {min(progress.epoch + 1, progress.epochs)}/{progress.epochs}, {100 * progress.share:.0f} %"
    text += f", about {duration(round(left))} left" if left is not None else ""
    return text + progress.silence


def _gpus(run: TrackedRun) -> int:
    if run.view.result is not None:
        device = run.view.result["device"]
        return device["world_size"] if device["type"] == "cuda" else 0
    return run.submission.gpus if run.submission else 0


def _code_difference(run: TrackedRun) -> str:
    started = read_json(run.view.folder.provenance) or {}
    return single_line(provenance.code_difference(started.get("submitted"), started))
