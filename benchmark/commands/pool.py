"""Runs on this machine: a number of slots, one process a run, one GPU a slot where there are GPUs (no torch)."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO

from benchmark.commands import command_line
from benchmark.commands.live_view import LiveView
from benchmark.commands.run_process import RunProcess, start_process
from benchmark.errors import RunError
from benchmark.records import lock
from benchmark.records.run_folder import read_json
from benchmark.records.status import STATES_TO_RUN, RunView
from benchmark.training import device

POLL_SECONDS = 0.2
# Kept free for each run on a CPU, so that a machine of many cores does not start more than its memory holds.
CPU_MEMORY_PER_JOB = 6 * 2**30


@dataclass(frozen=True)
class Slots:
    """How many runs go at once, and what each may use. gpus: device ids, empty on a CPU."""

    jobs: int
    threads: int
    gpus: tuple[str, ...]


@dataclass
class _Job:
    view: RunView
    process: RunProcess
    errors: IO[bytes]
    slot: int
    started: float


@dataclass(frozen=True)
class Summary:
    """What a launch did. failed, stale and queued: run id → reason; interrupted: it was told to stop.

    queued: handed to a cluster and left to it.
    """

    finished: int
    failed: dict[str, str]
    stale: dict[str, str]
    queued: dict[str, str]
    interrupted: bool


def plan_slots(chosen: str, runs: int, jobs: int | None) -> Slots:
    """Slots for a device: one run a GPU; on a CPU one a core as far as memory goes, sharing the cores out.

    jobs: the user's number. Raises RunError if it is not positive.
    """
    if jobs is not None and jobs < 1:
        raise RunError(f"JOBS={jobs}: at least one run at a time is needed")
    cores = device.usable_cores()
    if chosen == "cuda":
        gpus = _gpu_ids()
        count = min(jobs or len(gpus), max(1, runs))
        return Slots(count, max(1, cores // count), tuple(gpus))
    fitting = max(1, _memory_bytes() // CPU_MEMORY_PER_JOB)
    count = min(jobs or min(cores, fitting), max(1, runs))
    return Slots(count, max(1, cores // count), ())


def launch(
    views: Sequence[RunView],
    command: Callable[[RunView], Sequence[str]],
    slots: Slots,
    *,
    look: Callable[[RunView], RunView],
    show: LiveView,
) -> Summary:
    """Run everything that is missing, each in a process of its own, and wait for all of it.

    views: the runs asked for with their states. command: the command line of one run. look: the same run with the
    state that it has now.
    A failed run does not stop the others. A run that another launcher works on is waited for, and run here if that
    process ends without a result. SIGINT and SIGTERM are passed on: the runs save their state and end.
    """
    show.start(views)
    queue = [view for view in views if view.state in STATES_TO_RUN]
    elsewhere = {view.id: view for view in views if view.state == "running"}
    running: list[_Job] = []
    failed: dict[str, str] = {}
    finished = 0
    interrupted = False
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_signal(number: int, _: object) -> None:
        nonlocal interrupted
        interrupted = True
        queue.clear()
        elsewhere.clear()
        for job in running:
            job.process.send_signal(signal.SIGTERM)

    for number in previous:
        signal.signal(number, on_signal)
    try:
        while queue or running or elsewhere:
            while queue and len(running) < slots.jobs:
                slot = min(set(range(slots.jobs)) - {job.slot for job in running})
                running.append(_start(queue.pop(0), slot, command, slots))
                show.started(running[-1].view)
                if interrupted:  # while the process started, which may take seconds
                    running[-1].process.send_signal(signal.SIGTERM)
            for job in [job for job in running if job.process.poll() is not None]:
                running.remove(job)
                reason = _ended(job)
                if reason == _BUSY:
                    elsewhere[job.view.id] = job.view
                    show.elsewhere(job.view)
                    continue
                if reason:
                    failed[job.view.id] = reason
                else:
                    finished += 1
                show.ended(job.view, reason, time.monotonic() - job.started, stopped=interrupted)
            for run_id, view in list(elsewhere.items()):
                if lock.holder(view.folder.path) is not None:
                    continue
                elsewhere.pop(run_id, None)  # a signal may have emptied it
                view = look(view)
                if interrupted:  # meanwhile: nothing is started any more
                    break
                if view.state == "done":
                    finished += 1
                    show.done_elsewhere(view)
                elif view.state == "running":  # a third one has it
                    elsewhere[run_id] = view
                else:  # whatever is in its way, the run itself finds out and says
                    queue.append(view)
            show.refresh([job.view for job in running], len(queue), list(elsewhere.values()))
            time.sleep(POLL_SECONDS)
    finally:
        for job in running:  # after an error: this process ends when they have saved
            job.process.send_signal(signal.SIGTERM)
        for number, handler in previous.items():
            signal.signal(number, handler)
        show.stop()
    stale, queued = (
        {view.id: view.reason for view in views if view.state == state} for state in ("stale", "queued")
    )
    return Summary(finished, failed, stale, queued, interrupted)


_BUSY = "busy"


def _start(view: RunView, slot: int, command: Callable[[RunView], Sequence[str]], slots: Slots) -> _Job:
    environment = dict(os.environ, OMP_NUM_THREADS=str(slots.threads), PYTHONUNBUFFERED="1")
    if slots.gpus:
        environment["CUDA_VISIBLE_DEVICES"] = slots.gpus[slot % len(slots.gpus)]
    errors = tempfile.TemporaryFile()
    process = start_process(command(view), environment, errors.fileno(), fork=not slots.gpus)
    return _Job(view, process, errors, slot, time.monotonic())


def _ended(job: _Job) -> str:
    """Why a run's process ended without a result, or ""."""
    code = job.process.returncode
    with job.errors:
        job.errors.seek(0)
        output = job.errors.read().decode(errors="replace").strip().splitlines()
    if code == 0:
        return ""
    if code == command_line.BUSY:
        return _BUSY
    outcome = read_json(job.view.folder.outcome)
    if outcome and outcome.get("message"):
        return str(outcome["message"])
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
    cure = "; if memory ran out: fewer runs at once (JOBS=1). The same command goes on"
    return f"{how}; last words: {output[-1] if output else 'none'}{cure if code == -signal.SIGKILL else ''}"


def _gpu_ids() -> list[str]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [part.strip() for part in visible.split(",") if part.strip() not in ("", "-1")]
    return [str(number) for number in range(device.count_gpus())]


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return CPU_MEMORY_PER_JOB
