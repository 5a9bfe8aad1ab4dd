"""Which trained models a command line means."""

import argparse
import shutil

import pytest

from benchmark.commands import select_models
from benchmark.config.datasets import DATASETS
from benchmark.errors import RunError, SettingsError


def arguments(runs, **other):
    given = {"profile": "mini", "runs": runs, "seeds": "0", "cells": "", "table": None, "overrides": ""}
    return argparse.Namespace(**(given | other))


def ids(paths):
    return ["/".join(path.parts[-4:]) for path in paths]


def test_a_run_is_found_by_its_id_with_and_without_its_seed(sweep):
    expected = [sweep / "mini" / "cub" / "deit_tiny" / "dcal" / "seed0"]
    for name in ("cub/deit_tiny/dcal", "cub/deit_tiny/dcal/seed0", "cub/deit_tiny/dcal/"):
        assert select_models.models(arguments(sweep), [name])[0] == expected
    assert select_models.models(arguments(sweep), [str(expected[0])])[0] == expected
    assert select_models.one_model(arguments(sweep), "cub/deit_tiny/dcal") == expected[0]


def test_no_name_means_every_finished_run_of_the_cells_and_seeds(sweep):
    every = ids(select_models.models(arguments(sweep), [])[0])
    assert "cub/deit_tiny/dcal/seed0" in every
    assert all(name.endswith("/seed0") for name in every)
    some = ids(select_models.models(arguments(sweep, cells="cub/deit_*/dcal, market"), [])[0])
    assert set(some) < set(every)
    assert {name.split("/")[0] for name in some} == {"cub", "market"}
    assert all(name.split("/")[2] == "dcal" for name in some if name.startswith("cub"))
    table = {
        name.split("/")[0] for name in ids(select_models.models(arguments(sweep, table="table2"), [])[0])
    }
    assert table <= {"veri", "msmt17", "market", "duke"}


def test_a_pattern_means_a_variant_only_where_the_ablations_are_meant(sweep):
    pair = sweep / "mini" / "cub" / "deit_tiny"
    shutil.copytree(pair / "dcal", pair / "glca_r30")
    result = pair / "glca_r30" / "seed0" / "result.json"
    result.write_text(result.read_text().replace("cub/deit_tiny/dcal/seed0", "cub/deit_tiny/glca_r30/seed0"))
    two = ["cub/deit_tiny/baseline/seed0", "cub/deit_tiny/dcal/seed0"]
    variant = "cub/deit_tiny/glca_r30/seed0"
    assert ids(select_models.models(arguments(sweep, cells="cub/deit_tiny"), [])[0]) == two
    assert ids(select_models.models(arguments(sweep, cells="cub/deit_tiny", table="ablations"), [])[0]) == [
        *two,
        variant,
    ]
    assert ids(select_models.models(arguments(sweep), ["cub/deit_tiny/glca_r30"])[0]) == [variant]
    assert variant in ids(select_models.models(arguments(sweep), [])[0])


def test_a_pattern_leaves_out_what_is_not_finished_and_says_so(sweep, capsys):
    (sweep / "mini" / "cub" / "deit_tiny" / "dcal" / "seed0" / "result.json").unlink()
    found = ids(select_models.models(arguments(sweep), ["cub/deit_tiny"])[0])
    assert found == ["cub/deit_tiny/baseline/seed0"]
    assert "1 of 2 runs are left out, first" in capsys.readouterr().err


def test_an_unfinished_run_is_refused_by_id_and_by_folder(sweep):
    folder = sweep / "mini" / "cub" / "deit_tiny" / "dcal" / "seed0"
    (folder / "result.json").unlink()
    (folder / "checkpoint.pt").write_bytes(b"a checkpoint")
    for name in ("cub/deit_tiny/dcal", str(folder)):
        with pytest.raises(RunError, match="not finished, it has a checkpoint and no result"):
            select_models.models(arguments(sweep), [name])


def test_a_damaged_result_is_named(sweep):
    folder = sweep / "mini" / "cub" / "deit_tiny" / "dcal" / "seed0"
    (folder / "result.json").write_text("{")
    with pytest.raises(RunError, match=r"result\.json is damaged: it is not readable JSON"):
        select_models.models(arguments(sweep), [str(folder)])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cub/deit_tyni/dcal", "nearest: cub/deit_tiny/dcal"),
        ("cub/deit_tiny/dcal/seed7", "no run of this name with seed 7"),
        ("/nowhere/seed0", "no such run folder or file"),
        ("./nowhere", "no such run folder or file"),
        ("model.safetensors", "no such run folder or file"),
        ("", "expected a run's folder"),
    ],
)
def test_what_is_not_there_is_refused_with_what_would_be(sweep, monkeypatch, name, said):
    monkeypatch.chdir(sweep.parent)
    with pytest.raises(RunError, match=said):
        select_models.models(arguments(sweep), [name])


def test_a_folder_that_holds_no_run_is_refused(sweep, tmp_path):
    with pytest.raises(RunError, match=r"no finished run, it has no result\.json"):
        select_models.models(arguments(sweep), [str(tmp_path)])


def test_one_model_is_one_and_no_model_is_meant_twice(sweep):
    with pytest.raises(SettingsError, match="is 2 models"):
        select_models.one_model(arguments(sweep), "cub/deit_tiny")
    with pytest.raises(SettingsError, match="is named twice"):
        select_models.models(arguments(sweep), ["cub/deit_tiny/dcal", "cub/deit_tiny"])


def test_a_run_on_a_users_own_dataset_is_found_without_its_pictures(sweep):
    folder = sweep / "mini" / "my_birds" / "deit_tiny" / "dcal" / "seed0"
    shutil.copytree(sweep / "mini" / "cub" / "deit_tiny" / "dcal" / "seed0", folder)
    pictures = f"generated, version {DATASETS['cub'].mini_version}"
    for name in ("result.json", "config.json"):
        text = (folder / name).read_text().replace("cub/deit_tiny", "my_birds/deit_tiny")
        (folder / name).write_text(text.replace(pictures, "own"))
    assert select_models.models(arguments(sweep), ["my_birds/deit_tiny/dcal"])[0] == [folder]


def test_without_its_config_a_run_on_a_users_own_dataset_is_no_finished_one(sweep):
    folder = sweep / "mini" / "unheard_of" / "deit_tiny" / "dcal" / "seed0"
    shutil.copytree(sweep / "mini" / "cub" / "deit_tiny" / "dcal" / "seed0", folder)
    result = (folder / "result.json").read_text().replace("cub/deit_tiny", "unheard_of/deit_tiny")
    (folder / "result.json").write_text(result)
    (folder / "config.json").write_text("{")
    with pytest.raises(RunError, match=r"config\.json is missing or no JSON; copy the run folder again"):
        select_models.models(arguments(sweep), [str(folder)])
