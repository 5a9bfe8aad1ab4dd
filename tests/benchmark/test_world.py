"""Shares of a batch, worlds that can be, how ranks meet and part: without training anything."""

import json
import os
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rank_processes import ALONE

from benchmark.config.compute_setup import Shares, World, require_divisible
from benchmark.config.grid import select
from benchmark.config.resolve import load_profile, resolve
from benchmark.errors import RunError, SettingsError
from benchmark.records.heartbeat import StopRequest
from benchmark.records.run_folder import RunFolder
from benchmark.training import device, rendezvous
from benchmark.training.rendezvous import Meeting
from benchmark.training.run import recorded

BASELINE, DCAL, MARKET = "cub/deit_tiny/baseline", "cub/deit_tiny/dcal", "market/deit_tiny/baseline"


@given(rows=st.integers(1, 80), count=st.integers(1, 9), least=st.integers(1, 3))
def test_shares_are_the_batch_in_order_and_as_even_as_possible(rows, count, least):
    batch = list(range(rows))
    shares = [Shares(rank, count, least) for rank in range(count)]
    counts = shares[0].counts(rows)
    assert len({share.counts(rows) for share in shares}) == 1
    assert sum(counts) == rows
    serving = [number for number in counts if number]
    assert counts == (*sorted(serving, reverse=True), *[0] * (count - len(serving)))
    assert max(serving) - min(serving) <= 1
    assert min(serving) >= min(least, rows)
    assert len(serving) == count or (len(serving) + 1) * least > rows
    taken = [share.take(batch) for share in shares]
    assert [row for part, number in zip(taken, counts, strict=True) for row in part[:number]] == batch
    for part, number in zip(taken, counts, strict=True):
        assert len(part) == number or (number == 0 and part == batch[:least])


@pytest.mark.parametrize(
    ("cell", "overrides", "allowed"),
    [
        (BASELINE, {}, (1, 2, 4, 8, 16)),
        (BASELINE, {"train.batch_size": 12}, (1, 2, 3, 4, 6, 12)),
        (DCAL, {}, (1, 2, 4, 8)),
        (DCAL, {"model.pwca_pairing": "loader"}, (1, 2, 4, 8, 16)),
        (MARKET, {"train.batch_size": 24}, (1, 2, 3, 6)),
        ("market/deit_tiny/dcal", {"train.batch_size": 24}, (1, 2, 3)),
        ("market/deit_tiny/dcal", {"train.batch_size": 24, "model.pwca_pairing": "loader"}, (1, 2, 3, 6)),
    ],
)
def test_a_number_of_ranks_that_cannot_share_a_batch_is_refused_and_the_others_are_named(
    cell, overrides, allowed
):
    config = resolve(select([cell])[0], 0, load_profile("mini"), overrides)
    for count in range(18):
        if count in allowed:
            require_divisible(config, count)
            continue
        with pytest.raises(SettingsError) as refused:
            require_divisible(config, count)
        *first, last = map(str, allowed)
        assert f"Use {', '.join(first)} or {last} of them" in str(refused.value)
        assert f"{cell} by {count} processes" in str(refused.value)


@pytest.mark.parametrize(
    "numbers",
    [
        {"rank": 2, "size": 2, "attempt": "x"},
        {"rank": 1, "size": 2, "local_rank": 1, "local_size": 1, "attempt": "x"},
        {"size": 2, "local_size": 4, "attempt": "x"},
        {"size": 2},
        {"size": 2, "attempt": "a/b"},
    ],
)
def test_a_world_that_cannot_be_is_refused(numbers):
    with pytest.raises(ValueError, match="rank"):
        World(**numbers)


def test_waiting_for_the_others_has_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(rendezvous, "WAIT_SECONDS", 0.3)
    monkeypatch.setattr(rendezvous, "PARTING_SECONDS", 0.1)

    def come(rank):
        with Meeting(RunFolder(tmp_path), World(rank, 2, rank, 2, "x"), StopRequest()) as meeting:
            meeting.connect()
            with meeting.group(torch.device("cpu")):
                raise AssertionError("nobody else is there")

    with pytest.raises(RunError, match="rank 0 of 2 did not announce itself"):
        come(1)
    with pytest.raises(RunError, match="0 of 1 other ranks were ready"):
        come(0)
    with pytest.raises(rendezvous.Over, match="0 of 1 other ranks were ready"):
        come(1)


def test_a_rank_that_was_killed_is_said_to_be(tmp_path):
    def broken(rank):
        meeting = Meeting(RunFolder(tmp_path), World(rank, 2, rank, 2, "x"), StopRequest())
        with pytest.raises(RuntimeError), recorded(RunFolder(tmp_path), "", meeting):
            raise RuntimeError("[pair.cc:545] Read error [127.0.0.1]:4: Connection reset by peer")

    outcome = RunFolder(tmp_path).outcome
    broken(1)
    assert not outcome.exists()  # rank 0 ended this attempt: the folder is no longer a matter of rank 1's
    (tmp_path / ".rendezvous.x").write_text("{}")
    broken(1)
    assert json.loads(outcome.read_text())["message"].startswith("rank 1: another rank ended without a word")
    broken(0)
    broken(1)  # there is a reason already
    assert json.loads(outcome.read_text())["message"].startswith("another rank ended without a word")


def test_announcements_of_killed_attempts_do_not_stay(tmp_path, monkeypatch):
    old, new = tmp_path / ".rendezvous.old", tmp_path / ".rendezvous.new"
    for file in (old, new):
        file.write_text("{}")
    long_ago = time.time() - rendezvous.WAIT_SECONDS - 1
    os.utime(old, (long_ago, long_ago))
    with Meeting(RunFolder(tmp_path), World(0, 2, 0, 2, "now"), StopRequest()) as meeting:
        monkeypatch.setattr(rendezvous, "PARTING_SECONDS", 0.0)
        meeting.connect()
    assert {file.name for file in tmp_path.glob(".rendezvous.*")} == {".rendezvous.new", ".rendezvous.now"}


def test_each_rank_of_a_machine_has_a_gpu_of_its_own():
    world = World(5, 8, 1, 4, "x")
    assert device.gpu_index(world, 4) == device.gpu_index(world, 8) == 1
    assert device.gpu_index(world, 1) == 0  # the launcher shows each rank its own
    assert device.gpu_index(ALONE, 8) == 0
    with pytest.raises(RunError, match="rank 5 is one of 4 on its machine and sees 2 GPUs"):
        device.gpu_index(world, 2)
