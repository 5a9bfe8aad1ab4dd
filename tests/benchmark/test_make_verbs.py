"""`make` from a checkout whose path has spaces: the everyday commands as a user types them."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.__main__ import parser

ROOT = Path(__file__).resolve().parents[2]
SET = "SET=train.epochs=1 data.class_limit=3 evaluate.every=1"

pytestmark = pytest.mark.skipif(
    not (ROOT / ".venv" / ".installed").exists(), reason="needs the environment that make test makes"
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """The tracked files under a path with spaces, with this environment in place of a second one."""
    root = tmp_path_factory.mktemp("a checkout") / "it's here"
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if (ROOT / name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, root / name)
    (root / ".venv").symlink_to(ROOT / ".venv")
    return root


def make(checkout, *arguments):
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "DCAL_"))
    }
    return subprocess.run(
        ["make", *arguments], cwd=checkout, capture_output=True, text=True, env=environment, timeout=300
    )


TABLE1 = ["table1", "CELLS=cub/deit_tiny/*", "RUNS=my runs", SET]


@pytest.fixture(scope="module")
def table1(checkout):
    """Baseline and DCAL on CUB, trained by make."""
    return make(checkout, *TABLE1)


def test_table1_runs_what_is_missing_and_nothing_the_second_time(checkout, table1):
    first = table1
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stderr.count("] start ") == 2
    assert "NOT comparable with the paper" in first.stdout
    tables = checkout / "my runs" / "mini" / "tables"
    assert {path.name for path in tables.iterdir()} == {
        f"table1.{suffix}" for suffix in ("md", "tex", "csv", "html")
    }
    before = (checkout / "my runs/mini/cub/deit_tiny/dcal/seed0/result.json").read_bytes()
    second = make(checkout, *TABLE1)
    assert second.returncode == 0
    assert " start " not in second.stderr
    assert "2 runs: 2 done" in second.stderr
    assert (checkout / "my runs/mini/cub/deit_tiny/dcal/seed0/result.json").read_bytes() == before


def test_finished_runs_are_evaluated_again(checkout, table1):
    again = make(checkout, "evaluate", "RUNS=my runs", "CELLS=cub/deit_tiny/*")
    assert "2 models: 2 equal, bit for bit" in again.stdout, again.stderr


@pytest.mark.parametrize(
    ("arguments", "passed"),
    [
        (["evaluate", "MODEL=a bird's.safetensors"], {"models": ["a bird's.safetensors"], "corrupt": ""}),
        (["evaluate", "TABLE=ablations"], {"models": [], "table": "ablations", "workers": 0}),
        (["robustness", "OUT=my tables"], {"out": Path("my tables"), "models": []}),
        (
            ["robustness", "CORRUPT=jpeg=10 blur=2", "DEVICE=cpu", "WORKERS=2"],
            {"corrupt": "jpeg=10 blur=2", "device": "cpu", "workers": 2},
        ),
        (
            ["predict", "IMAGE=a bird's.jpg", "MODEL=my runs/x", "GALLERY=my cars", "OUT=my figures"],
            {
                "image": ["a bird's.jpg"], "model": "my runs/x", "gallery": Path("my cars"),
                "out": Path("my figures"),
            },
        ),
        (
            ["export", "CELL=cub/deit_tiny/dcal", "TO=a bird.onnx", "SEEDS=3"],
            {"model": "cub/deit_tiny/dcal", "to": Path("a bird.onnx"), "seeds": "3"},
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)  # fmt: skip
def test_what_is_asked_of_finished_runs_reaches_the_program(checkout, arguments, passed):
    said = make(checkout, "-n", "RUNS=my runs", *arguments)
    assert said.returncode == 0, said.stderr
    _, flag, module, *words = shlex.split(said.stdout)
    assert (flag, module) == ("-m", "benchmark")
    asked = vars(parser().parse_args(words))
    assert asked["runs"] == Path("my runs")
    assert passed == {name: asked[name] for name in passed}


def test_ablations_count_train_and_write_table_and_page(checkout):
    """With a SET that makes no sense for the table's VeRi-776, whose warm-up takes three epochs."""
    made = make(checkout, "ablations", "CELLS=cub/deit_tiny/glca", "RUNS=ablation runs", SET)
    assert made.returncode == 0, made.stdout + made.stderr
    assert made.stderr.count("] start ") == 1
    folder = checkout / "ablation runs/mini"
    assert (folder / "tables/ablations.md").exists()
    assert (folder / "ablations/report/index.html").exists()
    assert len(json.loads((folder / "ablations/overhead.json").read_text())["costs"]) == 2


