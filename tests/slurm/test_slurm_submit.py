"""submit and retry, with fake SLURM commands that record how they are called."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

from submitted_runs import SITE, folder, waiting

from benchmark.config import resolve
from benchmark.config.grid import select
from benchmark.records import lock, provenance

ROOT = Path(__file__).resolve().parents[2]


def test_submit_sends_one_array_and_says_its_jobs(launch, slurm_says, tmp_path):
    status, out, _ = launch("submit")
    assert status == 0
    assert slurm_says.count("sbatch") == 1
    assert "submitted: job 101_0 to 101_1, 2 runs, class default, 60 minutes (cluster file)" in out
    assert "2 runs submitted" in out
    stored = json.loads(folder(tmp_path).submission.read_text())
    assert stored["job"] == "101_1"
    assert stored["code"] == provenance.code_state()
    assert "--array=0-1%2" in slurm_says.script(101)


def test_what_was_rehearsed_is_what_was_sent(launch, slurm_says, tmp_path):
    _, rehearsed, _ = launch("submit", "--dry")
    assert slurm_says.count("sbatch") == 0
    assert not (tmp_path / "runs").exists()
    assert "2 runs would be submitted" in rehearsed
    assert "#   1: cub/deit_tiny/dcal/seed0" in rehearsed
    launch("submit")
    name = json.loads(folder(tmp_path).submission.read_text())["name"]
    token = name.rpartition("-")[2]
    assert slurm_says.script(101) in rehearsed.replace("0" * 8, token)


def test_a_second_launch_sends_nothing_that_waits_or_runs(launch, slurm_says, tmp_path):
    launch("submit")
    for state in ("PENDING", "RUNNING", "COMPLETING", "REQUEUED", "SPARKLING"):
        waiting(slurm_says, tmp_path, state)
        status, out, _ = launch("submit")
        assert status == 0
        assert "0 runs submitted; left alone: 2 " in out
    assert slurm_says.count("sbatch") == 1


def test_a_living_process_is_not_sent_again(launch, slurm_says, tmp_path):
    folder(tmp_path).make()
    held = lock.acquire(folder(tmp_path).path)
    _, out, _ = launch("submit")
    held.release()
    assert "1 runs submitted; left alone: 1 running" in out


def test_failed_runs_wait_for_retry(launch, slurm_says, tmp_path):
    launch("submit")
    waits = json.loads(folder(tmp_path, "cub/deit_tiny/baseline").submission.read_text())["name"]
    slurm_says.says("squeue", f"101_0|{waits}|PENDING||Priority\n101_1|{waits}|OUT_OF_MEMORY|n1|None\n")
    status, out, err = launch("submit")
    assert status == 1
    assert err.splitlines()[-1].startswith(
        "error: 1 of the 2 runs asked for will have no number: 1 failed; first cub/"
    )
    assert "0 runs submitted; left alone: 1 queued, 1 failed" in out
    assert "raise memory in the cluster file" in out
    assert "make retry" in out
    _, out, _ = launch("retry")
    assert "submitted: job 102, 1 runs" in out
    assert "1 runs submitted; left alone: 1 queued" in out
    assert json.loads(folder(tmp_path).submission.read_text())["job"] == "102"
    assert "--array" not in slurm_says.script(102)


def test_nothing_is_sent_while_slurm_does_not_answer(launch, slurm_says, tmp_path):
    launch("submit")
    slurm_says.says("squeue", "", error="Unable to contact slurm controller", status=1)
    for verb in ("submit", "retry", "cancel"):
        status, _, err = launch(verb)
        assert status == 2
        assert "Unable to contact" in err
    status, out, _ = launch("status")
    assert status == 0
    assert "WARNING: SLURM does not answer" in out
    assert "2 unknown" in out
    assert (slurm_says.count("sbatch"), slurm_says.count("scancel")) == (1, 0)


def test_a_refusal_is_told_in_sbatchs_words_and_leaves_nothing_behind(launch, slurm_says, tmp_path):
    slurm_says.says("sbatch", "", error="sbatch: error: Invalid account specified", status=1)
    status, _, err = launch("submit")
    assert status == 2
    assert "Invalid account specified" in err
    assert not folder(tmp_path).submission.exists()
    slurm_says.says("sbatch", "Submitted batch job 300")
    assert "2 runs submitted" in launch("submit")[1]
    assert not list((tmp_path / "runs/mini/slurm").glob("*.handover.json"))


def test_real_weights_must_lie_at_hand_before_submission(launch, slurm_says, tmp_path, monkeypatch, site):
    site.write_text(SITE.replace("gpus = 0", "gpus = 1"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    status, out, err = launch("submit", profile="paper")
    assert status == 1
    assert err.splitlines()[-1].startswith(
        "error: 2 of the 2 runs asked for will have no number: 2 no-weights; first cub/"
    )
    assert "0 runs submitted; left alone: 2 no-weights" in out
    assert "deit_tiny_patch16_224.fb_in1k is not in the hub's cache" in out
    weights = tmp_path / "weights"
    weights.mkdir()
    _, out, _ = launch("submit", profile="paper", weights=str(weights))
    assert f"no deit_tiny_patch16_224.fb_in1k in {weights}" in out
    assert slurm_says.count("sbatch") == 0
    file, header = weights / "deit_tiny_patch16_224.fb_in1k.safetensors", b'{"t":{"data_offsets":[0,8]}}'
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(7))
    _, out, _ = launch("submit", profile="paper", weights=str(weights))
    assert f"{file} is truncated: 43 bytes, expected 44" in out
    assert slurm_says.count("sbatch") == 0
    file.write_bytes(file.read_bytes() + bytes(1))
    _, out, _ = launch("submit", profile="paper", weights=str(weights))
    assert "2 runs submitted" in out


def test_minutes_auto_comes_from_what_the_cell_took(launch, slurm_says, tmp_path, site):
    site.write_text(SITE.replace("60", '"auto"') + "longest = 480\nmargin = 2\nnotice_seconds = 60\n")
    measured = folder(tmp_path, seed=1)
    measured.make()
    config = resolve.resolve(select(["cub/deit_tiny/dcal"])[0], 1, resolve.load_profile("mini"), {})
    way = {"device": "cpu", "tuning": ""}
    measured.config.write_text(
        json.dumps({"identity": dict(config.identity), "hash": config.hash, "way": way})
    )
    # An hour for half of the run: two for all of it, four with the margin, and the notice: the next limit is 8 hours,
    # and of 29 minutes an hour.
    for seconds, minutes in ((3600.0, 480), (29 * 60 / 4, 30), (29 * 60 / 2, 60)):
        beat = {"time": 0.0, "epoch": 4, "epochs": 8, "step": 0, "steps": 9, "seconds": seconds}
        measured.heartbeat.write_text(json.dumps(beat))
        _, out, _ = launch("submit", "--dry", cells="cub/deit_tiny/dcal")
        assert f"#SBATCH --time={minutes}\n" in out
        assert "minutes: measured × 2" in out
    _, out, _ = launch("submit", "--dry", cells="cub/deit_tiny/baseline")
    assert "#SBATCH --time=480\n" in out
    assert "nothing measured" in out


def test_the_job_is_arguments_only(launch, slurm_says, tmp_path):
    launch("submit", set="train.epochs=3")
    (path, _) = sorted((tmp_path / "runs/mini/slurm").glob("*_submitted.pkl"))
    script = (
        "import pickle, sys\n"
        f"job = pickle.load(open({str(path)!r}, 'rb')).function\n"
        "assert type(job).__name__ == 'RunJob', job\n"
        "assert job.checkpoint().function == job\n"
        "assert 'torch' not in sys.modules\n"
        "print(job.cell, job.overrides)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "cub/deit_tiny/baseline train.epochs=3\n"
    assert len(path.read_bytes()) < 10_000
    assert pickle.loads(path.read_bytes())._timeout_countdown == 20


def test_mistakes_are_refused_before_anything_is_asked(launch, slurm_says, capsys):
    for wrong in ({"cells": "cubb"}, {"set": "train.epoch=3"}, {"profile": "papper"}, {"seeds": "x"}):
        status, _, err = launch("submit", **wrong)
        assert status == 2
        assert "error: " in err
    assert slurm_says.calls == []


def test_two_hundred_runs_are_two_calls_to_slurm(launch, slurm_says, tmp_path):
    """The whole grid with three seeds: one sbatch call, then one squeue and one sacct call for its status."""
    grid = {"cells": "*", "seeds": "0,1,2", "data": tmp_path / "all seven sets"}
    status, out, _ = launch("submit", **grid)
    assert status == 0
    assert "204 runs submitted" in out
    assert slurm_says.count("sbatch") == 1
    calls = len(slurm_says.calls)
    _, out, _ = launch("status", **grid)
    assert "204 runs: " in out
    assert [call.split()[0] for call in slurm_says.calls[calls:]] == ["squeue", "sacct"]


def test_what_a_job_or_a_users_defaults_put_into_the_environment_does_not_reach_slurm(
    launch, slurm_says, tmp_path, monkeypatch
):
    foreign = {
        "SLURM_ARRAY_JOB_ID": "7",
        "SLURM_MEM_PER_CPU": "1",
        "SBATCH_TIMELIMIT": "3",
        "SQUEUE_USERS": "nobody",
    }
    for name, value in (foreign | {"SLURM_CONF": "/kept"}).items():
        monkeypatch.setenv(name, value)
    seen = tmp_path / "seen"
    for command in ("sbatch", "squeue"):
        script = slurm_says.folder / command
        script.write_text(
            script.read_text().replace("#!/bin/bash\n", f"#!/bin/bash\nenv > '{seen}.{command}'\n")
        )
    launch("submit")
    launch("status")
    for command in ("sbatch", "squeue"):
        environment = Path(f"{seen}.{command}").read_text()
        assert "SLURM_CONF=/kept" in environment
        assert not [name for name in foreign if f"{name}=" in environment]
    assert os.environ["SBATCH_TIMELIMIT"] == "3"


def test_somebody_elses_job_that_squeue_does_not_show_may_still_live(launch, slurm_says, tmp_path):
    launch("submit")
    path = folder(tmp_path).submission
    path.write_text(json.dumps(json.loads(path.read_text()) | {"user": "somebody"}))
    waiting(slurm_says, tmp_path, ids=(0,))
    _, out, _ = launch("retry")
    assert "0 runs submitted; left alone: 1 queued, 1 unknown" in out
    assert "is somebody's" in out


def test_without_sbatch_nothing_is_left_behind(launch, slurm_says, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    status, _, err = launch("submit")
    assert status == 2
    assert "no sbatch on this machine" in err
    assert not folder(tmp_path).submission.exists()
    assert [path.name for path in (tmp_path / "runs/mini/slurm").iterdir()] == ["lock"]


def test_gpus_that_a_recipe_for_cpus_would_not_use_are_told(launch, slurm_says, site):
    site.write_text(SITE.replace("gpus = 0", "gpus = 2"))
    _, _, err = launch("submit", "--dry")
    assert "asks for GPUs, and these runs train on CPUs" in err
