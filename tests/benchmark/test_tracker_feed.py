"""A run's trackers without the run: what goes on and what is withdrawn between attempts, and every way to fail."""

import logging
import os
import signal
import subprocess
import sys
import time

import pytest
from tracker_files import (
    StandIn,
    entry,
    history_of,
    rows_of,
    run_folder,
    scalars_of,
    tensorboard_scalars,
    unset_wandb,
    wandb_records,
    without_own,
)

from benchmark.atomic import write_json
from benchmark.logs import write_history
from benchmark.trackers import Feed, feed


def attempt(folder, names, history, *, since=0, result=None):
    """An attempt that goes on from so many epochs and makes the rest."""
    with Feed(folder, names) as trackers:
        trackers.start(history[:since])
        for epoch in range(since, len(history)):
            write_history(folder, history[: epoch + 1])
            trackers.tell()
        if result:
            write_json(folder.result, {"metrics": result})


def wait_for(holds):
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def unset(monkeypatch, tmp_path):
    unset_wandb(monkeypatch, tmp_path)


@pytest.fixture
def warned(caplog):
    caplog.set_level(logging.WARNING, "benchmark")
    return lambda: [record.message for record in caplog.records if record.name == "benchmark"]


def test_epochs_done_again_replace_the_first_and_none_is_twice_or_lost(tmp_path, warned):
    """Killed in epoch 4 with a checkpoint of epoch 2, which knows less than what was shown."""
    folder, names = run_folder(tmp_path), ("tensorboard", "wandb")
    attempt(folder, names, [entry(epoch, 1.0) for epoch in (1, 2, 3)])
    before = wandb_records(folder)[0]
    second = [entry(epoch, 1.0 if epoch < 3 else 7.0) for epoch in (1, 2, 3, 4)]
    attempt(folder, names, second, since=2, result={"top1": 50.0})
    assert tensorboard_scalars(folder) == scalars_of(second) | {"result/top1": [(4, 50.0)]}
    run, _, summary, rows = wandb_records(folder)
    assert run == before
    assert without_own(rows) == rows_of(second)
    assert summary["result/top1"] == 50.0
    assert not warned()


@pytest.mark.parametrize(("names", "left"), [(("wandb",), 2), ((), 3)], ids=["tracked", "untracked"])
def test_what_a_killed_attempt_wrote_beyond_its_checkpoint_is_no_history_for_a_tracker(
    tmp_path, monkeypatch, names, left
):
    folder, history = run_folder(tmp_path / "run"), [entry(epoch, 0.5) for epoch in (1, 2, 3)]
    StandIn(tmp_path, monkeypatch)
    write_history(folder, history)
    with Feed(folder, names) as trackers:
        trackers.start(history[:2])
        assert history_of(folder) == history[:left]


def test_epochs_from_before_it_was_asked_for_are_shown_too(tmp_path):
    folder, history = run_folder(tmp_path), [entry(epoch, 0.5) for epoch in (1, 2, 3)]
    attempt(folder, (), history[:2])
    assert not (tmp_path / "tensorboard").exists()
    attempt(folder, ("tensorboard",), history, since=2)
    assert tensorboard_scalars(folder) == scalars_of(history)


def test_an_event_file_torn_by_a_machine_that_died_is_made_up_for(tmp_path, warned):
    folder, history = run_folder(tmp_path), [entry(epoch, 0.5) for epoch in (1, 2, 3)]
    attempt(folder, ("tensorboard",), history[:2])
    (torn,) = (tmp_path / "tensorboard").iterdir()
    os.truncate(torn, torn.stat().st_size - 5)
    assert len(tensorboard_scalars(folder)["lr"]) == 1
    attempt(folder, ("tensorboard",), history, since=2)
    assert tensorboard_scalars(folder) == scalars_of(history)
    assert not warned()


def test_both_are_told_what_the_run_is(tmp_path):
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.plugins.hparams.metadata import parse_session_start_info_plugin_data

    folder = run_folder(tmp_path)
    attempt(folder, ("tensorboard", "wandb"), [])
    _, config, _, _ = wandb_records(folder)
    assert config["train"] == {"lr": 0.5}
    assert config["data"] == {"crop": "64,48"}
    assert (config["coverage"], config["commit"]) == ("few", "c0ffee")
    (events,) = (tmp_path / "tensorboard").iterdir()
    values = [value for event in EventFileLoader(str(events)).Load() for value in event.summary.value]
    started = parse_session_start_info_plugin_data(values[0].metadata.plugin_data.content)
    assert started.hparams["train.lr"].number_value == 0.5
    assert started.hparams["run"].string_value == "cub/deit_tiny/dcal/seed0"