def test_table2_runs_what_is_missing_and_nothing_the_second_time(checkout):
    quick = "SET=train.epochs=1 train.warmup_epochs=0 evaluate.every=1"
    arguments = ["table2", "CELLS=msmt17/deit_tiny/*", "RUNS=reid runs", quick]
    first = make(checkout, *arguments)
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stderr.count("] start ") == 2
    assert "NOT comparable with the paper" in first.stdout
    assert "evaluation: single query" in first.stdout
    assert "MSMT17: version V1, train + val" in first.stdout
    tables = checkout / "reid runs" / "mini" / "tables"
    assert {path.name for path in tables.iterdir()} == {
        f"table2.{suffix}" for suffix in ("md", "tex", "csv", "html")
    }
    assert [path.name for path in (checkout / "reid runs/mini/data").iterdir()] == ["MSMT17"]
    second = make(checkout, *arguments)
    assert second.returncode == 0
    assert " start " not in second.stderr
    assert "2 runs: 2 done" in second.stderr


def test_a_setting_of_the_other_table_is_refused(checkout):
    done = make(checkout, "table2", "SET=data.class_limit=3")
    assert done.returncode == 2
    assert "data.class_limit is a setting of fine-grained classification alone" in done.stderr
    assert not (checkout / "runs").exists()


OWN_PROFILE = """base = "mini"
[profile]
title = "a user's own: the mini backbones on pictures in the official layouts"
pictures = "official"
comparable = false
"""


def test_one_torn_picture_fails_its_run_the_other_goes_on_and_the_exit_status_says_so(
    checkout, mini_pictures
):
    (checkout / "benchmark/config/recipes/own.toml").write_text(OWN_PROFILE)
    shutil.copytree(mini_pictures, checkout / "r/mini/data")
    assert make(checkout, "mini-data", "RUNS=r").returncode == 0  # writes what is missing: nothing
    torn = sorted((checkout / "r/mini/data/CUB_200_2011/images").glob("*/*.jpg"))[0]
    whole = torn.read_bytes()
    torn.write_bytes(whole[:600])
    arguments = ["table1", "PROFILE=own", "DATA=r/mini/data", "RUNS=own runs", SET]
    arguments += ["CELLS=cub/deit_tiny/baseline cars/deit_tiny/baseline"]
    done = make(checkout, *arguments)
    assert done.returncode == 2  # make's own, for a recipe line that ended with 1
    assert "FAILED cub/deit_tiny/baseline/seed0" in done.stderr
    assert torn.name in done.stderr
    assert "done  cars/deit_tiny/baseline/seed0" in done.stderr
    assert "failed" in done.stdout  # the table is written all the same
    assert torn.name in (checkout / "own runs/own/tables/table1.csv").read_text()
    torn.write_bytes(whole)
    mended = make(checkout, *arguments)
    assert mended.returncode == 0
    assert mended.stderr.count("] start ") == 1


def test_stale_runs_are_kept_until_told_otherwise(checkout, table1):
    shutil.copytree(checkout / "my runs", checkout / "stale runs")
    arguments = ["table1", "CELLS=cub/deit_tiny/baseline", "RUNS=stale runs"]
    other = SET.replace("epochs=1", "epochs=2")
    kept = make(checkout, *arguments, other)
    assert "train.epochs: 1 then, 2 now" in kept.stderr
    assert " start " not in kept.stderr
    assert "stale" not in kept.stdout  # a table of nothing but this would hide the reason
    assert kept.returncode == 2  # make's own, for a recipe line that ended with 1
    *_, total, reason, ended = kept.stderr.splitlines()
    assert total == "error: 1 of the 1 runs asked for have no number"
    assert reason.startswith(
        "  stale: cub/deit_tiny/baseline/seed0: made with other settings (train.epochs: 1 then, 2"
    )
    assert reason.endswith("RERUN=stale sets stale runs aside and runs their cells anew")
    assert ended.startswith("make: ***")
    again = make(checkout, *arguments, other, "RERUN=stale")
    assert again.returncode == 0, again.stdout + again.stderr
    folder = checkout / "stale runs/mini/cub/deit_tiny/baseline"
    assert len(list(folder.glob("seed0.stale-*/result.json"))) == 1
    assert (folder / "seed0/result.json").exists()


