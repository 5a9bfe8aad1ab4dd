"""A run killed at any moment, as a process of its own, ends with the weights of an undisturbed one, bit for bit."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark.config.grid import select
from benchmark.config.resolve import load_profile, parse_overrides, resolve
from benchmark.records.run_folder import locate_run

ROOT = Path(__file__).resolve().parents[2]
CELL = select(["cub/deit_tiny/dcal"])[0]
SET = "data.class_limit=3 train.epochs=3 evaluate.every=1"


def folder(runs):
    return locate_run(resolve(CELL, 0, load_profile("mini"), parse_overrides(SET)), runs)


def command(runs, mini_pictures):
    return [
        sys.executable, "-m", "benchmark", "run", CELL.id, "--runs", str(runs), "--data", str(mini_pictures),
        "--set", SET, "--threads", "1", "--checkpoint-seconds", "0", "--quiet",
    ]  # fmt: skip


def killed_when(moment, runs, mini_pictures):
    """Start the run and SIGKILL it as soon as moment() holds; fails if it never does."""
    process = subprocess.Popen(command(runs, mini_pictures), cwd=ROOT)
    try:
        while not moment():
            assert process.poll() is None, "the run ended before the moment to kill it"
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, mini_pictures):
    runs = tmp_path_factory.mktemp("undisturbed")
    subprocess.run(command(runs, mini_pictures), cwd=ROOT, check=True)
    return json.loads(folder(runs).result.read_text())


def test_killed_while_it_starts_writes_a_checkpoint_trains_and_ends(tmp_path, mini_pictures, undisturbed):
    files = folder(tmp_path)

    def started():
        return (files.path / "claim.1").exists()

    def first_checkpoint_is_being_written():
        return any(files.path.glob(".checkpoint.pt.*.tmp"))

    def in_the_second_epoch():
        return files.history.exists() and len(files.history.read_text().splitlines()) == 1

    def predictions_are_written():
        return files.predictions.exists()

    moments = (started, first_checkpoint_is_being_written, in_the_second_epoch, predictions_are_written)
    for moment in moments:
        killed_when(moment, tmp_path, mini_pictures)
        assert not files.result.exists()
    subprocess.run(command(tmp_path, mini_pictures), cwd=ROOT, check=True)
    result = json.loads(files.result.read_text())
    assert result["final_weights_sha256"] == undisturbed["final_weights_sha256"]
    assert result["metrics"] == undisturbed["metrics"]
    assert not list(files.path.glob(".*.tmp"))


def test_a_sigterm_saves_and_says_so(tmp_path, mini_pictures, undisturbed):
    files = folder(tmp_path)
    process = subprocess.Popen(command(tmp_path, mini_pictures), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while not files.checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped by SIGTERM" in said
    assert json.loads(files.outcome.read_text())["state"] == "preempted"
    subprocess.run(command(tmp_path, mini_pictures), cwd=ROOT, check=True)
    assert json.loads(files.result.read_text())["final_weights_sha256"] == undisturbed["final_weights_sha256"]
