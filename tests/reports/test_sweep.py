"""The committed made-up sweep: its records are whole, agree with themselves, and show every state."""

import json
import math

import mini_sweep
import numpy as np
import pytest
from sweep.make import make
from sweep.plan import PLANS

from benchmark.records import status

FILES = sorted(path for path in mini_sweep.SWEEP.rglob("seed*/*") if path.is_file())


def views(runs, profile):
    return status.collect(profile=profile, runs_dir=runs, seeds=mini_sweep.SEEDS)


@pytest.mark.parametrize("profile", mini_sweep.PROFILES)
def test_the_states_are_the_planned_ones(sweep, profile):
    result = {view.id: view.state for view in views(sweep, profile)}
    assert result == mini_sweep.EXPECTED_STATES[profile]


def test_every_state_that_the_disk_can_show_occurs():
    result = {state for states in mini_sweep.EXPECTED_STATES.values() for state in states.values()}
    # A cluster's silence is not on the disk; without data nobody asks for weights, and the mini profile has its own.
    assert result == set(status.STATES) - {"unknown", "no-weights"}


def test_nobody_runs_once_the_holder_is_gone(tmp_path):
    runs = mini_sweep.unpack(tmp_path / "runs")
    with mini_sweep.alive(runs):
        assert sum(view.state == "running" for view in views(runs, "paper")) == 2
    assert not any(view.state == "running" for view in views(runs, "paper"))


def test_the_stale_run_names_what_changed(sweep):
    (stale,) = (view for view in views(sweep, "paper") if view.state == "stale")
    assert "train.epochs: 50 then" in stale.reason


@pytest.mark.parametrize("profile", mini_sweep.PROFILES)
def test_metrics_are_what_the_predictions_give(sweep, profile):
    for view in views(sweep, profile):
        if view.state != "done":
            continue
        result, metrics = view.predictions, view.result["metrics"]
        if view.cell.task == "fgvc":
            right = [a == b for a, b in zip(result["both_predicted"], result["labels"], strict=True)]
            assert right == result["both_correct"].tolist()
            assert metrics["top1"] == 100 * sum(right) / len(right)
            assert view.result["data"]["test_images"] == len(right)
            assert not (result["both_correct"] & ~result["top5_correct"]).any()
        else:
            answerable = [q for q in range(len(result["both_ap"])) if result["both_first_hit"][q] > 0]
            mean = sum(result["both_ap"][q] for q in answerable) / len(answerable)
            first = sum(result["both_first_hit"][q] == 1 for q in answerable) / len(answerable)
            assert math.isclose(metrics["mAP"], 100 * mean)
            assert math.isclose(metrics["R1"], 100 * first)
            assert view.result["data"]["query_images"] == len(result["both_ap"])


def test_metrics_are_close_to_what_was_planned(sweep):
    results = {view.id: view.result for view in views(sweep, "paper") if view.state == "done"}
    for planned in PLANS["paper"]:
        if planned.state == "done":
            metrics = results[planned.run]["metrics"]
            assert abs(metrics.get("top1", metrics.get("mAP")) - planned.best) < 0.5, planned.run
            assert planned.rank1 is None or abs(metrics["R1"] - planned.rank1) < 0.5, planned.run


def test_every_record_says_that_it_is_made_up():
    for path in FILES:
        if path.name == "result.json" and path.stat().st_size > 100:  # the torn one ends before it
            record = json.loads(path.read_text(encoding="utf-8"))
            assert "made-up numbers" in record["provenance"]["note"], path
            assert record["provenance"]["host"].startswith("made-up-host"), path
            assert "made up" in record["data"]["text"], path


def test_made_anew_it_is_the_same(tmp_path):
    make(tmp_path)
    assert {path.relative_to(mini_sweep.SWEEP) for path in FILES} == {
        path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()
    }
    for path in FILES:
        again = tmp_path / path.relative_to(mini_sweep.SWEEP)
        if path.suffix == ".npz":
            with np.load(path) as old, np.load(again) as new:
                assert old.files == new.files
                for name in old.files:
                    assert old[name].dtype == new[name].dtype
                    np.testing.assert_array_equal(old[name], new[name])
        else:
            assert path.read_bytes() == again.read_bytes(), path


def test_it_is_small_and_has_no_checkpoints():
    assert sum(path.stat().st_size for path in FILES) < 1_000_000
    assert not [path for path in FILES if path.suffix == ".pt"]
