"""Files are whole or not there, and a refusing disk is explained."""

import errno
import json
import os

import pytest

from benchmark import atomic
from benchmark.errors import RunError


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    atomic.write_json(path, {"old": True})

    def half(stream):
        stream.write(b"half of the new ")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomic.write_file(path, half)
    assert json.loads(path.read_text()) == {"old": True}
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_explained_and_the_old_file_stays(tmp_path):
    path = tmp_path / "file"
    atomic.write_json(path, {"old": True})

    def full(stream):
        stream.write(b"something")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(RunError, match=r"disk full while writing .*file: .* MiB are free there"):
        atomic.write_file(path, full)
    assert json.loads(path.read_text()) == {"old": True}


def test_a_really_full_disk(small_disk):
    path = small_disk / "file"
    atomic.write_file(path, lambda stream: stream.write(b"x" * 300_000))
    with pytest.raises(RunError, match="disk full"):
        atomic.write_file(path, lambda stream: stream.write(b"y" * 2_000_000))
    assert path.read_bytes() == b"x" * 300_000
    assert [file.name for file in small_disk.iterdir()] == ["file"]


def test_a_full_disk_under_torchs_own_writer(small_disk):
    import torch

    path = small_disk / "checkpoint.pt"
    with pytest.raises(RunError, match="disk full"):
        atomic.write_file(path, lambda stream: torch.save({"w": torch.zeros(1_000_000)}, stream))
    assert not list(small_disk.iterdir())


def test_a_folder_that_cannot_be_written_is_explained():
    with pytest.raises(RunError, match="cannot write /proc/"):
        atomic.write_json(atomic.Path("/proc/dcal/file"), {})


def test_not_a_number_never_enters_a_record(tmp_path):
    with pytest.raises(ValueError):
        atomic.write_json(tmp_path / "file", {"top1": float("nan")})
    assert not list(tmp_path.iterdir())


def test_leftovers_of_killed_processes_go_and_what_this_process_writes_stays(tmp_path):
    (tmp_path / f".checkpoint.pt.{os.getpid() + 1}.tmp").write_bytes(b"half")
    (tmp_path / "result.json").write_bytes(b"whole")
    writing = tmp_path / f".heartbeat.json.{os.getpid()}.tmp"

    def write(stream):
        atomic.remove_leftovers(tmp_path)
        assert writing.exists()
        stream.write(b"beat")

    atomic.write_file(tmp_path / "heartbeat.json", write)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["heartbeat.json", "result.json"]
