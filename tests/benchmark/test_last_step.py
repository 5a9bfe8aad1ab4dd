"""A run that dies, or finds no room, while it writes its last files is finished by the same command."""

import errno
import os
import zipfile
from pathlib import Path

import pytest
import torch
from small_runs import (
    CONFIG,
    KILLED,
    copied,
    folder,
    in_a_process,
    killed,
    names,
    run_once,
    state,
)

from benchmark import atomic, checkpoint, claim, leftovers, status, work
from benchmark.data import sources
from benchmark.errors import RunError
from benchmark.finished import again
from benchmark.places import MINI_WEIGHTS, Places
from benchmark.records import read_result
from benchmark.trained import load_trained

RECORD = {
    "config.json", "provenance.json", "history.jsonl", "checkpoint.pt", "predictions.npz", "result.json", "log.txt",
    "heartbeat.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory, mini_pictures):
    """Killed when all that was left was to write the final numbers."""
    places = Places(tmp_path_factory.mktemp("trained") / "runs", mini_pictures, MINI_WEIGHTS, generated=True)

    def act():
        killed(work, "make_result", after=False)
        run_once(places)

    assert in_a_process(act) == KILLED
    assert state(places)[0] == "failed"
    return places


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, mini_pictures):
    places = Places(tmp_path_factory.mktemp("whole") / "runs", mini_pictures, MINI_WEIGHTS, generated=True)
    return run_once(places)


def assert_whole(places, undisturbed):
    """Done, the undisturbed run's numbers to the last bit, and no more files than they need."""
    assert state(places) == ("done", "")
    result, damage = read_result(folder(places))
    assert not damage
    for name in ("metrics", "final_weights_sha256", "outputs_sha256"):
        assert result[name] == undisturbed[name], name
    assert names(places) == RECORD
    assert "optimizer" not in checkpoint.newest(folder(places), CONFIG.hash)


def assert_evaluates(places, undisturbed):
    """What `make evaluate` does."""
    model = load_trained(folder(places).path)
    dataset = sources.load_for("cub", places.data, model.config.settings.data)
    found = again.evaluate(model, dataset, again.compute_for(model, again.Machine()))
    assert found.digests == undisturbed["outputs_sha256"]


POINTS = {
    "the slim checkpoint is to be written": (checkpoint, "save_slim", False),
    "it is written and has no name yet": (checkpoint, "_keep_previous", False),
    "the last state of training has its second name": (checkpoint, "_keep_previous", True),
    "the result is to be written": (work, "write_result", False),
    "the result is written": (work, "write_result", True),
    "the last state of training is removed": (leftovers, "remove", True),
}


@pytest.mark.parametrize("point", POINTS)
def test_killed_when(trained, undisturbed, tmp_path, point):
    places = copied(trained, tmp_path / "runs")

    def act():
        killed(*POINTS[point][:2], after=POINTS[point][2])
        run_once(places)

    assert in_a_process(act) == KILLED
    if state(places)[0] == "done":
        assert_evaluates(places, undisturbed)
        leftovers.tidy_done([status.view(CONFIG, places, None)])  # as a launch does
    else:
        assert state(places)[0] == "failed"
        run_once(places)
    assert_whole(places, undisturbed)
    assert_evaluates(places, undisturbed)


def test_a_run_by_hand_tidies_too(trained, undisturbed, tmp_path):
    places = copied(trained, tmp_path / "runs")

    def act():
        killed(work, "write_result", after=True)
        run_once(places)

    assert in_a_process(act) == KILLED
    assert "checkpoint.previous.pt" in names(places)
    assert run_once(places)["metrics"] == undisturbed["metrics"]
    assert_whole(places, undisturbed)


def test_what_an_older_version_left_is_made_right(trained, undisturbed, tmp_path):
    """It wrote the result first: its dead have the whole state of training as checkpoint, and no draws beside it."""
    places = copied(trained, tmp_path / "runs")
    run = folder(places)
    full = run.checkpoint.read_bytes()
    run_once(places)
    run.checkpoint.write_bytes(full)
    (run.path / "claim.7").write_text("{}")
    assert_evaluates(places, undisturbed)
    leftovers.tidy_done([status.view(CONFIG, places, None)])
    assert_whole(places, undisturbed)
    assert_evaluates(places, undisturbed)


def refuse(monkeypatch, *written):
    """A disk without room for files whose names begin so."""
    real = open

    def opened(path, mode="r", **named):
        if "w" in mode and Path(path).name.removeprefix(".").startswith(written):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, mode, **named)

    monkeypatch.setattr(atomic, "open", opened, raising=False)


@pytest.mark.parametrize(
    "written",
    [
        ("predictions",),
        ("checkpoint",),
        ("result",),
        ("result", "outcome"),
        ("checkpoint", "outcome", "heartbeat"),
    ],
    ids=" ".join,
)
def test_a_full_disk_at_the_end_is_a_failed_run_that_the_same_command_finishes(
    trained, undisturbed, tmp_path, monkeypatch, written
):
    places = copied(trained, tmp_path / "runs")
    with monkeypatch.context() as full:
        refuse(full, *written)
        with pytest.raises(RunError, match="disk full"):
            run_once(places)
        assert claim.holder(folder(places).path) is None
        found, reason = state(places)
        assert found == "failed"
        assert "disk full" in reason
    run_once(places)
    assert_whole(places, undisturbed)


def test_a_slim_checkpoint_is_told_from_a_full_one_without_torch(tmp_path, trained):
    run = folder(copied(trained, tmp_path / "runs"))
    assert leftovers._holds_training_state(run)
    checkpoint.save_slim(run, torch.load(run.checkpoint, weights_only=True))
    assert not leftovers._holds_training_state(run)
    with zipfile.ZipFile(run.checkpoint, "w"):
        pass
    assert not leftovers._holds_training_state(run)