def test_wandb_is_offline_and_reports_no_errors_unless_it_is_asked_to_send(tmp_path, monkeypatch):
    folder, wandb = run_folder(tmp_path / "run"), StandIn(tmp_path, monkeypatch)
    attempt(folder, ("wandb",), [])
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_PROJECT", "birds")
    attempt(folder, ("wandb",), [])
    assert wandb.came_to == [
        "import false", "init offline dcal allow", "finish", "import None", "init online birds allow", "finish",
    ]  # fmt: skip


def test_what_the_server_has_is_not_sent_again(tmp_path, monkeypatch):
    folder, wandb = run_folder(tmp_path / "run"), StandIn(tmp_path, monkeypatch, starts_at=3)
    attempt(folder, ("wandb",), [entry(epoch, 0.5) for epoch in (1, 2, 3, 4)], since=1)
    assert [place for place in wandb.came_to if place.startswith("log")] == ["log 3", "log 4"]


# ---- failing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["import", "init", "log", "summary", "finish"])
def test_wherever_one_breaks_it_is_one_warning_with_the_reason(tmp_path, monkeypatch, warned, place):
    folder = run_folder(tmp_path / "run")
    StandIn(tmp_path, monkeypatch, breaks_in=place)
    attempt(folder, ("wandb",), [entry(1, 0.5), entry(2, 0.5)], result={"top1": 50.0})
    (said,) = warned()
    assert said.startswith("tracker wandb is switched off, and the run goes on without it: ")
    assert said.endswith(f"RuntimeError: broken in {place}")


def test_one_that_ends_during_the_run_is_said_at_the_next_epoch_once_and_told_no_more(
    tmp_path, monkeypatch, warned
):
    folder = run_folder(tmp_path / "run")
    StandIn(tmp_path, monkeypatch, breaks_in="init")
    with Feed(folder, ("wandb",)) as trackers:
        trackers.start([])
        wait_for(lambda: trackers.tell() or warned())
        trackers.tell()
    assert len(warned()) == 1


def test_one_that_hangs_is_never_waited_for_in_the_run_and_ended_after_it(tmp_path, monkeypatch, warned):
    """Told more often than a pipe holds words."""
    monkeypatch.setattr(feed, "CLOSE_SECONDS", 0.2)
    folder = run_folder(tmp_path / "run")
    wandb = StandIn(tmp_path, monkeypatch, hangs_in="init")
    with Feed(folder, ("wandb",)) as trackers:
        trackers.start([])
        wait_for(lambda: len(wandb.came_to) == 2)
        for _ in range(70_000):
            trackers.tell()
        assert not warned()
    (said,) = warned()
    assert "it did not end within" in said
    with pytest.raises(ProcessLookupError):
        os.kill(wandb.process, 0)


def test_one_that_cannot_write_is_off_and_the_other_goes_on(tmp_path, monkeypatch, warned):
    folder, history = run_folder(tmp_path / "run"), [entry(1, 0.5), entry(2, 0.25)]
    (tmp_path / "run" / "tensorboard").write_text("a file where its folder should be")
    wandb = StandIn(tmp_path, monkeypatch)
    attempt(folder, ("tensorboard", "wandb"), history)
    (said,) = warned()
    assert "tracker tensorboard" in said
    assert "FileExistsError" in said
    assert wandb.came_to[2:] == ["log 1", "log 2", "finish"]


def test_a_process_that_cannot_be_started_is_a_warning(tmp_path, monkeypatch, warned):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no python"))
    attempt(run_folder(tmp_path), ("tensorboard",), [entry(1, 0.5)])
    (said,) = warned()
    assert "tracker tensorboard" in said
    assert "No such file" in said


def test_a_run_that_is_killed_takes_its_trackers_with_it(tmp_path, monkeypatch):
    """They keep what they were told, and read nothing more: the next attempt may be at work by then."""
    folder = run_folder(tmp_path / "run")
    wandb = StandIn(tmp_path, monkeypatch)
    write_json(folder.result, {"metrics": {"top1": 50.0}})
    script = (
        "import os, pathlib, signal, sys\n"
        "from benchmark.records import RunFolder\n"
        "from benchmark.trackers import Feed\n"
        f"folder = RunFolder(pathlib.Path({str(folder.path)!r}))\n"
        "Feed(folder, ['wandb']).start([{'epoch': 1, 'lr': 0.5}])\n"
        "sys.stdin.read()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as killed:
        wait_for(lambda: "log 1" in wandb.came_to)
    assert killed.returncode == -signal.SIGKILL
    wait_for(lambda: "finish" in wandb.came_to)
    assert "summary" not in wandb.came_to
