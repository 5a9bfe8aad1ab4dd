"""TRACK: what it takes, what it refuses before anything starts, and how it gets to the runs."""

import sys

import pytest
from launch_requests import request_to_a_run

from benchmark import __main__
from benchmark.errors import SettingsError
from benchmark.training import trackers

DCAL = "cub/deit_tiny/dcal"
VERBS = [["launch"], ["run", DCAL]]


def test_names_are_taken_in_their_order_and_once():
    assert trackers.parse("") == ()
    assert trackers.parse(" wandb,tensorboard  wandb ") == ("wandb", "tensorboard")


@pytest.mark.parametrize(("text", "nearest"), [("tensorbord", "tensorboard"), ("wandb WnB", "wandb")])
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_an_unknown_one_is_refused_and_the_nearest_named(verb, text, nearest, tmp_path, capsys):
    assert __main__.main([*verb, "--runs", str(tmp_path / "runs"), "--track", text]) == 2
    assert f"nearest: {nearest}. There are tensorboard and wandb" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_a_missing_package_is_one_sentence_before_anything_is_touched(
    verb, name, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, name, None)
    assert __main__.main([*verb, "--runs", str(tmp_path / "runs"), "--track", name]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert f"the package {name}" in said
    assert said.endswith("is not installed: `make optional` installs it")
    assert not (tmp_path / "runs").exists()


def test_a_folder_of_that_name_is_no_package(tmp_path, monkeypatch):
    """W&B itself makes one wherever it is used without a setting."""
    (tmp_path / "wandb").mkdir()
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(SettingsError, match="the package wandb"):
        trackers.require_installed(["wandb"])


def test_a_launch_passes_it_to_its_runs(tmp_path, monkeypatch):
    request = request_to_a_run(tmp_path, monkeypatch, "--track", "wandb, tensorboard")
    assert request.infrastructure.trackers == ("wandb", "tensorboard")


def test_a_forecast_which_tracks_nothing_does_not_take_it(capsys):
    with pytest.raises(SystemExit):
        __main__.main(["forecast", "--track", "wandb"])
    assert "--track" in capsys.readouterr().err
