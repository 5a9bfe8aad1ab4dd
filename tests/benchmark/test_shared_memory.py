"""How many decoding processes /dev/shm has room for, against sizes worked out by hand."""

import logging
from types import SimpleNamespace

import pytest
from launch_requests import requests_of_a_launch

from benchmark.config.grid import select
from benchmark.config.resolve import load_profile, resolve
from benchmark.data import shared_memory
from benchmark.data.shared_memory import batch_bytes, fitting_workers, queued_bytes

MIB = 2**20
PAGES = 5 * 4096


def config(cell, profile="paper", **overrides):
    return resolve(select([cell])[0], 0, load_profile(profile), overrides)


@pytest.fixture
def room(monkeypatch):
    shared_memory._warn.cache_clear()

    def set_to(size):
        monkeypatch.setattr(shared_memory.os, "statvfs", lambda _: SimpleNamespace(f_bavail=size, f_frsize=1))

    return set_to


def test_the_size_of_a_batch():
    one = 448 * 448 * 3
    assert batch_bytes(config("cub/deit_tiny/dcal")) == 16 * one + PAGES
    paired = config("cub/deit_tiny/dcal", **{"model.pwca_pairing": "loader"})
    assert batch_bytes(paired) == 2 * 16 * one + PAGES
    # Erased with probability 1/2: at most a third of the picture, of three float32 numbers a pixel.
    assert batch_bytes(config("veri/deit_tiny/dcal")) == 64 * 256 * 256 * (3 + 2) + PAGES
    # The evaluation's batches are whole, whatever the number of ranks.
    assert batch_bytes(paired, ranks=4) == 16 * one + PAGES


def test_dockers_64_mib_hold_two_processes_of_the_papers_batches(room, caplog):
    caplog.set_level(logging.WARNING, "benchmark")
    batch = batch_bytes(config("cub/deit_tiny/dcal"))
    room(64 * MIB)
    assert fitting_workers(2, batch) == 2
    assert not caplog.records
    assert fitting_workers(8, batch) == 2
    (said,) = [record.getMessage() for record in caplog.records]
    for part in ("64 MiB", "8 decoding processes", "166 MiB", "2 used", "--shm-size=166m", "WORKERS=0"):
        assert part in said
    assert fitting_workers(8, batch) == 2
    assert len(caplog.records) == 1  # said once


def test_runs_at_once_have_equal_parts(room, caplog):
    batch = batch_bytes(config("cub/deit_tiny/dcal"))
    room(64 * MIB)
    assert fitting_workers(8, batch, users=2) == 0
    assert "one of 2 equal parts" in caplog.text
    assert "decoded in the run's own process" in caplog.text
    room(2 * queued_bytes(8, batch))
    assert fitting_workers(8, batch, users=2) == 8


def test_where_there_is_no_such_folder_nothing_is_said(monkeypatch, caplog):
    monkeypatch.setattr(shared_memory, "FOLDER", "/no/such/folder")
    assert fitting_workers(8, 10**12) == 8
    assert not caplog.records


def test_without_processes_no_room_is_needed(room):
    room(0)
    assert fitting_workers(0, MIB) == 0


def test_a_launch_starts_its_runs_with_what_fits_all_of_them(
    room, monkeypatch, tmp_path, mini_pictures, caplog
):
    room(4 * MIB)  # 1 of 2 runs may keep 2 MiB: 10 batches of 16 × 64 × 64 pixels
    place = ["--runs", str(tmp_path), "--data", str(mini_pictures)]
    options = ["--cells", "cub/deit_tiny/*", "--jobs", "2", "--workers", "8"]
    requests = requests_of_a_launch(monkeypatch, *place, *options)
    assert [request.infrastructure.workers for request in requests] == [3, 3]
    assert "--shm-size" in caplog.text
