"""Real runs with trackers: they show what history.jsonl holds, and the numbers are those of a run without."""

import pytest
from quick_runs import QUICK, StopAfter
from tracker_files import (
    StandIn,
    history_of,
    rows_of,
    scalars_of,
    tensorboard_scalars,
    unset_wandb,
    wandb_records,
    without_own,
)

from benchmark.config.grid import select
from benchmark.config.places import MINI_WEIGHTS, Places
from benchmark.records.heartbeat import RunInterrupt
from benchmark.records.run_folder import RunFolder
from benchmark.training.request import Infrastructure
from benchmark.training.run import run_cell

BASELINE, _ = select(["cub/deit_tiny"])


def run(places, *trackers, **options):
    infrastructure = Infrastructure(device="cpu", quiet=True, checkpoint_seconds=0.0, trackers=trackers)
    return run_cell(BASELINE, 0, "mini", places, overrides=QUICK, infrastructure=infrastructure, **options)


def folder_in(places):
    return RunFolder(places.runs / "mini" / BASELINE.id / "seed0")


@pytest.fixture(scope="module")
def untracked(tmp_path_factory, mini_pictures):
    places = Places(tmp_path_factory.mktemp("untracked"), mini_pictures, MINI_WEIGHTS, generated=True)
    result = run(places)
    assert not (folder_in(places).path / "tensorboard").exists()
    assert not (folder_in(places).path / "wandb").exists()
    return result


def same_numbers(one, other):
    return all(
        one[key] == other[key]
        for key in ("final_weights_sha256", "predictions_sha256", "metrics", "config_hash")
    )


def test_a_run_stopped_and_gone_on_with_is_shown_whole_and_computes_the_same(
    places, tmp_path, monkeypatch, untracked
):
    unset_wandb(monkeypatch, tmp_path)
    with pytest.raises(RunInterrupt):
        run(places, "tensorboard", "wandb", stop=StopAfter(9))  # in the second epoch
    folder = folder_in(places)
    assert len(tensorboard_scalars(folder)["lr"]) == 1
    result = run(places, "tensorboard", "wandb")
    assert same_numbers(result, untracked)
    history = history_of(folder)
    assert len(history) == QUICK["train.epochs"]
    last = {f"result/{name}": value for name, value in result["metrics"].items()}
    shown = tensorboard_scalars(folder)
    assert {name: shown.pop(name) for name in last} == {
        name: [(len(history), pytest.approx(value))] for name, value in last.items()
    }
    assert shown == scalars_of(history)
    _, config, summary, rows = wandb_records(folder)
    assert without_own(rows) == rows_of(history)
    assert {name: summary[name] for name in last} == last
    assert config["train"]["epochs"] == QUICK["train.epochs"]
    assert config["hash"] == result["config_hash"]
    assert "switched off" not in folder.log.read_text()


def test_a_tracker_that_breaks_in_a_run_changes_nothing_but_the_log(places, tmp_path, monkeypatch, untracked):
    StandIn(tmp_path, monkeypatch, breaks_in="log")
    assert same_numbers(run(places, "wandb", "tensorboard"), untracked)
    folder = folder_in(places)
    said = [line for line in folder.log.read_text().splitlines() if "switched off" in line]
    assert len(said) == 1
    assert "RuntimeError: broken in log" in said[0]
    assert len(tensorboard_scalars(folder)["lr"]) == QUICK["train.epochs"]
