"""A run's process from the fork server behaves as one that was started anew."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from benchmark.commands.command_line import REFUSED, STOPPED
from benchmark.commands.launch import run_command
from benchmark.commands.run_process import start_process
from benchmark.config.places import Places
from benchmark.records.run_folder import read_json
from benchmark.training.request import Infrastructure, RunRequest

ROOT = Path(__file__).resolve().parents[2]
SUITE = [sys.executable, "-m", "benchmark"]


def ended(process, seconds=120):
    end = time.monotonic() + seconds
    while process.poll() is None:
        assert time.monotonic() < end, "the process does not end"
        time.sleep(0.05)
    return process.returncode


def outcome(command, fork, **environment):
    """Exit status and output of a command."""
    with tempfile.TemporaryFile() as output:
        process = start_process(command, {**os.environ, **environment}, output.fileno(), fork=fork)
        status = ended(process)
        output.seek(0)
        return status, output.read().decode()


def training(tmp_path, fork):
    """A run's process that has begun its log, and the log."""
    runs = tmp_path / "runs"
    places = Places.of("mini", runs, tmp_path / "data", None)
    infrastructure = Infrastructure(quiet=True, parent=os.getpid())
    request = RunRequest("cub/deit_tiny/baseline", 0, "mini", places, {"train.epochs": 500}, infrastructure)
    command = run_command(request)
    output = tempfile.TemporaryFile()
    process = start_process(command, os.environ, output.fileno(), fork=fork)
    folder = runs / "mini/cub/deit_tiny/baseline/seed0"
    end = time.monotonic() + 120
    while not (folder / "history.jsonl").exists():
        assert time.monotonic() < end, "no epoch was trained"
        assert process.poll() is None, output.seek(0) or output.read().decode()
        time.sleep(0.1)
    return process, folder


@pytest.mark.parametrize("fork", [True, False])
def test_output_and_exit_status_are_the_commands(fork, tmp_path):
    listed = [*SUITE, "list", "--cells", "cub/deit_tiny/dcal", "--runs", str(tmp_path)]
    status, said = outcome(listed, fork)
    assert status == 0
    assert "1 runs: 1 missing" in said
    status, said = outcome([*SUITE, "list", "--cells", "cub/none/dcal"], fork)
    assert status == REFUSED
    assert said.startswith("error: ")


@pytest.mark.parametrize("fork", [True, False])
def test_the_environment_is_the_given_one(fork):
    """Argparse breaks the lines of its help by COLUMNS."""
    (narrow, wide) = (outcome([*SUITE, "run", "--help"], fork, COLUMNS=width)[1] for width in ("60", "200"))
    assert max(map(len, narrow.splitlines())) < 100 < max(map(len, wide.splitlines()))


def test_other_commands_are_started_anew():
    status, said = outcome([sys.executable, "-c", "import sys; print('torch' in sys.modules)"], True)
    assert (status, said) == (0, "False\n")


def test_a_run_is_forked_with_torch_imported_has_its_own_session_and_saves_on_sigterm(tmp_path):
    process, folder = training(tmp_path, fork=True)
    pid = process._process.pid
    assert os.getsid(pid) == pid
    assert "forkserver" in open(f"/proc/{pid}/cmdline").read()  # else it was not forked
    process.send_signal(signal.SIGTERM)
    assert ended(process) == STOPPED
    assert "SIGTERM" in (folder / "outcome.json").read_text()
    assert (folder / "checkpoint.pt").exists()


def test_a_killed_run_has_the_status_of_its_signal(tmp_path):
    process, _ = training(tmp_path, fork=True)
    process.send_signal(signal.SIGKILL)
    assert ended(process) == -signal.SIGKILL


def test_runs_save_and_end_when_the_launcher_is_killed(tmp_path):
    """The fork server ends with it, and the runs notice."""
    code = (
        "import os, pathlib, signal, sys; sys.path.insert(0, 'tests/benchmark')\n"
        "if __name__ == '__main__':\n"
        "    import test_run_process\n"
        "    test_run_process.training(pathlib.Path(sys.argv[1]), fork=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    launcher = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)
    assert launcher.returncode == -signal.SIGKILL
    outcome_file = tmp_path / "runs/mini/cub/deit_tiny/baseline/seed0/outcome.json"
    end = time.monotonic() + 60
    while not outcome_file.exists():
        assert time.monotonic() < end, "the run goes on without its launcher"
        time.sleep(0.1)
    assert "launcher" in read_json(outcome_file)["message"]
