"""Decoding processes that are killed, stopped or short of shared memory: an error in words, never a wait for ever."""

import logging
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from benchmark.config.grid import select
from benchmark.config.resolve import load_profile, resolve
from benchmark.data import decoding, locate
from benchmark.data.decoding import StopWhileWaiting, loader_session
from benchmark.data.loader import TestLoader, TrainLoader
from benchmark.data.samplers import ShuffledBatches
from benchmark.errors import RunError

BASELINE = select(["cub/deit_tiny/baseline"])[0]


@pytest.fixture(scope="module")
def dataset(mini_pictures):
    return locate.load_fgvc("cub", mini_pictures, 3)


@pytest.fixture(scope="module")
def settings():
    return resolve(BASELINE, 0, load_profile("mini"), {}).settings.data


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(decoding, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(decoding, "CLOSE_SECONDS", 0.3)


def loader(dataset, settings, *, workers=1, stopping=lambda: False, batch=8):
    sampler = ShuffledBatches(len(dataset.train), batch, 0)
    return TrainLoader(dataset, settings, sampler, 0, workers=workers, stopping=stopping)


def processes(loader):
    return [process.pid for process in loader._loader._iterator._workers]


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill_one(batches, killed):
    for _ in batches.epoch(0):
        killed += processes(batches)
        os.kill(killed[0], signal.SIGKILL)
        time.sleep(20)  # torch raises it here, in whatever is being done


def test_a_process_that_is_killed_is_named_with_cause_and_cure(dataset, settings):
    killed = []
    session = loader_session(loader(dataset, settings, workers=2))
    with pytest.raises(RunError) as caught, session as batches:
        kill_one(batches, killed)
    said = str(caught.value)
    assert said.startswith(
        f"a decoding process (pid {killed[0]}) was killed, probably by the system because memory ran out"
    )
    for word in ("WORKERS=1", "WORKERS=0", "JOBS=1", "the same command goes on from the last checkpoint"):
        assert word in said
    assert "\n" not in said
    assert not is_running(killed[1])


@pytest.mark.parametrize(
    ("torchs", "words"),
    [
        ("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible", "--shm-size"),
        (
            "DataLoader worker (pid 7) is killed by signal: Segmentation fault. ",
            "pid 7) was ended by a signal",
        ),
        ("DataLoader worker (pid 7) exited unexpectedly with exit code 3. Details", "ended with status 3"),
        ("DataLoader worker (pid(s) 7, 8) exited unexpectedly", "pid 7, 8) ended without a word"),
        ("Too many open files. Communication with the workers is no longer possible", "ulimit -n"),
        ("received 0 items of ancdata", "ulimit -n"),
    ],
)
def test_every_loss_that_torch_tells_of_names_a_cure(dataset, settings, torchs, words):
    with pytest.raises(RunError, match="WORKERS=0") as caught, loader_session(loader(dataset, settings)):
        raise RuntimeError(torchs)
    assert words in str(caught.value)


def test_an_error_of_the_code_keeps_its_traceback(dataset, settings):
    with pytest.raises(RuntimeError, match="shapes differ"), loader_session(loader(dataset, settings)):
        raise RuntimeError("shapes differ")


def test_a_stop_ends_the_wait_for_a_batch_and_a_suspended_process(dataset, settings):
    stop = []
    with loader_session(loader(dataset, settings, stopping=lambda: stop)) as batches:
        epoch = batches.epoch(0)
        next(epoch)
        (suspended,) = processes(batches)
        os.kill(suspended, signal.SIGSTOP)
        threading.Timer(0.5, stop.append, ["now"]).start()
        with pytest.raises(StopWhileWaiting):
            list(epoch)
        assert stop
    assert not is_running(suspended)


def test_between_two_epochs_a_stop_ends_the_wait_as_well(dataset, settings):
    stop = []
    with loader_session(loader(dataset, settings, stopping=lambda: stop)) as batches:
        list(batches.epoch(0))
        os.kill(processes(batches)[0], signal.SIGSTOP)
        stop.append("now")
        with pytest.raises(StopWhileWaiting):
            next(batches.epoch(1))


def test_a_batch_that_never_comes_is_warned_of_and_then_an_error(dataset, settings, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, "benchmark")
    with loader_session(loader(dataset, settings)) as batches:
        epoch = batches.epoch(0)
        next(epoch)
        os.kill(processes(batches)[0], signal.SIGSTOP)
        monkeypatch.setattr(decoding, "WARN_SECONDS", 0.2)
        monkeypatch.setattr(decoding, "WAIT_SECONDS", 1.0)
        with pytest.raises(
            RunError, match=r"no batch arrived within .*the decoding process lives.*WORKERS=0"
        ) as caught:
            list(epoch)
    assert str(dataset.root) in str(caught.value)
    assert sum("no batch for" in record.getMessage() for record in caplog.records) == 1


def test_a_batch_that_finds_no_room_is_an_error_of_the_batch(dataset, settings, monkeypatch):
    """The process that decodes is forked: it sees what is changed here."""

    def full(tensor):
        raise RuntimeError(
            "unable to allocate shared memory(shm) for file </torch_1>: No space left on device (28)"
        )

    monkeypatch.setattr(decoding.Tensor, "share_memory_", full)
    with loader_session(TestLoader(dataset, settings, 8, workers=1)) as batches:
        with pytest.raises(RunError, match=r"/dev/shm.* is full.*--shm-size.*WORKERS=0"):
            list(batches)


def test_a_death_that_was_passed_over_is_told_when_the_next_batch_is_wanted(dataset, settings):
    """torch raises it once, and an error within a logging handler, say, goes no further."""
    with loader_session(loader(dataset, settings)) as batches:
        epoch = batches.epoch(0)
        next(epoch)
        decoding._utils.signal_handling._remove_worker_pids(id(batches._loader._iterator))
        batches._loader._iterator._worker_pids_set = False
        processes_before = processes(batches)
        os.kill(processes_before[0], signal.SIGKILL)
        # Which of the two errors comes depends on what the process had sent; loader_session words them alike.
        with pytest.raises((RuntimeError, RunError), match="killed") as caught:
            list(epoch)
    assert str(processes_before[0]) in str(caught.value)
