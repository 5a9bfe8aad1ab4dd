"""Locks that cannot be removed, counts that cannot be, signals at a bad moment: there is no second holder."""

import contextlib
import errno
import io
import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.commands import pool
from benchmark.commands.live_view import LiveView
from benchmark.config.grid import select
from benchmark.config.resolve import load_profile, resolve
from benchmark.errors import RunError
from benchmark.records import lock, lock_files
from benchmark.records.progress import read_progress
from benchmark.records.run_folder import RunFolder, locate_run
from benchmark.records.status import RunView
from benchmark.training import checkpoint


def dead_lock(folder):
    """A lock of another machine, silent for longer than a day."""
    path = folder / "claim.1"
    path.write_text(json.dumps({"machine": "m", "host": "h", "pid": 1, "since": 0.0, "token": "t"}))
    os.utime(path, (0, 0))
    return path


def test_a_run_whose_dead_lock_cannot_be_removed_is_not_taken(tmp_path, monkeypatch):
    path, unlink = dead_lock(tmp_path), Path.unlink

    def refused(self, *arguments, **options):
        if self == path:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(path))
        return unlink(self, *arguments, **options)

    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(RunError, match="Operation not permitted"):
        lock.acquire(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["claim.1"]


def test_a_number_that_nobody_reaches_is_an_error_and_no_endless_attempt(tmp_path):
    (tmp_path / f"claim.{10**18 - 1}").write_text("{}")
    with pytest.raises(RunError, match="no process of this suite counts so far; remove it"):
        lock.acquire(tmp_path)


def test_a_folder_that_was_removed_is_called_so(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    held = lock.acquire(folder)
    next(folder.iterdir()).unlink()
    folder.rmdir()
    with pytest.raises(lock.LockHeld, match="was removed while this process worked in it"):
        held.verify()
    held.release()


def test_nothing_starts_after_a_signal_that_comes_during_a_look(tmp_path):
    (cell,) = select(["cub/deit_tiny/dcal"])
    config = resolve(cell, 0, load_profile("mini"), {})
    folder = locate_run(config, tmp_path)
    folder.make()
    view = RunView(cell, 0, "running", "", None, folder, config)

    def look(view):
        os.kill(os.getpid(), signal.SIGTERM)
        return replace(view, state="missing")

    command = [sys.executable, "-c", f"open({str(tmp_path / 'started')!r}, 'w')"]
    slots = pool.Slots(1, 1, ())
    summary = pool.launch([view], lambda _: command, slots, look=look, show=LiveView(io.StringIO()))
    assert summary.interrupted
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(
    "refusal",
    [
        OSError(errno.EIO, "Input/output error"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: 8 bytes"),
    ],
    ids=["EIO", "memory"],
)
def test_what_the_system_refuses_is_no_damage_and_costs_no_checkpoint(tmp_path, monkeypatch, refusal):
    folder = RunFolder(tmp_path)
    for epoch in (1, 2):
        checkpoint.save(folder, {"hash": "h", "epoch": epoch})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def refused(*_, **__):
        raise refusal

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint.torch, "load", refused)
        with pytest.raises(RunError, match=r"checkpoint\.pt"):
            checkpoint.resume(folder, "h")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert checkpoint.resume(folder, "h")["epoch"] == 2


def test_a_run_that_has_not_begun_says_nothing_of_clocks(tmp_path, monkeypatch):
    monkeypatch.setattr(lock_files, "_warned", False)
    assert read_progress(RunFolder(tmp_path / "none")) is None
    assert lock_files._warned is False


@pytest.mark.parametrize("verb", ["predict", "export"])
def test_a_model_of_the_grid_that_is_not_trained_is_said_by_every_verb(tmp_path, verb):
    from benchmark.__main__ import main

    own = {
        "predict": ["--model", "cub/deit_tiny", "--image", __file__],
        "export": ["cub/deit_tiny/dcal", "--to", str(tmp_path / "model.safetensors")],
    }
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        assert main([verb, "--runs", str(tmp_path), *own[verb]]) == 2
    assert "no run of this name with seed 0" in errors.getvalue()
    assert "`make table1" in errors.getvalue()
