"""Processes of runs: forked from one that has imported torch already, or started anew (no torch).

Importing torch and timm takes seconds of a core in every process. A fork server (multiprocessing's) imports
them once a launch; each run is a process of its own as before, with its own session, output and exit status.
"""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from typing import Protocol

_PRELOADED = "benchmark.commands.preload"
_SUITE = [sys.executable, "-m", "benchmark"]


class RunProcess(Protocol):
    """What the launcher needs of a run's process; ``subprocess.Popen`` is one."""

    returncode: int | None

    def poll(self) -> int | None:
        """Its exit status, as ``Popen.poll`` gives it; None while it runs."""

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""


def start_process(
    command: Sequence[str], environment: Mapping[str, str], output: int, *, fork: bool
) -> RunProcess:
    """Start a command in a session of its own, so that Ctrl-C reaches the launcher alone, which passes it on once.

    output: descriptor of an open file for what the process prints.
    fork: take it from the fork server where the command is one of this suite's and the system is Linux. The server
    reads OMP_NUM_THREADS once, when it starts: it has to be the same for all processes of a launch.
    """
    command = list(command)
    if fork and sys.platform == "linux" and command[:3] == _SUITE:
        return _Forked(command[3:], environment, output)
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )


class _Forked:
    """A process of the fork server, behind the interface of ``Popen``."""

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], output: int) -> None:
        context = get_context("forkserver")
        context.set_forkserver_preload([_PRELOADED])
        path = f"/proc/{os.getpid()}/fd/{output}"  # opened by the child as a description of its own
        self._process = context.Process(target=_run, args=(list(arguments), dict(environment), path))
        before = os.environ.get("OMP_NUM_THREADS")
        os.environ["OMP_NUM_THREADS"] = environment.get("OMP_NUM_THREADS", "1")
        try:
            self._process.start()
        finally:
            if before is None:
                del os.environ["OMP_NUM_THREADS"]
            else:
                os.environ["OMP_NUM_THREADS"] = before

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._process.exitcode is None:
            os.kill(self._process.pid, number)


def _run(arguments: list[str], environment: dict[str, str], path: str) -> None:
    """Be a command of this suite: session, streams, environment and exit status as of an interpreter of its own."""
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    output, nothing = os.open(path, os.O_WRONLY | os.O_APPEND), os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    sys.stdout.reconfigure(line_buffering=True)  # what a process prints before it is killed is kept
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    runpy.run_module("benchmark", run_name="__main__", alter_sys=True)
