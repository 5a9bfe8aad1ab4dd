"""Variables of make: misspelt and unread ones are refused, values reach the program as they were written.

The real Makefile with the real make, and in the interpreter's place a program that prints its arguments.
"""

import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EVERYTHING = {"DRY": "1", "AGAIN": "1", "PICTURES": "0", "EXECUTOR": "local", "WATCH": "7", "CELLS": ""}
NASTY = [
    "my$runs", "$$", "$(shell touch owned)", "${RUNS}", "`touch owned`", "$(touch owned)", "a'b", "'", '"', 'a "b" c',
    "a  b", " a ", "# no comment", "a#b", "a;touch owned", "'; touch owned '", "a&&touch owned", "a|b", "\\", "a\\$b",
    "%", "~", "*", "é",
    "a,b)", "(", ")", "$(error x)", "$@", "-n", "a=b", ":=", "!", "{a,b}", "a\tb",
]  # fmt: skip


def run_make(folder, *arguments, **environment):
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "DCAL_"))
    }
    return subprocess.run(
        ["make", *arguments], cwd=folder, capture_output=True, text=True, env=kept | environment, timeout=120
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The Makefile in a folder whose interpreter prints its arguments, a line each."""
    folder = tmp_path_factory.mktemp("make") / "it's here"
    for name in (".venv/bin", "benchmark/commands"):
        (folder / name).mkdir(parents=True)
    for name in ("Makefile", "benchmark/commands/variables.mk"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("requirements.lock", "tests/optional.lock", ".venv/.installed", ".venv/.optional"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    python = folder / ".venv/bin/python"
    python.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\" --\n")
    python.chmod(0o755)
    return folder


def passed(folder, *arguments, **environment):
    """The arguments that the program got, of all its calls in a row."""
    done = run_make(folder, *arguments, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def reads(folder):
    """Verb → the variables that it reads, as the Makefile has them."""
    listing = "include Makefile\n$(foreach verb,$(VERBS),$(info $(verb): $(READS_$(verb))))\n"
    (folder / "listing.mk").write_text(listing)
    said = run_make(folder, "-f", "listing.mk", "-n", "help").stdout
    return {
        verb: names.split()
        for verb, names in (line.split(":", 1) for line in said.splitlines() if re.match(r"[\w-]+: ", line))
    }


@pytest.mark.parametrize(
    ("verb", "given", "said"),
    [
        ("table1", "EXECUTER=slurm", "there is no variable EXECUTER; nearest: EXECUTOR"),
        ("table1", "PROFIL=paper", "nearest: PROFILE"),
        ("table1", "SEED=5", "nearest: SEEDS"),
        ("table1", "cells=cub", "there is no variable cells; nearest: CELLS"),
        ("table1", "CELL=cub/deit_tiny", "make table1 does not read CELL; nearest: CELLS"),
        ("run", "CELLS=cub", "make run does not read CELLS; nearest: CELL"),
        ("run", "JOBS=2", "It is read by ablations, extras, forecast, heatmaps, table1, table2"),
        ("lint", "RUNS=x", "make lint does not read RUNS"),
        ("help", "EXECUTER=slurm", "nearest: EXECUTOR"),
        ("list", "x=$(shell touch owned)", "there is no variable x."),
        ("list", "RUNS=", "RUNS is empty"),
        ("list", "CELLS=cub\ncars", r"CELLS=cub\ncars: a value is one line"),
        ("submit", "DRY=no", "DRY=no: expected 0 or 1"),
        ("forecast", "AGAIN=yes", "AGAIN=yes: expected 0 or 1"),
    ],
)
def test_a_variable_that_would_be_ignored_is_refused_before_anything_starts(folder, verb, given, said):
    done = run_make(folder, verb, given)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert said in done.stderr
    assert done.stderr.splitlines()[-1].endswith("nothing was started.  Stop.")
    assert not (folder / "owned").exists()


def test_every_fault_is_said_at_once_in_a_rehearsal_too(folder):
    done = run_make(folder, "-n", "table1", "EXECUTER=slurm", "CELL=cub", "RUNS=")
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split()[1] for line in done.stderr.splitlines()[:3]] == [
        "EXECUTER=slurm:",
        "CELL=cub:",
        "RUNS",
    ]


def test_of_several_verbs_one_has_to_read_a_variable(folder):
    shown = passed(folder, "table1", "list", "JOBS=3")
    assert shown.count("--jobs") == 1
    assert run_make(folder, "tables", "list", "JOBS=3").returncode == 2


def test_every_variable_that_a_verb_reads_reaches_its_program(folder, reads):
    assert len(reads) > 30
    for verb, names in reads.items():
        if verb in ("help", "optional", "lint", "format", "clean", "distclean"):
            continue
        own = [name for name in names if not name.startswith("DCAL_")]
        values = {name: EVERYTHING.get(name, f"value of {name}") for name in own}
        shown = passed(folder, verb, *(f"{name}={value}" for name, value in values.items() if name != "CLUSTER"
                                       and (name != "DRY" or "EXECUTOR" not in own)))  # fmt: skip
        flags = {"DRY": "--dry", "AGAIN": "--again", "PICTURES": "--no-pictures", "RUNS": "value of RUNS"}
        for name in own:
            if name in ("EXECUTOR", "CELLS", "ONLY", "TESTS") or (
                "EXECUTOR" in own and name in ("CLUSTER", "DRY")
            ):
                continue
            text = flags.get(name, values[name])
            if name != "CLUSTER":
                assert any(text in word for word in shown), (verb, name, shown)


def test_a_cluster_s_variables_reach_submission(folder):
    given = ["EXECUTOR=slurm", "CLUSTER=my site.toml", "DRY=1", "CELLS=cub cars", "TUNE=recompute=true"]
    shown = passed(folder, "table1", *given)
    assert shown[:4] == ["-m", "slurm", "submit", "--table"]
    for option, value in (
        ("--cluster", "my site.toml"),
        ("--cells", "cub cars"),
        ("--tune", "recompute=true"),
    ):
        assert shown[shown.index(option) + 1] == value
    assert "--dry" in shown
    assert shown.count("--") == 1  # a rehearsal is followed by no table
    assert passed(folder, "table1", "EXECUTOR=slurm").count("--") == 2


def test_a_value_reaches_the_program_as_it_was_written(folder):
    options = {"CELLS": "--cells", "SET": "--set", "RUNS": "--runs"}
    for value in NASTY:
        # Make itself drops the blanks that a value on its command line begins with.
        for words, expected in (
            (passed(folder, "list", *(f"{name}={value}" for name in options)), value.lstrip()),
            (passed(folder, "list", **{f"DCAL_{name}": value for name in options}), value),
        ):
            assert [words[words.index(flag) + 1] for flag in options.values()] == [expected] * 3
    assert not (folder / "owned").exists()


def test_random_values_reach_the_program_as_they_were_written(folder):
    draw = random.Random(0)
    for _ in range(40):
        value = "".join(draw.choice("$(){}'\"`\\#%;&|<>*?~!,=:@ab/é") for _ in range(draw.randint(1, 12)))
        words = passed(folder, "predict", f"IMAGE={value}", "MODEL=m", f"OUT={value}")
        assert [words[words.index(flag) + 1] for flag in ("--image", "--out")] == [value, value]


def test_values_in_messages_and_in_the_help_are_not_run(folder):
    for words in (["help", "DATA=$(shell touch owned)`touch owned`"], ["table1", "EXECUTOR=$(shell touch owned)'"],
                  ["status", "WATCH=5; touch owned"], ["list", "PYTHON=`touch owned`"],
                  ["mini-weights", "MINUTES=`touch owned`", "BACKBONES=;touch owned"], ["test", "TESTS=$(touch owned)"],
                  ["bench", "ONLY=`touch owned`"]):  # fmt: skip
        run_make(folder, *words)
        run_make(folder, "-n", *words)
        assert not (folder / "owned").exists(), words


def test_variables_of_the_environment_change_nothing_without_the_prefix(folder, reads):
    names = {name for of_verb in reads.values() for name in of_verb if not name.startswith("DCAL_")}
    assert {"DATA", "LOG", "MODEL", "TAG", "OUT", "ONLY", "SET", "CELLS", "RUNS", "PROFILE"} <= names
    foreign = dict.fromkeys(names, "foreign")
    for verb in ("list", "table1", "heatmaps", "evaluate", "status", "report", "bench", "mini-weights"):
        assert passed(folder, verb, **foreign) == passed(folder, verb)


def test_what_comes_from_the_environment_under_the_prefix_is_used_and_said(folder):
    done = run_make(folder, "list", "CELLS=cub", DCAL_DATA="/my data", DCAL_CELLS="cars", DCAL_LOG="5")
    words = done.stdout.splitlines()
    assert words[words.index("--data") + 1] == "/my data"
    assert words[words.index("--cells") + 1] == "cub"  # the command line goes before
    assert done.stderr == "from the environment: DATA=/my data (DCAL_DATA)\n"  # list reads no LOG
    assert run_make(folder, "list").stderr == ""


def test_a_misspelt_variable_of_the_environment_is_refused(folder):
    done = run_make(folder, "table1", DCAL_EXECUTER="slurm")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        "DCAL_EXECUTER in the environment: there is no variable EXECUTER; nearest: DCAL_EXECUTOR"
        in done.stderr
    )
    done = run_make(folder, "-e", "table1", CELLS="cub")
    assert (done.returncode, done.stdout) == (2, "")
    assert "CELLS is taken from the environment by `make -e`: set DCAL_CELLS instead" in done.stderr


def test_the_tests_own_variables_reach_them(folder):
    (folder / ".venv/bin/python").write_text(
        '#!/bin/sh\nprintf \'%s\\n\' "$DCAL_SHARED" "$DCAL_SLURM" "$@" --\n'
    )
    words = passed(
        folder, "test", "DCAL_SHARED=/my $files", "TESTS=tests/dcal -k 'a or b'", DCAL_SLURM="required"
    )
    assert words[:2] == ["/my $files", "required"]
    assert words[-2] == "tests/dcal -k 'a or b'"


def test_make_s_own_variables_are_taken(folder):
    assert run_make(folder, "-n", "list", "SHELL=/bin/bash", "MAKEFLAGS=-s").returncode == 0


def test_the_help_lists_every_verb_and_variable(folder, reads):
    shown = run_make(folder, "help", "DATA=/my data").stdout
    for verb in reads:
        assert f"\n  {verb} " in shown
    for name in {name for of_verb in reads.values() for name in of_verb if not name.startswith("DCAL_")}:
        assert f"{name}=" in shown
    assert "DATA=/my data " in shown
