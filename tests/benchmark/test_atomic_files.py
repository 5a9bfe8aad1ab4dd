"""Files are whole or not there, and a refusing disk is explained."""

import errno
import json
import os
import stat

import pytest

from benchmark import atomic
from benchmark.errors import RunError
from dcal import atomic as dcal_atomic


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
    (tmp_path / f".checkpoint.pt.{os.getpid()}.tmp").write_bytes(b"of a process of another container")
    (tmp_path / "result.json").write_bytes(b"whole")

    def write(stream):
        atomic.remove_leftovers(tmp_path)
        assert len(list(tmp_path.glob(f".heartbeat.json.*.{os.getpid()}.*.tmp"))) == 1
        stream.write(b"beat")

    atomic.write_file(tmp_path / "heartbeat.json", write)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["heartbeat.json", "result.json"]


def refused(number):
    def refuse(_):
        raise OSError(number, os.strerror(number))

    return refuse


def test_a_used_up_quota_is_a_full_disk_and_no_word_of_free_space_beside_it(tmp_path):
    with pytest.raises(RunError, match=r"disk full for this user or group.*quota") as error:
        atomic.write_file(tmp_path / "checkpoint.pt", refused(errno.EDQUOT))
    assert "are free there" not in str(error.value)
    assert "goes on from the last checkpoint" in str(error.value)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EIO, "hardware or connection error"),
        (errno.ESTALE, "removed or mounted anew"),
        (errno.ENAMETOOLONG, "choose a shorter one, also for RUNS"),
        (errno.EMFILE, "ulimit -n"),
    ],
)
def test_other_refusals_say_what_to_do(tmp_path, number, said):
    with pytest.raises(RunError, match=rf"cannot write .*file: {os.strerror(number)}.*{said}") as error:
        atomic.write_file(tmp_path / "file", refused(number))
    assert "are free there" not in str(error.value)


@pytest.mark.parametrize("module", ["benchmark", "dcal"])
def test_after_a_rename_the_folder_is_synced(tmp_path, monkeypatch, module):
    """Looked at by what is synced: the file before the rename, its folder after it."""
    path, synced = tmp_path / "file", []

    def fsync(descriptor):
        synced.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    if module == "benchmark":
        atomic.write_file(path, lambda stream: stream.write(b"new"))
    else:
        dcal_atomic.write_bytes(path, b"new")
    assert synced == [(False, False), (True, True)]


def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path, monkeypatch):
    real = os.open

    def no_folders(path, *arguments, **named):
        if os.path.isdir(path):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return real(path, *arguments, **named)

    monkeypatch.setattr(os, "open", no_folders)
    atomic.write_file(tmp_path / "file", lambda stream: stream.write(b"new"))
    assert (tmp_path / "file").read_bytes() == b"new"
