"""Every state of a run comes from the disk, and unknown never becomes done."""

import copy
import json
import time

import pytest
from result_example import RESULT

from benchmark.config import resolve
from benchmark.config.grid import select
from benchmark.config.places import Places
from benchmark.records import lock, status
from benchmark.records.run_folder import locate_run

CELL = select(["cub/deit_tiny/dcal"])[0]
PRINT = "f" * 64
NO_TENSORS = (2).to_bytes(8, "little") + b"{}"  # a whole .safetensors


@pytest.fixture
def places(tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    data = tmp_path / "data" / "CUB_200_2011"
    data.mkdir(parents=True)
    lists = ("images", "image_class_labels", "train_test_split", "classes")
    for name in lists:
        (data / f"{name}.txt").write_text("1 1\n")
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "deit_tiny_patch16_224.fb_in1k.safetensors").write_bytes(NO_TENSORS)
    return Places(tmp_path / "runs", tmp_path / "data", weights, generated=False)


@pytest.fixture
def asked():
    return resolve.resolve(CELL, 0, resolve.load_profile("quick"), {})


@pytest.fixture
def folder(places, asked):
    made = locate_run(asked, places.runs)
    made.make()
    return made


def state(asked, places, fingerprint=PRINT):
    view = status.view_run(asked, places, fingerprint)
    return view.state, view.reason


def finish(folder, asked, **changes):
    result = copy.deepcopy(RESULT) | {"profile": "quick", "config_hash": asked.hash} | changes
    folder.result.write_text(json.dumps(result))
    folder.config.write_text(
        json.dumps({"hash": asked.hash, "identity": asked.identity, "data_fingerprint": PRINT})
    )


def test_missing(asked, places):
    assert state(asked, places) == ("missing", "not run")


def test_no_data(asked, places):
    elsewhere = Places(places.runs, places.data / "nothing", places.weights, generated=False)
    found, reason = state(asked, elsewhere, None)
    assert found == "no-data"
    assert "CUB_200_2011" in reason
    unset = Places(places.runs, None, places.weights, generated=False)
    assert state(asked, unset, None)[0] == "no-data"


def test_a_broken_dataset_is_named_and_leaves_the_others_alone(places):
    (places.data / "Market-1501-v15.09.15" / "query").mkdir(parents=True)
    views = status.collect(
        profile="quick",
        runs_dir=places.runs,
        patterns=["cub/deit_tiny/dcal", "market/deit_tiny/dcal"],
        data_dir=places.data,
        weights_dir=places.weights,
    )
    assert [view.state for view in views] == ["missing", "no-data"]
    assert "bounding_box_train" in views[1].reason


def test_no_weights_in_the_folder(asked, places):
    for file in places.weights.iterdir():
        file.unlink()
    found, reason = state(asked, places)
    assert found == "no-weights"
    assert "deit_tiny_patch16_224.fb_in1k" in reason


def test_no_weights_offline_and_not_cached(asked, places, monkeypatch, tmp_path):
    hub = Places(places.runs, places.data, None, generated=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    assert state(asked, hub)[0] == "missing"  # it can be fetched
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert state(asked, hub)[0] == "no-weights"
    snapshot = tmp_path / "hub/hub/models--timm--deit_tiny_patch16_224.fb_in1k/snapshots/0"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(NO_TENSORS)
    assert state(asked, hub)[0] == "missing"


def test_done(asked, places, folder):
    finish(folder, asked)
    view = status.view_run(asked, places, PRINT)
    assert view.state == "done"
    assert view.result["metrics"]["top1"] == 51.0


def test_done_stays_done_where_the_data_are_not_at_hand(asked, folder, places):
    finish(folder, asked)
    bare = Places(places.runs, None, None, generated=False)
    assert state(asked, bare, None)[0] == "done"


def test_stale_by_settings_names_the_setting(asked, places, folder):
    finish(folder, asked)
    changed = resolve.resolve(CELL, 0, resolve.load_profile("quick"), {"train.epochs": 3})
    found, reason = state(changed, places)
    assert found == "stale"
    assert "train.epochs: 8 then, 3 now" in reason
    assert status.view_run(changed, places, PRINT).result is None


def test_stale_by_data(asked, places, folder):
    finish(folder, asked)
    assert state(asked, places, "e" * 64) == ("stale", "made from other data than the folder holds now")


def test_an_unfinished_run_of_other_settings_is_stale_once_it_has_a_checkpoint(asked, places, folder):
    folder.config.write_text(json.dumps({"hash": "other", "identity": {}, "data_fingerprint": PRINT}))
    folder.outcome.write_text(json.dumps({"state": "failed", "message": "m"}))
    assert state(asked, places)[0] == "failed"
    folder.checkpoint.write_bytes(b"something worth keeping")
    assert state(asked, places)[0] == "stale"


def test_running_while_its_process_lives(asked, places, folder):
    held = lock.acquire(folder.path)
    folder.heartbeat.write_text(
        json.dumps({"time": time.time(), "epoch": 3, "epochs": 8, "step": 1, "steps": 9})
    )
    found, reason = state(asked, places)
    assert found == "running"
    assert "epoch 3 of 8" in reason
    held.release()
    assert state(asked, places)[0] == "missing"


def test_a_dead_process_is_failed_with_its_last_words(asked, places, folder):
    lock.acquire(folder.path)._descriptor = -1  # left open on purpose, see below
    (folder.path / "claim.1").write_text(
        json.dumps({"machine": "gone", "host": "gone", "pid": 1, "since": 0.0})
    )
    folder.heartbeat.write_text(json.dumps({"time": 0.0, "epoch": 3, "epochs": 8, "step": 0, "steps": 9}))
    import os

    for name in ("claim.1", "heartbeat.json"):
        os.utime(folder.path / name, (1, 1))
    folder.log.write_text("first line\nlast line\n")
    found, reason = state(asked, places)
    assert found == "failed"
    assert "died without a word" in reason
    assert "epoch 3 of 8" in reason
    assert "last line" in reason


@pytest.mark.parametrize(("recorded", "expected"), [("failed", "failed"), ("preempted", "preempted")])
def test_a_recorded_outcome_is_shown(asked, places, folder, recorded, expected):
    folder.config.write_text(json.dumps({"hash": asked.hash, "data_fingerprint": PRINT}))
    folder.outcome.write_text(json.dumps({"state": recorded, "message": "why it ended"}))
    assert state(asked, places) == (expected, "why it ended")


@pytest.mark.parametrize("content", ["", "{", '{"schema": 1}'])
def test_a_damaged_result_is_damaged_not_done(asked, places, folder, content):
    finish(folder, asked)
    folder.result.write_text(content)
    found, reason = state(asked, places)
    assert found == "damaged"
    assert "result.json is damaged" in reason
    assert "the next launch sets it aside and does the run again" in reason


def test_collect_lists_the_whole_grid_in_order(places):
    views = status.collect(profile="paper", runs_dir=places.runs, data_dir=places.data, seeds=(0, 1))
    assert len(views) == 136
    assert views[0].id == "cub/deit_tiny/baseline/seed0"
    assert {view.state for view in views} <= set(status.STATES)
