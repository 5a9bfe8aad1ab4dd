"""One run from start to result, interrupted and not."""

import json

import numpy as np
import pytest
import torch
from quick_runs import QUICK, StopAfter

from benchmark.atomic import file_sha256
from benchmark.config.grid import select
from benchmark.config.resolve import load_profile, resolve
from benchmark.errors import RunError
from benchmark.evaluation.classification import ClassificationResult, predict
from benchmark.records import lock
from benchmark.records.heartbeat import RunInterrupt
from benchmark.records.run_folder import locate_run, read_result
from benchmark.training import attempt, checkpoint, run
from benchmark.training.models import build_model
from benchmark.training.request import Infrastructure

DCAL, BASELINE = (select([f"cub/deit_tiny/{method}"])[0] for method in ("dcal", "baseline"))


def run_cell(places, cell=DCAL, overrides=QUICK, stop=None, checkpoint_seconds=1e9, **infrastructure):
    torch.set_num_threads(1)
    return run.run_cell(
        cell,
        0,
        "mini",
        places,
        overrides=overrides,
        infrastructure=Infrastructure(quiet=True, checkpoint_seconds=checkpoint_seconds, **infrastructure),
        stop=stop,
    )


def folder(places, cell=DCAL, overrides=QUICK):
    return locate_run(resolve(cell, 0, load_profile("mini"), overrides), places.runs)


def test_a_run_leaves_a_valid_record(places):
    result = run_cell(places)
    files = folder(places)
    assert read_result(files) == (result, "")
    names = {path.name for path in files.path.iterdir()}
    assert names == {
        "config.json", "provenance.json", "history.jsonl", "checkpoint.pt", "predictions.npz", "result.json",
        "log.txt", "heartbeat.json",
    }  # fmt: skip
    assert result["data"]["coverage"] == "generated"
    assert result["cost"]["steps"] == 3 * 4
    history = [json.loads(line) for line in files.history.read_text().splitlines()]
    assert [entry["epoch"] for entry in history] == [1, 2, 3]
    assert set(history[0]["loss"]) == set(history[0]["w"]) == {"sa", "glca", "pwca"}
    assert history[-1]["metrics"] == result["metrics"]
    provenance = json.loads(files.provenance.read_text())
    assert {"commit", "dirty", "versions", "started"} <= set(provenance)


def test_the_recorded_numbers_are_those_of_the_stored_predictions(places):
    result = run_cell(places)
    with np.load(folder(places).predictions) as stored:
        labels = stored["labels"]
        assert len(labels) == result["data"]["test_images"] == 60
        for name, branch in (("top1", "both"), ("sa_top1", "sa"), ("glca_top1", "glca")):
            assert (stored[f"{branch}_correct"] == (stored[f"{branch}_predicted"] == labels)).all()
            # What has more than half of the probability is the prediction.
            assert stored[f"{branch}_correct"][stored[f"{branch}_probability"] > 0.5].all()
            assert result["metrics"][name] == 100 * (stored[f"{branch}_predicted"] == labels).sum() / 60
        assert len(stored["classes"]) == result["data"]["classes"]
        assert result["metrics"]["top5"] == 100 * stored["top5_correct"].sum() / 60


def test_the_kept_checkpoint_holds_the_final_weights(places):
    result = run_cell(places)
    files = folder(places)
    state = checkpoint.newest(files, result["config_hash"])
    assert checkpoint.weights_sha256(state["model"]) == result["final_weights_sha256"]
    assert "optimizer" not in state
    assert file_sha256(files.predictions) == result["predictions_sha256"]


def test_the_baseline_has_one_branch_and_no_uncertainty_weights(places):
    result = run_cell(places, BASELINE)
    assert set(result["metrics"]) == {"top1", "top5"}
    history = [json.loads(line) for line in folder(places, BASELINE).history.read_text().splitlines()]
    assert set(history[0]["loss"]) == {"sa"}
    assert history[0]["w"] == {}


def test_a_finished_run_is_not_trained_again(places, monkeypatch):
    first = run_cell(places)
    monkeypatch.setattr(attempt, "Trainer", None)  # would fail if it were used
    assert run_cell(places) == first


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(places, tmp_path):
    first = run_cell(places)
    again = run_cell(type(places)(tmp_path / "again", places.data, places.weights, generated=True))
    assert again["final_weights_sha256"] == first["final_weights_sha256"]
    assert again["metrics"] == first["metrics"]
    other = run.run_cell(DCAL, 1, "mini", places, overrides=QUICK, infrastructure=Infrastructure(quiet=True))
    assert other["final_weights_sha256"] != first["final_weights_sha256"]


@pytest.mark.parametrize("cell", [BASELINE, DCAL], ids=lambda cell: cell.method)
def test_stopped_at_any_step_and_resumed_ends_with_the_same_weights(places, tmp_path, cell):
    whole = run_cell(places, cell)
    for step in (0, 3, 4, 7):
        broken = type(places)(tmp_path / f"stopped at {step}", places.data, places.weights, generated=True)
        with pytest.raises(RunInterrupt):
            run_cell(broken, cell, stop=StopAfter(step))
        assert json.loads(folder(broken, cell).outcome.read_text())["state"] == "preempted"
        resumed = run_cell(broken, cell)
        assert resumed["final_weights_sha256"] == whole["final_weights_sha256"], step
        assert resumed["metrics"] == whole["metrics"]
        assert resumed["cost"]["attempts"] == 2
        whole_history, resumed_history = (
            [json.loads(line) for line in folder(at, cell).history.read_text().splitlines()]
            for at in (places, broken)
        )
        for one, other in zip(whole_history, resumed_history, strict=True):
            assert one["loss"] == other["loss"]


