"""Bad input: an error that says what was found, what was expected and what to do, and nothing lost."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from quick_runs import QUICK

from benchmark.__main__ import main
from benchmark.commands.bench import main as bench
from benchmark.config.grid import select
from benchmark.config.resolve import load_profile, resolve
from benchmark.errors import DataError, RunError, SettingsError
from benchmark.records import lock
from benchmark.records.run_folder import locate_run
from benchmark.training import device, run
from benchmark.training.request import Infrastructure
from reports.__main__ import main as reports
from slurm.__main__ import main as slurm

CELL = select(["cub/deit_tiny/baseline"])[0]


def run_cell(places, overrides=QUICK, cell=CELL):
    return run.run_cell(
        cell, 0, "mini", places, overrides=overrides, infrastructure=Infrastructure(quiet=True)
    )


def outcome(places, cell=CELL):
    folder = locate_run(resolve(cell, 0, load_profile("mini"), QUICK), places.runs)
    assert not folder.result.exists()
    assert lock.holder(folder.path) is None
    return json.loads(folder.outcome.read_text())


def pictures(places):
    return sorted((places.data / "CUB_200_2011" / "images").glob("*/*.jpg"))


def lines(places, name):
    path = places.data / "CUB_200_2011" / name
    return path, path.read_text().splitlines()


def test_a_missing_data_folder(own_pictures):
    nowhere = replace(own_pictures, data=own_pictures.data / "elsewhere")
    with pytest.raises(DataError, match="elsewhere"):
        run_cell(nowhere)
    assert "CUB_200_2011" in outcome(nowhere)["message"]


def test_a_missing_picture_is_named_before_training(own_pictures):
    gone = pictures(own_pictures)[3]
    gone.unlink()
    with pytest.raises(DataError, match=gone.name):
        run_cell(own_pictures)
    assert "make check-data" in outcome(own_pictures)["message"]


def test_a_truncated_jpeg_is_named(own_pictures):
    torn = pictures(own_pictures)[5]
    torn.write_bytes(torn.read_bytes()[:700])
    with pytest.raises(DataError, match=torn.name):
        run_cell(own_pictures)
    assert torn.name in outcome(own_pictures)["message"]


def test_a_truncated_jpeg_found_by_a_worker_is_named_without_a_traceback(own_pictures):
    torn = pictures(own_pictures)[5]
    torn.write_bytes(torn.read_bytes()[:700])
    with pytest.raises(DataError, match=torn.name) as caught:
        run.run_cell(
            CELL, 0, "mini", own_pictures, overrides=QUICK,
            infrastructure=Infrastructure(quiet=True, workers=1),
        )  # fmt: skip
    assert "Traceback" not in str(caught.value)


def test_an_annotation_row_without_a_picture(own_pictures):
    path, rows = lines(own_pictures, "images.txt")
    name = rows[4].split()[1]
    path.write_text("\n".join([*rows[:4], f"5 {name.replace('.jpg', '_copy.jpg')}", *rows[5:]]) + "\n")
    with pytest.raises(DataError, match=r"_copy\.jpg"):
        run_cell(own_pictures)


def test_a_class_count_mismatch(own_pictures):
    path, rows = lines(own_pictures, "classes.txt")
    path.write_text("\n".join(rows[:-1]) + "\n")
    with pytest.raises(DataError, match=r"classes\.txt"):
        run_cell(own_pictures)


def test_a_class_limit_beyond_the_classes(own_pictures):
    with pytest.raises(DataError, match="12"):
        run_cell(own_pictures, {**QUICK, "data.class_limit": 500})


def test_weights_of_another_backbone(own_pictures):
    tags = (row.name for row in own_pictures.weights.glob("*small*.safetensors"))
    other = own_pictures.weights / next(tags)
    with pytest.raises(RunError, match=r"is not a file of mini_deit_tiny.*shapes differ"):
        run_cell(replace(own_pictures, weights=other))


def test_no_weights_in_the_folder(own_pictures, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(RunError, match="no weights of mini_deit_tiny"):
        run_cell(replace(own_pictures, weights=empty))


def test_a_batch_of_one(own_pictures):
    dcal = select(["cub/deit_tiny/dcal"])[0]
    with pytest.raises(SettingsError, match="nobody to pair"):
        run_cell(own_pictures, {**QUICK, "train.batch_size": 1}, dcal)


def test_a_runs_folder_that_cannot_be_written(own_pictures):
    with pytest.raises(RunError, match="cannot write /proc/"):
        run_cell(replace(own_pictures, runs=Path("/proc/dcal")))


def test_a_full_disk(own_pictures, small_disk):
    full = replace(own_pictures, runs=small_disk)
    with pytest.raises(
        RunError, match=r"disk full while writing .*checkpoint\.pt.*goes on from the last checkpoint"
    ):
        run_cell(full)
    assert outcome(full)["state"] == "failed"
    assert not list(small_disk.rglob("*.tmp"))


def test_training_that_diverges(own_pictures):
    with pytest.raises(RunError, match=r"diverged.*lower train\.lr"):
        run_cell(own_pictures, {**QUICK, "train.lr": 1e30})


def test_a_picture_of_the_wrong_kind(own_pictures):
    pictures(own_pictures)[2].write_text("not a picture")
    with pytest.raises(DataError, match=pictures(own_pictures)[2].name):
        run_cell(own_pictures)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["launch", "--cells", "cub/deit_tinny/*"], "matches none"),
        (["launch", "--profile", "minni"], "nearest: mini"),
        (["launch", "--set", "train.epoch=3"], "nearest: train.epochs"),
        (["launch", "--seeds", "one"], "expected whole numbers"),
        (["launch", "--device", "tpu", "--cells", "cub/deit_tiny"], "expected auto, cpu or cuda"),
        (["run", "cub/deit_tiny"], "is no cell"),
        (["run", "cub/deit_tiny/dcall"], "nearest: cub/deit_tiny/dcal"),
        (["run", "market/deit_tiny/dcal", "--set", "data.class_limit=3"], "has no meaning for the cells"),
        (["check-data", "--profile", "paper"], "needs DATA"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_the_command_line_refuses_with_a_reason(arguments, message, capsys, tmp_path, mini_pictures):
    places = ["--runs", str(tmp_path)]
    if "paper" not in arguments:
        places += ["--data", str(mini_pictures)]
    assert main([*arguments, *places]) == 2
    assert message in capsys.readouterr().err


def test_the_paper_profile_does_not_fall_back_to_the_cpu(capsys, tmp_path, monkeypatch, mini_pictures):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    weights = tmp_path / "weights"
    weights.mkdir()
    np.savez(weights / "ViT-B_16.npz", one=np.zeros(1))
    arguments = ["--data", str(mini_pictures), "--weights", str(weights), "--runs", str(tmp_path)]
    assert main(["launch", "--profile", "paper", "--cells", "cub/vit_base", *arguments]) == 2
    assert "meant for GPUs and none is visible" in capsys.readouterr().err


@pytest.mark.parametrize("profile", ["mini", "paper"])
def test_a_gpu_that_was_asked_for_is_missed_as_the_user_s_wish(monkeypatch, profile):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(RunError, match="DEVICE=cuda was asked for and no GPU is visible here"):
        device.choose("cuda", profile, load_profile(profile).device)


@pytest.mark.parametrize(
    ("command", "verb"),
    [
        (main, "launch"),
        (main, "run cub/deit_tiny/dcal"),
        (main, "forecast"),
        (slurm, "submit"),
        (slurm, "retry"),
    ],
)
@pytest.mark.parametrize("workers", ["-1", "two"])
def test_a_number_of_workers_that_is_none_is_refused(command, verb, workers, capsys):
    with pytest.raises(SystemExit) as refused:
        command([*verb.split(), "--workers", workers])
    assert refused.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith(
        f"error: WORKERS (--workers): found {workers!r}, expected a whole number of processes"
    )


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "١", "9" * 5000])
@pytest.mark.parametrize("verb", ["launch", "forecast"])
def test_a_number_of_runs_at_once_that_is_none_is_refused_by_make_s_name(verb, text, capsys):
    with pytest.raises(SystemExit) as refused:
        main([verb, "--jobs", text])
    assert refused.value.code == 2
    said = capsys.readouterr().err
    assert said == (
        f"error: JOBS (--jobs): found {text!r}, expected a whole number, since at least one run at a time is needed\n"
    )


@pytest.mark.parametrize("seeds", ["a", "0 a", "-1", "0.5", "0_1", "9" * 5000, "", " "])
def test_seeds_that_are_none_are_refused(seeds, capsys, tmp_path):
    assert main(["list", "--runs", str(tmp_path), "--seeds", seeds]) == 2
    assert f"error: SEEDS={seeds!r}: expected whole numbers like '0 1 2'" in capsys.readouterr().err


@pytest.mark.parametrize("seed", ["0,1", "0 1"])
def test_one_run_has_one_seed(seed, capsys):
    with pytest.raises(SystemExit):
        main(["run", "cub/deit_tiny/dcal", "--seed", seed])
    said = f"error: SEEDS (--seed): found {seed!r}, but one run has one seed: SEEDS=0\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    [
        (slurm, ["status", "--watch", "soon"], "WATCH (--watch): found 'soon', expected a number of seconds"),
        (
            slurm,
            ["status", "--watch", "-1"],
            "WATCH (--watch): found '-1', expected a number of seconds, 0 or",
        ),
        (slurm, ["status", "--watch", "nan"], "WATCH (--watch): found 'nan'"),
        (main, ["launch", "--rerun", "all"], "RERUN (--rerun): found 'all', expected one of '', 'stale'"),
        (
            reports,
            ["attention", "--box-side", "0"],
            "BOX_SIDE (--box-side): found '0', expected a whole number",
        ),
        (
            main,
            ["run", "x", "--log-interval", "a"],
            "LOG (--log-interval): found 'a', expected a whole number",
        ),
        (
            bench,
            ["--only", "trainig"],
            "ONLY (--only): found 'trainig', expected one of 'input', 'ranking', 'rollout'",
        ),
    ],
)
def test_a_value_is_refused_by_make_s_name_without_the_usage(command, arguments, said, capsys):
    with pytest.raises(SystemExit) as refused:
        command(arguments)
    assert refused.value.code == 2
    text = capsys.readouterr().err
    assert text.startswith(f"error: {said}")
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "value", "least"),
    [("seed", "-1", 0), ("threads", "0", 1), ("threads", "all", 1), ("log-interval", "2.5", 0)],
)
def test_a_number_of_run_that_makes_no_sense_is_refused(tmp_path, capsys, option, value, least):
    with pytest.raises(SystemExit):
        main(["run", "cub/deit_tiny/dcal", "--runs", str(tmp_path / "runs"), f"--{option}={value}"])
    said = capsys.readouterr().err
    name = {"seed": "SEEDS (--seed)", "log-interval": "LOG (--log-interval)"}.get(option, f"--{option}")
    assert said == f"error: {name}: found {value!r}, expected a whole number from {least} on\n"
    assert not (tmp_path / "runs").exists()
