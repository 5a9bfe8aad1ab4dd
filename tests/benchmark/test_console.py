"""How every command ends, also where the reader of its output has gone."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.commands.command_line import exit_status

ROOT = Path(__file__).resolve().parents[2]
# Started by the suite itself, never behind a user's pipe.
INNER = {"benchmark/timing/measure.py", "benchmark/data/readers/matlab_reader.py"}


def without_reader(*command, error=False):
    """Exit status and what a command says on the other stream, when nobody reads its output."""
    reading, writing = os.pipe()
    os.close(reading)
    streams = {"stdout": writing, "stderr": subprocess.PIPE}
    if error:
        streams = {"stdout": subprocess.PIPE, "stderr": writing}
    done = subprocess.run(command, cwd=ROOT, text=True, **streams)
    os.close(writing)
    return done.returncode, done.stdout if error else done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["benchmark", "list"], ["tables", "table1"]],
    ids=" ".join,
)
def test_a_closed_pipe_ends_a_command_without_a_word(arguments, tmp_path):
    command = [sys.executable, "-m", *arguments, "--runs", str(tmp_path)]
    assert without_reader(*command) == (141, "")


def test_output_that_is_still_in_the_buffer_counts(tmp_path):
    script = "import sys; from benchmark.commands import command_line\n"
    script += "sys.exit(command_line.exit_status(lambda: print('a')))"
    assert without_reader(sys.executable, "-c", script) == (141, "")
    script = script.replace("print('a')", "sys.stderr.write('a')")
    assert without_reader(sys.executable, "-c", script, error=True) == (141, "")


def test_every_command_ends_through_it():
    for folder in ("benchmark", "tables", "slurm", "reports"):
        for file in (ROOT / folder).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            name = file.relative_to(ROOT).as_posix()
            if "__name__ == " in text and name not in INNER:
                assert re.search(r"\n    sys\.exit\(exit_status\(main\)\)\n$", text), name


def test_statuses_are_passed_on():
    assert exit_status(lambda: 2) == 2
    assert exit_status(lambda: None) == 0


def test_an_interrupt_is_no_traceback():
    def interrupted():
        raise KeyboardInterrupt

    assert exit_status(interrupted) == 130


def test_a_connection_that_breaks_is_still_an_error():
    def broken():
        one, other = socket.socketpair()
        other.close()
        with one:
            one.send(b"a")

    with pytest.raises(BrokenPipeError):
        exit_status(broken)