def test_stopped_again_and_again(places, tmp_path):
    whole = run_cell(places)
    broken = type(places)(tmp_path / "often", places.data, places.weights, generated=True)
    for _ in range(5):
        with pytest.raises(RunInterrupt):
            run_cell(broken, stop=StopAfter(1))
    assert run_cell(broken)["final_weights_sha256"] == whole["final_weights_sha256"]


@pytest.mark.parametrize(
    "overrides",
    [
        {"model.pwca_pairing": "loader"},
        {"model.glca_select": "random", "model.glca_readout": "mean"},
        {"model.pwca_stream": "figure", "model.pwca_blocks": 4},
        {"model.glca_blocks": 2, "train.optimizer": "adam"},
        {"train.precision": "bfloat16", "data.test_crop": "whole", "data.drop_banner": True},
    ],
    ids=str,
)
def test_every_reading_resumes_exactly(places, tmp_path, overrides):
    overrides = {**QUICK, **overrides, "train.epochs": 2}
    whole = run_cell(places, overrides=overrides)
    broken = type(places)(tmp_path / "broken", places.data, places.weights, generated=True)
    with pytest.raises(RunInterrupt):
        run_cell(broken, overrides=overrides, stop=StopAfter(5))
    assert run_cell(broken, overrides=overrides)["final_weights_sha256"] == whole["final_weights_sha256"]


@pytest.mark.parametrize("steps", [5, 21])  # in the first epoch's evaluation, and in the last one's
def test_stopped_while_it_evaluates_it_saves_and_evaluates_again(places, tmp_path, steps):
    overrides = {
        **QUICK,
        "model.glca_select": "random",
        "model.glca_readout": "mean",
    }  # evaluating draws, too
    whole = run_cell(places, overrides=overrides)
    broken = type(places)(tmp_path / "broken", places.data, places.weights, generated=True)
    with pytest.raises(RunInterrupt, match="being evaluated; saved"):
        run_cell(broken, overrides=overrides, stop=StopAfter(steps))
    assert json.loads(folder(broken).outcome.read_text())["state"] == "preempted"
    resumed = run_cell(broken, overrides=overrides)
    assert resumed["final_weights_sha256"] == whole["final_weights_sha256"]
    assert resumed["metrics"] == whole["metrics"]


def test_a_truncated_checkpoint_falls_back_to_the_previous_one(places, tmp_path):
    whole = run_cell(places)
    broken = type(places)(tmp_path / "broken", places.data, places.weights, generated=True)
    with pytest.raises(RunInterrupt):
        run_cell(broken, stop=StopAfter(6), checkpoint_seconds=0)
    files = folder(broken)
    size = files.checkpoint.stat().st_size
    with open(files.checkpoint, "r+b") as stream:
        stream.truncate(size // 2)
    resumed = run_cell(broken)
    assert "checkpoint.pt is passed over" in files.log.read_text()
    assert "going on from" in files.log.read_text()
    assert resumed["final_weights_sha256"] == whole["final_weights_sha256"]


def test_a_damaged_result_is_set_aside_and_the_number_measured_again(places):
    first = run_cell(places)
    files = folder(places)
    files.result.write_text(files.result.read_text()[:-40])
    again = run_cell(places)
    assert again["metrics"] == first["metrics"]
    assert again["final_weights_sha256"] == first["final_weights_sha256"]
    assert [path.name for path in files.path.glob("result.json.damaged-*")]


def test_a_forged_result_of_other_settings_is_stale_and_kept(places):
    run_cell(places)
    changed = {**QUICK, "train.epochs": 1}
    with pytest.raises(RunError, match=r"train\.epochs: 3 then, 1 now.*RERUN=stale"):
        run_cell(places, overrides=changed)
    assert read_result(folder(places))[0]["cost"]["epochs"] == 3


def test_preempted_in_the_final_evaluation_repeats_it(places, monkeypatch):
    real = ClassificationResult.arrays

    def torn(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(ClassificationResult, "arrays", torn)
    with pytest.raises(KeyboardInterrupt):
        run_cell(places)
    assert not folder(places).result.exists()
    monkeypatch.setattr(ClassificationResult, "arrays", real)
    resumed = run_cell(places)
    assert "going on from epoch 3, step 4" in folder(places).log.read_text()
    assert resumed["cost"]["attempts"] == 2


def test_a_held_run_is_not_started_twice(places):
    files = folder(places)
    files.make()
    held = lock.acquire(files.path)
    with pytest.raises(lock.LockHeld, match="being worked on"):
        run_cell(places)
    held.release()


def test_worker_processes_do_not_change_the_numbers(places, tmp_path):
    alone = run_cell(places)
    other = type(places)(tmp_path / "workers", places.data, places.weights, generated=True)
    assert run_cell(other, workers=2)["final_weights_sha256"] == alone["final_weights_sha256"]


def test_accuracy_does_not_depend_on_the_batch_size_of_evaluation(places):
    from benchmark.data import locate
    from benchmark.data.loader import TestLoader, normalise

    result = run_cell(places)
    files = folder(places)
    config = resolve(DCAL, 0, load_profile("mini"), QUICK)
    model = build_model(config, 3, weights=places.weights)
    model.load_state_dict(checkpoint.newest(files, result["config_hash"])["model"])
    dataset = locate.load_fgvc("cub", places.data, 3)
    prepare = normalise(model, torch.device("cpu"))
    for size in (1, 7, 60, 1000):
        tests = TestLoader(dataset, config.settings.data, size, workers=0)
        predictions = predict(model, dataset, tests, prepare)
        assert predictions.metrics() == result["metrics"]
        with np.load(files.predictions) as stored:
            assert (predictions.predicted["both"] == stored["both_predicted"]).all()
