"""Commands that messages name work as they are written: the verb is there, and reads the variables and options."""

import ast
import importlib
import re
import subprocess
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmark.config.grid import select
from reports.page import commands_to_run as commands
from reports.page.inputs import ReportRequest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("benchmark", "dcal", "tables", "slurm", "reports")
HOLE = "§"  # in the place of what a message fills in
VARIABLES = r"(?:\s+[A-Z_]+=(?:'[^']*'|\"[^\"]*\"|[^\s`;,)]*))"
MAKE = re.compile(rf"(`?)\bmake ([a-z][a-z0-9-]*)({VARIABLES}*)")
PYTHON = re.compile(r"`python -m (benchmark|reports|slurm|tables) ([a-z][a-z0-9-]*)([^`]*)`")


@cache
def texts():
    """(file, text) of every string in the code; what a formatted one fills in is a hole."""
    found = []
    for file in (file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")):
        source = file.read_text(encoding="utf-8")
        if "make " not in source and "python -m" not in source:
            continue
        tree = ast.parse(source)
        inside = {
            id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
                found.append((file.relative_to(ROOT).as_posix(), node.value))
            elif isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else HOLE for part in node.values]
                found.append((file.relative_to(ROOT).as_posix(), "".join(map(str, parts))))
    return found


@cache
def verbs():
    """Verb → the variables that it reads, as make itself has them."""
    listing = "include Makefile\n$(foreach verb,$(VERBS),$(info $(verb): $(READS_$(verb))))\n"
    asked = ["make", "--no-print-directory", "-f", "-", "-n", "help"]
    said = subprocess.run(asked, cwd=ROOT, input=listing, capture_output=True, text=True, check=True).stdout
    lines = (re.match(r"([\w-]+): (.*)", line) for line in said.splitlines())
    return {"help": set()} | {line[1]: set(line[2].split()) for line in lines if line}


def wrong_in(text):
    """What of the make commands in a text does not work."""
    for quoted, verb, variables in MAKE.findall(text):
        if verb not in verbs():
            if quoted or variables:  # else it is English
                yield f"make {verb}: no such verb"
            continue
        for name in re.findall(r"\s([A-Z_]+)=", variables):
            if name not in verbs()[verb]:
                yield f"make {verb} does not read {name}"


def test_the_makefile_is_understood():
    assert {"table1", "ablations", "report", "evaluate", "cancel", "mini-weights"} <= verbs().keys()
    assert {"CELLS", "SEEDS", "PROFILE", "EXECUTOR", "TUNE", "RERUN", "DRY"} <= verbs()["table1"]
    assert {"MODEL", "DATA"} <= verbs()["evaluate"]
    assert not {"MODEL", "CELL"} & verbs()["table1"]
    assert list(wrong_in("`make tabel1`, make table1 CELL=cub/x, make sense of it, make list JOBS=2")) == [
        "make tabel1: no such verb",
        "make table1 does not read CELL",
        "make list does not read JOBS",
    ]


def test_make_commands_in_messages_are_there_and_read_what_they_are_given():
    commands = [text for _, text in texts() for verb in MAKE.findall(text) if verb[1] in verbs()]
    assert len(commands) > 40
    assert [f"{file}: {what}" for file, text in texts() for what in wrong_in(text)] == []


def test_make_commands_that_pages_put_together_read_what_they_are_given():
    asked = ReportRequest("paper", (Path("/r"),), (1, 2), "train.epochs=3", Path("/d"), Path("/w"))
    lacking = [
        SimpleNamespace(cell=cell, seed=1, state=state)
        for cell, state in zip(select(["cub/deit_tiny"]), ("stale", "no-data"), strict=True)
    ]
    pair = ("cub", "deit_tiny")
    shown = [commands.heatmaps_command(asked, pair), commands.attention_command(asked, pair)]
    shown += [*commands.run_commands(asked, pair, lacking), *commands.ablation_commands(asked, lacking, 9)]
    assert len(shown) == 4
    for text in shown:
        assert all(
            f" {name}=" in text for name in ("PROFILE", "RUNS", "DATA", "WEIGHTS", "CELLS", "SEEDS", "SET")
        )
        assert list(wrong_in(text)) == []


def test_python_commands_in_messages_have_the_options_that_their_verbs_have_and_need(capsys):
    wrong, seen = [], 0
    for file, text in texts():
        for package, verb, rest in PYTHON.findall(text):
            seen += 1
            usage = usage_of(package, verb, capsys)
            needed = set(re.findall(r"--[\w-]+", without_brackets(usage)))
            given = set(re.findall(r"--[\w-]+", rest))
            if HOLE not in rest and "…" not in rest and rest.strip():
                wrong += [f"{file}: {package} {verb} needs {name}" for name in sorted(needed - given)]
            wrong += [
                f"{file}: {package} {verb} has no {name}" for name in sorted(given) if name not in usage
            ]
    assert seen
    assert wrong == []


def without_brackets(usage):
    """What has to be given."""
    shorter = re.sub(r"\[[^\[\]]*\]", "", usage)
    return usage if shorter == usage else without_brackets(shorter)


def usage_of(package, verb, capsys):
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"{package}.__main__").main([verb, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out.partition("\n\n")[0]
