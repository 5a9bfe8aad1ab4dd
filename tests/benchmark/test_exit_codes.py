"""The exit status says whether what was asked for is there; the reason is the last thing on stderr."""

import re
from pathlib import Path
from types import SimpleNamespace

import mini_sweep
import pytest

from benchmark.__main__ import main, parser
from benchmark.commands import command_line, evaluate
from benchmark.commands.command_line import _joined
from benchmark.errors import DataError, RunError, SettingsError
from benchmark.records.heartbeat import RunInterrupt
from benchmark.records.lock import LockHeld
from reports.__main__ import main as reports
from slurm.__main__ import main as slurm
from tables.__main__ import main as tables

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (SettingsError("x"), 2, "error: x\n"),
        (DataError("x"), 2, "error: x\n"),
        (RunError("x"), 2, "error: x\n"),
        (LockHeld("x"), 75, "busy: x\n"),
        (RunInterrupt("x"), 130, "x\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_every_error_has_its_status_and_one_message(error, status, said, capsys):
    def verb():
        raise error

    assert command_line.status_of(verb) == status
    assert capsys.readouterr().err == said


def test_the_page_has_every_status():
    text = (ROOT / "benchmark/commands/README.md").read_text(encoding="utf-8")
    statuses = {value for name, value in vars(command_line).items() if name.isupper() and type(value) is int}
    assert statuses <= {int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}


def collected(profile):
    """Cells of one state each, of the made-up sweep."""
    found = {}
    for run, state in mini_sweep.EXPECTED_STATES[profile].items():
        cell, _, seed = run.rpartition("/")
        if (
            seed == "seed0"
            and cell.startswith(("cub", "cars", "aircraft"))
            and "cait" not in cell
            and "swin" not in cell
        ):
            found.setdefault(state, cell)
    return found


def test_a_table_that_has_to_have_a_number_says_last_why_it_has_not(sweep, tmp_path, capsys):
    asked = ["table1", "--profile", "paper", "--runs", str(sweep), "--out", str(tmp_path)]
    cells = collected("paper")
    for state in ("done", "stale", "failed", "queued", "no-data"):
        # On a cluster a run that waits or runs is what was asked for.
        for require in ("done", "submitted") if state == "queued" else ("done",):
            status = tables([*asked, "--require", require, "--required-cells", cells[state]])
            said = capsys.readouterr()
            assert "Table 1: fine-grained" in said.out
            if state == "done":
                assert (status, said.err) == (0, "")
            elif require == "submitted":
                assert status == 0
                assert said.err.endswith(
                    "1 of the 1 runs asked for have no number yet: 1 queued, 0 running\n"
                )
            else:
                assert status == 1
                total, reason = said.err.splitlines()[-2:]
                assert total == "error: 1 of the 1 runs asked for have no number"
                assert reason.startswith(f"  {state}: {cells[state]}/seed0")
    assert tables(asked) == 0  # who asks for what is there gets it


def test_a_table_without_any_number_is_not_printed_where_one_is_required(tmp_path, capsys):
    asked = ["--profile", "paper", "--runs", str(tmp_path)]
    for table in ("table1", "ablations"):
        assert tables([table, *asked, "--require", "done"]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert re.match(
            r"error: (30 of the 30|32 of the 32) runs asked for have no number\n  no-data: cub", said.err
        )
    assert not (tmp_path / "paper").exists()


def test_a_launch_leaves_a_stale_run_alone_and_fails(sweep, capsys):
    cell = collected("paper")["done"]
    asked = ["launch", "--profile", "paper", "--device", "cpu", "--runs", str(sweep), "--cells", cell]
    assert main(asked) == 0
    capsys.readouterr()
    assert main([*asked, "--set", "train.epochs=3"]) == 1
    said = capsys.readouterr().err
    assert f"stale: {cell}/seed0: made with other settings" in said
    assert said.endswith("RERUN=stale sets them aside and runs the cells anew\n")


@pytest.mark.parametrize("state", [None, "done"], ids=["nothing is there", "one run is done"])
def test_a_launch_without_data_is_refused_or_incomplete(sweep, state, tmp_path, capsys):
    """The run that is done counts; what has no data is named and makes the status 1."""
    runs = sweep if state else tmp_path / "runs"
    done = collected("paper")["done"]
    cells = f"{done} aircraft/vit_base/baseline"
    status = main(["launch", "--profile", "paper", "--device", "cpu", "--runs", str(runs), "--cells", cells])
    said = capsys.readouterr().err
    if state:
        assert status == 1
        assert said.endswith(
            "no-data, 1 runs not started: no fgvc-aircraft-2013b in DATA, which is not set\n"
        )
    else:
        assert status == 2
        assert said.startswith("error: PROFILE=paper needs DATA=folder, the folder that holds ")
        assert said.count("\n") == 1
        assert not runs.exists()


def test_a_submission_without_data_is_refused(tmp_path, capsys):
    asked = [
        "submit",
        "--profile",
        "quick",
        "--runs",
        str(tmp_path / "runs"),
        "--data",
        str(tmp_path / "nope"),
    ]
    asked += ["--cells", "cub/deit_tiny", "--cluster", str(ROOT / "tests/slurm/clusters/cpu.toml")]
    for more in ([], ["--dry"]):
        assert slurm([*asked, *more]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.endswith(
            "nope does not exist: expected the folder that holds CUB_200_2011. Nothing was started\n"
        )


def test_the_log_of_a_run_that_has_none_is_missed(tmp_path, capsys):
    assert slurm(["logs", "--runs", str(tmp_path), "--cells", "cub/deit_tiny/dcal"]) == 1
    assert capsys.readouterr().err.startswith(
        "error: cub/deit_tiny/dcal/seed0: no log, state missing; looked in "
    )


def test_a_model_that_differs_or_cannot_be_evaluated_is_the_last_word(monkeypatch, capsys):
    different = SimpleNamespace(equal=False, run="cub/deit_tiny/dcal/seed0", comparison=None)
    monkeypatch.setattr(evaluate.select_models, "models", lambda *_: ([Path("a"), Path("b")], 0))
    for found, failed, said in (
        (
            [different],
            1,
            "1 not evaluated, why is said above; not the recorded numbers: cub/deit_tiny/dcal/seed0",
        ),
        ([different], 0, "not the recorded numbers: cub/deit_tiny/dcal/seed0"),
    ):
        monkeypatch.setattr(evaluate, "_all", lambda *_, found=found, failed=failed: (found, failed))
        assert main(["evaluate"]) == 1
        assert capsys.readouterr().err == f"error: of 2 models, {said}\n"
    monkeypatch.setattr(evaluate.select_models, "models", lambda *_: ([Path("a")], 3))
    monkeypatch.setattr(evaluate, "_all", lambda *_: ([], 0))
    assert main(["evaluate"]) == 1
    assert capsys.readouterr().err == "error: of 4 models, 3 not finished\n"


def test_a_pair_that_cannot_be_drawn_or_measured_is_the_last_word(tmp_path, capsys):
    for verb, word in (("heatmaps", "drawn"), ("attention", "measured")):
        assert reports([verb, "--runs", str(tmp_path), "--cells", "cub/deit_tiny", "--seeds", "0", "1"]) == 1
        last = capsys.readouterr().err.splitlines()[-1]
        assert last == f"error: 1 of 1 pairs are not {word}: cub/deit_tiny/seed0"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["list", "--seeds", "0", "1", "2"], {"seeds": "0 1 2"}),
        (["list", "--seeds", "0 1 2"], {"seeds": "0 1 2"}),
        (["list", "--cells", "cub", "cars/*", "--seeds", "0,1"], {"cells": "cub cars/*", "seeds": "0,1"}),
        (["evaluate", "--seeds", "1", "2", "cub/deit_tiny"], {"seeds": "1 2", "models": ["cub/deit_tiny"]}),
        (["evaluate", "cub/deit_tiny", "--seeds", "1"], {"seeds": "1", "models": ["cub/deit_tiny"]}),
        (["launch", "--cells", "", "--jobs", "2"], {"cells": "", "jobs": 2}),
        (["forecast", "--seeds", "0", "1", "--cells=cub"], {"seeds": "0 1", "cells": "cub"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_list_is_one_word_or_several_for_every_verb(words, expected):
    asked = vars(parser().parse_args(words))
    assert {name: asked[name] for name in expected} == expected


def test_an_option_after_a_list_stays_an_option():
    assert _joined(["--cells", "--seeds", "0"]) == ["--cells", "--seeds", "0"]


def test_a_list_is_one_word_or_several_for_every_program(sweep, tmp_path, capsys):
    where = ["--profile", "paper", "--runs", str(sweep)]
    for program, verb in ((tables, "table1"), (slurm, "status"), (main, "list"), (reports, "heatmaps")):
        said = []
        for seeds in (["0 1"], ["0", "1"]):
            cells = (
                ["aircraft/vit_base", "aircraft/deit_base"]
                if len(seeds) > 1
                else ["aircraft/vit_base aircraft/deit_base"]
            )
            program([verb, *where, "--cells", *cells, "--seeds", *seeds])
            said.append(capsys.readouterr())
        assert said[0] == said[1]
        text = said[0].out + said[0].err
        assert "aircraft/vit_base" in text or "ViT-Base" in text
        assert "cub/" not in said[0].out
