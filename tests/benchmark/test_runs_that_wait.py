"""Runs whose decoding processes stall, are killed or find little shared memory: nothing hangs, nothing is lost."""

import contextlib
import json
import logging
import multiprocessing
import os
import re
import signal

import pytest

from benchmark.config.grid import select
from benchmark.config.places import MINI_WEIGHTS, Places
from benchmark.data import decoding, shared_memory
from benchmark.errors import RunError
from benchmark.records.heartbeat import RunInterrupt, StopRequest
from benchmark.records.run_folder import RunFolder
from benchmark.training import evaluator, run, trainer
from benchmark.training.request import Infrastructure
from tests.benchmark.quick_runs import QUICK

BASELINE = select(["cub/deit_tiny/baseline"])[0]
ONE_EPOCH = {**QUICK, "train.epochs": 1}  # 4 batches, then 4 of the evaluation


def run_cell(places, *, workers=0, stop=None):
    infrastructure = Infrastructure(quiet=True, workers=workers, checkpoint_seconds=0)
    return run.run_cell(
        BASELINE, 0, "mini", places, overrides=ONE_EPOCH, infrastructure=infrastructure, stop=stop
    )


def outcome(places):
    return json.loads(RunFolder(places.runs / "mini" / BASELINE.id / "seed0").outcome.read_text())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, mini_pictures):
    return run_cell(Places(tmp_path_factory.mktemp("runs"), mini_pictures, MINI_WEIGHTS, generated=True))


@contextlib.contextmanager
def signals_after(count, number, sent):
    """Send every decoding process a signal once the run has so many batches, of training and evaluation together."""
    fetched = []

    def next_batch(batches, peers):
        found = decoding.next_batch(batches, peers)
        fetched.append(found)
        if sum(batch is not None for batch in fetched) == count and found is not None:
            for process in multiprocessing.active_children():
                os.kill(process.pid, number)
                sent.append(process.pid)
        return found

    with pytest.MonkeyPatch.context() as patch:
        for module in (trainer, evaluator):
            patch.setattr(module, "next_batch", next_batch)
        yield


@pytest.mark.parametrize(
    ("batch", "where"),
    [
        (1, r"in epoch 1, step [123], waiting for a batch; saved"),
        (5, "while epoch 1 was being evaluated; saved"),
    ],
)
def test_a_stop_while_a_batch_is_waited_for_saves_and_ends(places, undisturbed, monkeypatch, batch, where):
    monkeypatch.setattr(decoding, "POLL_SECONDS", 0.2)
    monkeypatch.setattr(decoding, "CLOSE_SECONDS", 0.2)
    monkeypatch.setattr(decoding, "WARN_SECONDS", 0.5)
    stop, sent = StopRequest(), []

    class OnceItWaits(logging.Handler):
        def emit(self, record):
            if sent and "no batch for" in record.getMessage():
                stop.reason = "stopped by SIGTERM"

    handler = OnceItWaits()
    logging.getLogger("benchmark").addHandler(handler)
    try:
        with signals_after(batch, signal.SIGSTOP, sent), pytest.raises(RunInterrupt):
            run_cell(places, workers=1, stop=stop)
    finally:
        logging.getLogger("benchmark").removeHandler(handler)
    assert outcome(places)["state"] == "preempted"
    assert re.fullmatch(f"stopped by SIGTERM {where}", outcome(places)["message"])
    assert not multiprocessing.active_children()
    assert run_cell(places)["final_weights_sha256"] == undisturbed["final_weights_sha256"]


def test_a_killed_process_fails_the_run_in_a_line_and_it_goes_on(places, undisturbed):
    with (
        signals_after(2, signal.SIGKILL, []),
        pytest.raises(RunError, match="was killed, probably by the system"),
    ):
        run_cell(places, workers=1)
    assert outcome(places)["state"] == "failed"
    assert "memory ran out" in outcome(places)["message"]
    assert "\n" not in outcome(places)["message"]
    resumed = run_cell(places)
    assert resumed["cost"]["attempts"] == 2
    assert resumed["final_weights_sha256"] == undisturbed["final_weights_sha256"]


def test_a_run_in_a_container_of_little_shared_memory_ends_with_its_result(
    places, undisturbed, monkeypatch, caplog
):
    """/dev/shm of 1 MiB: eight processes would keep 3.7 MiB there, one keeps 0.8."""
    caplog.set_level(logging.WARNING, "benchmark")
    shared_memory._warn.cache_clear()
    monkeypatch.setattr(shared_memory, "free_bytes", lambda: 2**20)
    result = run_cell(places, workers=8)
    (said,) = [text for text in caplog.messages if "/dev/shm" in text]
    for part in (
        "has room for 1 MiB",
        "8 decoding processes would keep up to 4 MiB",
        "1 used",
        "--shm-size=4m",
    ):
        assert part in said
    assert "WORKERS=0" in said
    assert result["final_weights_sha256"] == undisturbed["final_weights_sha256"]