def test_a_mistake_is_refused_before_anything_runs(checkout):
    for mistake in ("CELLS=cub/deit_tinny/*", "PROFILE=papper", "SET=train.epoch=3", "SEEDS=x"):
        done = make(checkout, "table1", mistake)
        assert done.returncode == 2
        assert "error: " in done.stderr
        assert " start " not in done.stderr
    assert not (checkout / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            [],
            "PROFILE=quick needs DATA=folder, the folder that holds CUB_200_2011, stanford_cars, fgvc-aircraft",
        ),
        (["DATA=/no such"], "DATA=/no such does not exist: expected the folder that holds CUB_200_2011"),
        (
            ["DATA=tests", "EXECUTOR=slurm", "CLUSTER=tests/slurm/clusters/cpu.toml"],
            "none of the data asked for",
        ),
    ],
)
def test_a_table_without_data_is_one_line_and_no_table(checkout, arguments, words):
    done = make(checkout, "table1", "PROFILE=quick", "RUNS=no runs", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    said, ended = done.stderr.splitlines()
    assert said.startswith("error: ")
    assert words in said
    assert ended.startswith("make: *** ")


def test_one_run_by_hand_is_one(checkout):
    for arguments, words in (
        ([], "which run? make run CELL=cub/deit_tiny/dcal"),
        (["CELL=cub/deit_tiny/dcal", "SEEDS=0 1"], "one run has one seed"),
        (["CELL=cub/deit_tiny/dcal", "JOBS=2"], "make run does not read JOBS"),
        (
            ["CELL=cub/deit_tinny/dcal", "DATA=my data", "SEEDS=3", "LOG=5"],
            "error: pattern 'cub/deit_tinny/dcal'",
        ),
        (["CELL=my_birds/deit_tiny/dcal", "DATA=my data"], "my data/my_birds with"),
    ):
        done = make(checkout, "run", *arguments)
        assert done.returncode == 2
        assert words in done.stderr


def test_what_has_no_meaning_here_is_refused(checkout):
    for arguments, words in (
        (["EXECUTOR=pbs"], "EXECUTOR=pbs: expected local or slurm"),
        (["DRY=1"], "add EXECUTOR=slurm"),
        (["CLUSTER=site.toml"], "add EXECUTOR=slurm"),
        (["EXECUTOR=slurm", "JOBS=2"], "parallel"),
        (["EXECUTOR=slurm"], "no cluster file"),
        (["EXECUTOR=slurm", "CLUSTER=it's not.toml"], "it's not.toml"),
    ):
        done = make(checkout, "table1", *arguments)
        assert done.returncode == 2
        assert "error: " in done.stderr
        assert words in done.stderr
        assert not done.stdout
    for verb, words in (
        ("logs", "which run?"),
        ("export", "which run?"),
        ("predict", "IMAGE=bird.jpg MODEL="),
        ("heatmap", "which picture?"),
    ):
        assert words in make(checkout, verb).stderr


def test_what_would_be_sent_is_printed_without_a_cluster(checkout):
    site = "tests/slurm/clusters/cpu.toml"
    arguments = ["EXECUTOR=slurm", f"CLUSTER={site}", "CELLS=cub/deit_tiny", "RUNS=dry runs"]
    shown = make(checkout, "table1", "DRY=1", *arguments)
    assert shown.returncode == 0, shown.stderr
    assert "#SBATCH --array=0-1%2" in shown.stdout
    assert f"--output='{checkout}" in shown.stdout.replace("'\"'\"'", "'")  # quoted as a shell would
    assert "2 runs would be submitted" in shown.stdout
    assert not (checkout / "dry runs").exists()


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="the interpreter of the tests is a supported one")
def test_another_interpreter_is_checked_before_it_is_used(checkout, tmp_path):
    bare = tmp_path / "bare checkout"
    shutil.copytree(
        checkout, bare, symlinks=True, ignore=shutil.ignore_patterns(".venv", "*runs*", "own data")
    )
    missing = make(bare, "list", "PYTHON=python9")
    assert missing.returncode == 2
    assert "no interpreter python9" in missing.stderr
    old = tmp_path / "old python"
    old.write_text(f"#!/bin/sh\nexec '{sys.executable}' -c \"import sys; sys.exit('error: Python 3.11')\"\n")
    old.chmod(0o755)
    refused = make(bare, "list", f"PYTHON={old}")
    assert refused.returncode == 2
    assert "Python 3.11" in refused.stderr
    assert not (bare / ".venv").exists()
