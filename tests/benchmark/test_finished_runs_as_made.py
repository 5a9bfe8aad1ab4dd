"""Verbs that read a finished run take it with the settings of its record; a folder above it is enough to name it."""

import argparse
import json
import shutil

import pytest
from untrained_run import finished_run

from benchmark.commands import select_models
from benchmark.errors import RunError, SettingsError
from benchmark.inference.trained import load_trained
from benchmark.records import merge, run_settings
from benchmark.records.run_folder import RunFolder, read_json
from reports.heatmaps import run_pairs

MADE = "train.epochs=3 data.crop=48,64 model.glca_readout=mean"
SETTINGS = {"train__epochs": 3, "data__crop": (48, 64), "model__glca_readout": "mean"}
DCAL = "cub/deit_tiny/dcal"


def arguments(runs, **other):
    given = {"profile": "mini", "runs": runs, "seeds": "0", "cells": "", "table": None, "overrides": ""}
    return argparse.Namespace(**(given | {"out": None, "data": None, "weights": None} | other))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folder of runs with a finished pair that was made with a SET; tests must not change it."""
    runs = tmp_path_factory.mktemp("runs")
    finished_run(runs, DCAL, **SETTINGS)
    finished_run(runs, "cub/deit_tiny/baseline", **SETTINGS)
    return runs


@pytest.fixture
def changed(made, tmp_path):
    """A copy of it to change."""
    return shutil.copytree(made, tmp_path / "runs")


def folder(runs, cell=DCAL):
    return runs / "mini" / cell / "seed0"


@pytest.mark.parametrize("overrides", ["", MADE, "model.pwca_blocks=12 train.lr_min=0.5"])
def test_no_set_the_same_set_and_a_set_without_meaning_are_taken(made, overrides):
    assert select_models.one_model(arguments(made, overrides=overrides), DCAL) == folder(made)
    (pair,) = run_pairs.collect_pairs(arguments(made, cells="cub/deit_tiny", overrides=overrides))
    assert (pair.baseline.state, pair.dcal.state) == ("done", "done")
    assert pair.dcal.config.settings.train.epochs == 3
    assert set(pair.changed) == {"train.epochs", "data.crop", "model.glca_readout"}


def test_a_set_that_contradicts_the_record_names_the_runs_own(made):
    given, said = "data.crop=64,64", "data.crop is 48,64"
    for read in (
        lambda: select_models.models(arguments(made, overrides=given), []),
        lambda: run_pairs.collect_pairs(arguments(made, cells="cub/deit_tiny", overrides=given)),
    ):
        with pytest.raises(SettingsError) as refused:
            read()
        assert f"where {said}: a finished run is read as it was made, with SET=" in str(refused.value)
        assert str(folder(made, "cub/deit_tiny/baseline")) in str(refused.value)  # the first of the two
    with pytest.raises(SettingsError) as refused:
        select_models.one_model(arguments(made, overrides=given), DCAL)
    named = str(refused.value).partition("with SET='")[2].partition("'")[0]
    assert sorted(named.split()) == sorted(MADE.split())
    assert select_models.one_model(arguments(made, overrides=named), DCAL) == folder(made)


def test_a_set_against_a_run_made_without_one_is_told_to_be_left_out(tmp_path):
    finished_run(tmp_path, DCAL)
    with pytest.raises(SettingsError, match="as it was made, without SET: leave it out"):
        select_models.one_model(arguments(tmp_path, overrides="train.epochs=3"), DCAL)


def test_a_run_that_was_set_aside_is_named_where_its_set_is_asked_for_and_read_by_its_folder(changed):
    aside = folder(changed).with_name("seed0.stale-20260101-000000")
    folder(changed).rename(aside)
    finished_run(changed, DCAL)
    assert select_models.one_model(arguments(changed), DCAL) == folder(changed)
    with pytest.raises(SettingsError, match=f"a run with this SET was set aside: name {aside}"):
        select_models.one_model(arguments(changed, overrides="train.epochs=3"), DCAL)
    assert select_models.one_model(arguments(changed), str(aside)) == aside
    assert load_trained(aside).config.settings.train.epochs == 3


def test_baseline_and_dcal_of_different_settings_are_no_pair(changed):
    shutil.rmtree(folder(changed))
    finished_run(changed, DCAL)
    (pair,) = run_pairs.collect_pairs(arguments(changed, cells="cub/deit_tiny"))
    assert "made with different settings: data.crop 48,64 and" in pair.obstacle()
    assert "train.epochs 3 and 8" in pair.obstacle()


def test_a_finished_run_of_any_settings_counts_before_an_unfinished_one_in_another_folder(made, tmp_path):
    other = folder(tmp_path)
    other.mkdir(parents=True)
    (other / "outcome.json").write_text(json.dumps({"state": "failed", "message": "gone"}))
    (other / "config.json").write_text(json.dumps({"hash": "0" * 64}))
    found = merge.collect([tmp_path, made], profile="mini", patterns=[DCAL], as_recorded=True).runs
    assert [(run.state, run.folder.path) for run in found] == [("done", folder(made))]


def test_the_folder_of_a_cell_is_its_one_finished_run(changed, capsys):
    cell = folder(changed).parent
    (cell / "seed3").mkdir()  # nothing in it
    (cell / "seed1.stale-20260101-000000").mkdir()
    assert select_models.one_model(arguments(changed), str(cell)) == folder(changed)
    assert "1 of 2 runs are left out, first" in capsys.readouterr().err
    pair = cell.parent
    with pytest.raises(SettingsError, match=r"holds 2 finished runs, baseline/seed0, dcal/seed0: name one, "):
        select_models.one_model(arguments(changed), str(pair))
    shutil.rmtree(pair / "baseline")
    assert select_models.one_model(arguments(changed), str(changed / "mini")) == folder(changed)
    folder(changed).joinpath("result.json").unlink()
    with pytest.raises(RunError, match="not finished, it has a checkpoint and no result"):
        select_models.one_model(arguments(changed), str(cell))


@pytest.mark.parametrize(
    ("cells", "commands"),
    [
        ("", "make table1 RUNS=RUNS` and `make table2 RUNS=RUNS` and `make extras RUNS=RUNS` make them"),
        ("cub/deit_*/dcal", "no finished run of CELLS='cub/deit_*/dcal' with seed 0"),
        ("cub/deit_*/dcal", "make table1 RUNS=RUNS CELLS='cub/deit_*/dcal'` makes them"),
        ("market/vit_base/dcal", "make table2 RUNS=RUNS CELLS=market/vit_base/dcal` makes it"),
    ],
)
def test_without_a_finished_run_the_command_that_makes_one_is_named(tmp_path, cells, commands):
    with pytest.raises(RunError) as refused:
        select_models.models(arguments(tmp_path, cells=cells), [])
    assert commands.replace("RUNS=RUNS", f"RUNS={tmp_path}") in str(refused.value)
    assert "no folder and no file" not in str(refused.value)


def test_every_pattern_has_to_name_a_run_that_is_there(made):
    with pytest.raises(RunError, match="no finished run of CELLS=cars with seed 0"):
        select_models.models(arguments(made, cells="cub cars"), [])
    with pytest.raises(SettingsError, match="matches none of the 68 cells"):
        select_models.models(arguments(made, cells="cub cubs"), [])


def test_the_set_of_a_run_gives_its_settings_again(made):
    config = run_settings.config_from_record(read_json(RunFolder(folder(made)).config), "here")
    assert run_settings.changed_settings(config) == {
        "train.epochs": 3, "data.crop": (48, 64), "model.glca_readout": "mean",
    }  # fmt: skip
    assert run_settings.training_differences(config, config) == ""
