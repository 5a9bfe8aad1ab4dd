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

from benchmark.config.places import MINI_WEIGHTS, Places
from benchmark.data import locate
from benchmark.errors import RunError
from benchmark.inference import reevaluate
from benchmark.inference.trained import load_trained
from benchmark.records import lock, status
from benchmark.records.run_folder import read_result
from benchmark.training import attempt, checkpoint, leftovers
from dcal import atomic as dcal_atomic

RECORD = {
    "config.json", "provenance.json", "history.jsonl", "checkpoint.pt", "predictions.npz", "result.json", "log.txt",
    "heartbeat.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory, mini_pictures):
    """The same run undisturbed; to be copied."""
    places = Places(tmp_path_factory.mktemp("whole") / "runs", mini_pictures, MINI_WEIGHTS, generated=True)
    run_once(places)
    return places


def assert_whole(places, whole):
    """Done, the undisturbed run's numbers to the last bit, and no more files than they need."""
    assert state(places) == ("done", "")
    found, expected = (read_result(folder(at))[0] for at in (places, whole))
    for name in ("metrics", "final_weights_sha256", "outputs_sha256"):
        assert found[name] == expected[name], name
    assert names(places) == RECORD
    assert "optimizer" not in checkpoint.newest(folder(places), CONFIG.hash)


def assert_evaluates(places, whole):
    """What `make evaluate` does."""
    model = load_trained(folder(places).path)
    dataset = locate.load_dataset("cub", places.data, model.config.settings.data)
    found = reevaluate.evaluate(model, dataset, reevaluate.compute_for(model, reevaluate.EvaluationOptions()))
    assert found.digests == read_result(folder(whole))[0]["outputs_sha256"]


# In their order; each death finds what those before it left.
POINTS = [
    (checkpoint, "_keep_previous", True),  # the slim checkpoint is written and has no name yet
    (attempt, "write_result", False),
    (attempt, "write_result", True),
    (leftovers, "remove", True),
]


def test_killed_at_one_point_after_another(nearly_done, whole, tmp_path):
    """The numbers are the undisturbed run's, evaluated again also while leftovers lie about."""
    places = copied(nearly_done, tmp_path / "runs")
    for module, name, after in POINTS:

        def act(point=(module, name, after)):
            killed(*point[:2], after=point[2])
            run_once(places)

        assert in_a_process(act) == KILLED
        finished = (module, name, after) in POINTS[-2:]
        assert state(places)[0] == ("done" if finished else "failed")
        if (module, name, after) == POINTS[-2]:
            assert {"checkpoint.previous.pt"} < names(places) - RECORD
            assert_evaluates(places, whole)
    assert any(name.startswith("claim.") for name in names(places))
    leftovers.tidy_done([status.view_run(CONFIG, places, None)])  # as a launch does
    assert_whole(places, whole)


def test_the_run_itself_tidies_too(whole, tmp_path):
    places = copied(whole, tmp_path / "runs")
    run = folder(places)
    (run.path / ".result.json.1.abcd.tmp").write_text("{")
    (run.path / "claim.7").write_text("{}")
    run.outcome.write_text('{"state": "failed", "message": "of a process that had lost the run"}')
    run.previous_checkpoint.write_bytes(b"state of training")
    run_once(places)
    assert_whole(places, whole)


def test_what_an_older_version_left_is_made_right(nearly_done, whole, tmp_path):
    """It wrote the result first: its dead have the whole state of training as checkpoint, and no draws beside it."""
    places = copied(whole, tmp_path / "runs")
    run, slim = folder(places), checkpoint.newest(folder(places), CONFIG.hash)
    run.checkpoint.write_bytes(folder(nearly_done).checkpoint.read_bytes())
    (run.path / "claim.7").write_text("{}")
    assert_evaluates(places, whole)
    leftovers.tidy_done([status.view_run(CONFIG, places, None)])
    assert_whole(places, whole)
    (kept,) = checkpoint.newest(run, CONFIG.hash)["selections"]
    assert torch.equal(kept, slim["selections"][0])


def test_what_cannot_be_removed_is_no_failure_of_a_finished_run(whole, tmp_path, monkeypatch, caplog):
    places = copied(whole, tmp_path / "runs")
    kept, unlink = folder(places).previous_checkpoint, Path.unlink
    kept.write_bytes(b"state of training")

    def refused(self, *arguments, **options):
        if self == kept:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(kept))
        unlink(self, *arguments, **options)

    monkeypatch.setattr(Path, "unlink", refused)
    assert run_once(places)["metrics"] == read_result(folder(whole))[0]["metrics"]
    assert "is left beside its result" in caplog.text
    assert names(places) == {*RECORD, "checkpoint.previous.pt"}


def test_what_another_process_works_at_is_not_tidied(whole, tmp_path):
    places = copied(whole, tmp_path / "runs")
    folder(places).previous_checkpoint.write_bytes(b"state of training")
    held = lock.acquire(folder(places).path)
    leftovers.tidy_done([status.view_run(CONFIG, places, None)])
    assert folder(places).previous_checkpoint.exists()
    held.release()


def refuse(monkeypatch, *written):
    """A disk without room for files whose names begin so."""
    real = open

    def opened(path, mode="r", **named):
        if "x" in mode and Path(path).name.removeprefix(".").startswith(written):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, mode, **named)

    monkeypatch.setattr(dcal_atomic, "open", opened, raising=False)


def test_a_full_disk_at_the_end_is_a_failed_run_that_the_same_command_finishes(
    nearly_done, whole, tmp_path, monkeypatch
):
    """Also where there is no room to say so."""
    places = copied(nearly_done, tmp_path / "runs")
    with monkeypatch.context() as full:
        refuse(full, "result", "outcome", "heartbeat")
        with pytest.raises(RunError, match="disk full"):
            run_once(places)
    assert lock.holder(folder(places).path) is None
    found, reason = state(places)
    assert found == "failed"
    assert "disk full" in reason
    run_once(places)
    assert_whole(places, whole)


def test_a_slim_checkpoint_is_told_from_a_full_one_without_torch(tmp_path, nearly_done):
    run = folder(copied(nearly_done, tmp_path / "runs"))
    assert leftovers._holds_training_state(run)
    checkpoint.save_slim(run, torch.load(run.checkpoint, weights_only=True))
    assert not leftovers._holds_training_state(run)
    with zipfile.ZipFile(run.checkpoint, "w"):
        pass
    assert not leftovers._holds_training_state(run)
