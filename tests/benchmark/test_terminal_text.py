"""What was written by others is shown on a terminal and never obeyed."""

import io
import json
import subprocess
import sys

import pytest

from benchmark.commands.live_view import LiveView
from benchmark.config.grid import select
from benchmark.config.resolve import load_profile, resolve
from benchmark.records.provenance import ROOT
from benchmark.records.run_folder import locate_run
from benchmark.records.terminal_text import EscapingStream, escape_controls, single_line, write_control

HOSTILE = "\x1b[2Jgone\x07 \x9b31m \u202efdp.exe \ud800\ncub/deit_tiny/baseline/seed0  done\r\x1b]0;title\x07"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\x00\x7f\x9b", r"a\x00\x7f\x9b"),
        ("\u202eabc\u2066", r"\u202eabc\u2066"),
        ("half \ud800", r"half \ud800"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("数据 é – 😀", "数据 é – 😀"),
    ],
)
def test_control_characters_are_shown(text, shown):
    assert escape_controls(text) == shown


def test_a_reason_is_one_row():
    assert single_line("first\n  second\r\nthird\u2028fourth\n") == "first second third fourth"


def test_the_suites_own_sequences_are_obeyed():
    out = io.StringIO()
    write_control(EscapingStream(out), "\x1b[2J")
    write_control(out, "\x1b[H")
    print("\x1b[2J", file=EscapingStream(out))
    assert out.getvalue() == "\x1b[2J\x1b[H\\x1b[2J\n"
    live = LiveView(EscapingStream(out))
    live._lines = 3
    live.stop()
    assert out.getvalue().endswith("\x1b[3F\x1b[J")


@pytest.mark.parametrize(
    "command", [["benchmark", "list"], ["slurm", "status"], ["slurm", "logs"]], ids=" ".join
)
def test_what_a_foreign_record_says_cannot_move_the_cursor_or_add_a_row(command, tmp_path):
    (cell,) = select(["cub/deit_tiny/dcal"])
    folder = locate_run(resolve(cell, 0, load_profile("mini"), {}), tmp_path)
    folder.make()
    folder.config.write_text("{}")
    folder.outcome.write_text(json.dumps({"state": "failed", "message": HOSTILE.replace("\ud800", "")}))
    folder.log.write_bytes(HOSTILE.encode(errors="surrogatepass"))
    asked = [sys.executable, "-m", *command, "--runs", str(tmp_path), "--cells", "cub/deit_tiny"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == (command == ["slurm", "logs"])  # the baseline has no log
    assert not [letter for letter in done.stdout if not letter.isprintable() and letter != "\n"]
    assert r"\x1b[2Jgone\x07" in done.stdout
    rows = [line for line in done.stdout.splitlines() if line.startswith("cub/deit_tiny/baseline/seed0")]
    assert command == ["slurm", "logs"] or ["missing"] == [row.split()[1] for row in rows]


def test_a_name_in_an_error_cannot_move_the_cursor(tmp_path):
    asked = [sys.executable, "-m", "tables", "table1", "--runs", f"{tmp_path} '\x1b[2J'"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert r"\x1b[2J" in done.stderr
    assert "\x1b" not in done.stderr
