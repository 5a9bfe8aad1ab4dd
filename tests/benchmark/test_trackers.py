"""A run's trackers without the run: what goes on and what is withdrawn between attempts, and every way to fail."""

import io
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tracker_files import (
    StandIn,
    entry,
    rows_of,
    run_folder,
    scalars_of,
    tensorboard_scalars,
    unset_wandb,
    wandb_records,
    without_own,
)

from benchmark.atomic import write_json
from benchmark.training.trackers import Trackers, threads

ROOT = Path(__file__).resolve().parents[2]


def attempt(folder, names, history, *, since=0, result=None):
    """An attempt that goes on from so many epochs and makes the rest."""
    with Trackers(folder, names) as trackers:
        trackers.start(history[:since])
        for epoch in range(since, len(history)):
            trackers.show(history[: epoch + 1])
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
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1
    run, _, summary, rows = wandb_records(folder)
    assert run == before
    assert without_own(rows) == rows_of(second)
    assert summary["result/top1"] == 50.0
    assert not warned()


def test_epochs_from_before_it_was_asked_for_are_shown_too(tmp_path):
    folder, history = run_folder(tmp_path), [entry(epoch, 0.5) for epoch in (1, 2, 3)]
    attempt(folder, (), history[:2])
    assert not (tmp_path / "tensorboard").exists()
    assert not (tmp_path / "wandb").exists()
    attempt(folder, ("tensorboard",), history, since=2)
    assert tensorboard_scalars(folder) == scalars_of(history)


def test_an_event_file_torn_by_a_machine_that_died_is_made_up_for(tmp_path, warned):
    folder, history = run_folder(tmp_path), [entry(epoch, 0.5) for epoch in (1, 2, 3)]
    attempt(folder, ("tensorboard",), history[:2])
    (torn,) = (tmp_path / "tensorboard").iterdir()
    os.truncate(torn, torn.stat().st_size - 5)
    assert len(tensorboard_scalars(folder)["seconds"]) == 1
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
    wandb.forget()
    monkeypatch.delenv("WANDB_ERROR_REPORTING")
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


def test_one_that_breaks_is_said_at_once_and_shown_nothing_more(tmp_path, monkeypatch, warned):
    folder, history = run_folder(tmp_path / "run"), [entry(epoch, 0.5) for epoch in (1, 2, 3)]
    wandb = StandIn(tmp_path, monkeypatch, breaks_in="log")
    with Trackers(folder, ("wandb",)) as trackers:
        trackers.start(history[:1])
        wait_for(warned)
        trackers.show(history)
    assert len(warned()) == 1
    assert wandb.came_to[2:] == ["log 1"]


def test_one_that_hangs_is_never_waited_for_in_the_run_and_left_behind_after_it(
    tmp_path, monkeypatch, warned
):
    monkeypatch.setattr(threads, "CLOSE_SECONDS", 0.2)
    folder, history = run_folder(tmp_path / "run"), []
    wandb = StandIn(tmp_path, monkeypatch, hangs_in="init")
    with Trackers(folder, ("wandb", "tensorboard")) as trackers:
        trackers.start([])
        wait_for(lambda: len(wandb.came_to) == 2)
        for epoch in range(1, 4):
            history.append(entry(epoch, 0.5))
            trackers.show(history)
        assert not warned()
        wait_for(lambda: tensorboard_scalars(folder) == scalars_of(history))
    (said,) = warned()
    assert "tracker wandb" in said
    assert "it did not end within 0.2 s of the run" in said
    assert [thread.daemon for thread in threading.enumerate() if thread.name == "wandb"] == [True]


def test_a_run_that_fails_has_no_result_whatever_lies_in_the_folder(tmp_path, monkeypatch):
    """Another process may have taken it over."""
    folder, wandb = run_folder(tmp_path / "run"), StandIn(tmp_path, monkeypatch)
    write_json(folder.result, {"metrics": {"top1": 50.0}})

    def fail():
        with Trackers(folder, ("wandb",)) as trackers:
            trackers.start([entry(1, 0.5)])
            raise RuntimeError("taken over")

    with pytest.raises(RuntimeError, match="taken over"):
        fail()
    assert wandb.came_to[2:] == ["log 1", "finish"]


def test_a_process_ends_though_wandbs_server_never_answers(tmp_path, monkeypatch):
    """With the real W&B, online: the server takes connections and says nothing."""
    folder = run_folder(tmp_path / "run")
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    script = (
        "import logging, pathlib, sys\n"
        "from benchmark.records.run_folder import RunFolder\n"
        "from benchmark.training.trackers import Trackers, threads\n"
        "logging.basicConfig()\n"
        "threads.CLOSE_SECONDS = 1.0\n"
        "with Trackers(RunFolder(pathlib.Path(sys.argv[1])), ['wandb']) as trackers:\n"
        "    trackers.start([{'epoch': 1, 'lr': 0.5}])\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        done = subprocess.run(
            [sys.executable, "-c", script, str(folder.path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("tracker wandb is switched off") == 1, done.stderr
    assert "it did not end within 1 s of the run" in done.stderr


class Terminal(io.StringIO):
    """A terminal at which nobody answers."""

    def isatty(self):
        return True

    def readline(self, *_):
        raise AssertionError("W&B asks")


def test_wandb_never_asks_for_a_key(tmp_path, monkeypatch, warned):
    """The real one, online, at a terminal."""
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name in ("stdin", "stderr"):
        monkeypatch.setattr(sys, name, Terminal())
    attempt(run_folder(tmp_path / "run"), ("wandb",), [entry(1, 0.5)])
    (said,) = warned()
    assert "No API key configured" in said


def test_one_that_cannot_write_is_off_and_the_other_goes_on(tmp_path, monkeypatch, warned):
    folder, history = run_folder(tmp_path / "run"), [entry(1, 0.5), entry(2, 0.25)]
    (tmp_path / "run" / "tensorboard").write_text("a file where its folder should be")
    wandb = StandIn(tmp_path, monkeypatch)
    attempt(folder, ("tensorboard", "wandb"), history)
    (said,) = warned()
    assert "tracker tensorboard" in said
    assert "tensorboard" in said.partition("without it: ")[2]
    assert wandb.came_to[2:] == ["log 1", "log 2", "finish"]
