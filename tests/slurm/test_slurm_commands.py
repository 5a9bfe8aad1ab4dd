"""submit, retry, status, cancel and logs, against stand-ins of SLURM's commands that write down how they are called."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark import claim, config, provenance
from benchmark.grid import select
from benchmark.records import folder_of
from slurm import handover
from slurm.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
SITE = 'gpus = 0\ncpus = 1\nmemory = "2G"\nminutes = 60\n'


@pytest.fixture
def site(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(SITE)
    return path


@pytest.fixture
def launch(tmp_path, slurm_pictures, slurm_says, site, capsys):
    """Calls a verb over the mini CUB; returns its exit status and what it printed."""

    def call(verb, *arguments, cells="cub/deit_tiny", data=slurm_pictures, **options):
        common = ["--runs", str(tmp_path / "runs"), "--data", str(data), "--cells", cells]
        if verb in ("submit", "retry"):
            common += ["--cluster", str(site)]
        common += [part for name, value in options.items() for part in (f"--{name}", value)]
        status = main([verb, *common, *arguments])
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


def folder(tmp_path, id="cub/deit_tiny/dcal", seed=0):
    asked = config.resolve(select([id])[0], seed, config.load_profile("mini"), {})
    return folder_of(asked, tmp_path / "runs")


def waiting(slurm_says, tmp_path, state="PENDING", ids=(0, 1)):
    """squeue knows the jobs of the first array in this state."""
    name = json.loads(folder(tmp_path).submission.read_text())["name"]
    slurm_says.says("squeue", "".join(f"101_{n}|{name}|{state}||Priority\n" for n in ids))


def test_submit_sends_one_array_and_says_its_jobs(launch, slurm_says, tmp_path):
    status, out, _ = launch("submit")
    assert status == 0
    assert slurm_says.count("sbatch") == 1
    assert "submitted: job 101_0 to 101_1, 2 runs, class default, 60 minutes (cluster file)" in out
    assert "2 runs submitted" in out
    stored = json.loads(folder(tmp_path).submission.read_text())
    assert stored["job"] == "101_1"
    assert stored["code"] == provenance.code()
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
    held = claim.acquire(folder(tmp_path).path)
    _, out, _ = launch("submit")
    held.release()
    assert "1 runs submitted; left alone: 1 running" in out


def test_failed_runs_wait_for_retry(launch, slurm_says, tmp_path):
    launch("submit")
    waits = json.loads(folder(tmp_path, "cub/deit_tiny/baseline").submission.read_text())["name"]
    slurm_says.says("squeue", f"101_0|{waits}|PENDING||Priority\n101_1|{waits}|OUT_OF_MEMORY|n1|None\n")
    status, out, _ = launch("submit")
    assert status == 1
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
    status, out, _ = launch("submit", profile="paper")
    assert status == 0
    assert "0 runs submitted; left alone: 2 no-weights" in out
    assert "deit_tiny_patch16_224.fb_in1k is not in the hub's cache" in out
    weights = tmp_path / "weights"
    weights.mkdir()
    _, out, _ = launch("submit", profile="paper", weights=str(weights))
    assert f"no deit_tiny_patch16_224.fb_in1k in {weights}" in out
    assert slurm_says.count("sbatch") == 0
    (weights / "deit_tiny_patch16_224.fb_in1k.safetensors").write_bytes(b"x")
    _, out, _ = launch("submit", profile="paper", weights=str(weights))
    assert "2 runs submitted" in out


def test_status_shows_progress_place_reason_and_log(launch, slurm_says, tmp_path):
    launch("submit")
    name = json.loads(folder(tmp_path).submission.read_text())["name"]
    owner = f"job 101_1 ({name})"
    running = folder(tmp_path)
    held = claim.acquire(running.path, owner)
    beat = {"time": time.time(), "epoch": 2, "epochs": 8, "step": 0, "steps": 9, "seconds": 7200.0}
    running.heartbeat.write_text(json.dumps(beat))
    failed = folder(tmp_path, "cub/deit_tiny/baseline")
    failed.log.write_text("first\nsecond\nE torn.jpg is torn\n")
    outcome = {"state": "failed", "message": "torn.jpg is torn", "owner": owner.replace("101_1", "101_0")}
    failed.outcome.write_text(json.dumps(outcome))
    slurm_says.says("squeue", f"101_0|{name}|FAILED|n2|None\n101_1|{name}|RUNNING|n1|None\n")
    calls = len(slurm_says.calls)
    status, out, _ = launch("status")
    held.release()
    assert status == 0
    assert "2 runs: 1 running, 1 failed" in out
    assert "epoch 3/8, 25 %, about 6 h left, on n1 (job 101_1)" in out
    assert "torn.jpg is torn\n    | first\n    | second\n    | E torn.jpg is torn\n" in out
    assert "used so far: 2.00 hours on CPUs" in out
    assert [call.split()[0] for call in slurm_says.calls[calls:]] == ["squeue", "sacct"]


def test_gpu_hours_count_every_gpu(launch, slurm_says, tmp_path, site):
    site.write_text(SITE.replace("gpus = 0", "gpus = 4"))
    launch("submit")
    beat = {"time": 0.0, "epoch": 2, "epochs": 8, "step": 0, "steps": 9, "seconds": 1800.0}
    folder(tmp_path).heartbeat.write_text(json.dumps(beat))
    waiting(slurm_says, tmp_path)
    assert "used so far: 2.00 GPU-hours" in launch("status")[1]


def test_a_job_that_never_got_to_a_log_shows_its_output(launch, slurm_says, tmp_path):
    launch("submit")
    waiting(slurm_says, tmp_path, "FAILED")
    (tmp_path / "runs/mini/slurm/101_1_0_log.out").write_text(
        "ModuleNotFoundError: No module named 'torch'\n"
    )
    _, out, _ = launch("status")
    assert "    | ModuleNotFoundError: No module named 'torch'" in out
    _, out, _ = launch("logs", cells="cub/deit_tiny/dcal")
    assert "101_1_0_log.out\nModuleNotFoundError" in out


def test_code_changed_between_submission_and_start_is_told(launch, slurm_says, tmp_path):
    launch("submit")
    waiting(slurm_says, tmp_path)
    for number, run in enumerate((folder(tmp_path, "cub/deit_tiny/baseline"), folder(tmp_path))):
        stored = json.loads(run.submission.read_text())
        stored["code"] = {**stored["code"], "commit": f"{number}abc" + "0" * 36}
        run.submission.write_text(json.dumps(stored))
    _, out, _ = launch("status")
    assert "WARNING: the code was changed since 2 queued runs were submitted" in out
    started = {"commit": "d" * 40, "dirty": False, "changes": "", "submitted": stored["code"]}
    folder(tmp_path).provenance.write_text(json.dumps(started))
    owner = f"job 101_1 ({stored['name']})"
    folder(tmp_path).outcome.write_text(json.dumps({"state": "preempted", "message": "x", "owner": owner}))
    waiting(slurm_says, tmp_path, ids=(0,))
    _, out, _ = launch("status")
    assert "other code than at submission: cub/deit_tiny/dcal/seed0 submitted with 1abc" in out
    assert "started with dddddddddd" in out


def test_cancel_is_one_call_for_jobs_that_live(launch, slurm_says, tmp_path):
    launch("submit")
    waiting(slurm_says, tmp_path)
    status, out, _ = launch("cancel")
    assert status == 0
    assert [call for call in slurm_says.calls if call.startswith("scancel")] == ["scancel 101_0 101_1"]
    assert "cancelled: 2 jobs" in out
    slurm_says.says("squeue", "")
    _, out, _ = launch("status")
    assert "2 preempted" in out
    assert "taken back by make cancel" in out
    _, out, _ = launch("submit")
    assert "2 runs submitted" in out


def test_cancel_without_jobs_calls_nothing(launch, slurm_says):
    status, out, _ = launch("cancel")
    assert status == 0
    assert "no job of these runs" in out
    assert slurm_says.calls == []


def test_watching_ends_with_the_last_run(launch, slurm_says, tmp_path):
    launch("submit")
    waiting(slurm_says, tmp_path, "CANCELLED")
    later = "import pathlib, time; time.sleep(1); "
    ended = slurm_says.folder.parent / "squeue.out"
    waits = ended.read_text().replace("CANCELLED", "PENDING")
    script = f"{later}pathlib.Path({str(ended)!r}).write_text({ended.read_text()!r})"
    ended.write_text(waits)
    process = subprocess.Popen([sys.executable, "-c", script])
    status, out, _ = launch("status", "--watch", "0.1")
    process.wait()
    assert status == 0
    assert out.count("2 runs: ") >= 3
    assert out.index("2 queued") < out.index("2 failed")


def test_minutes_auto_comes_from_what_the_cell_took(launch, slurm_says, tmp_path, site):
    site.write_text(SITE.replace("60", '"auto"') + "longest = 480\nmargin = 2\nnotice_seconds = 60\n")
    measured = folder(tmp_path, seed=1)
    measured.make()
    asked = config.resolve(select(["cub/deit_tiny/dcal"])[0], 1, config.load_profile("mini"), {})
    measured.config.write_text(json.dumps({"identity": dict(asked.identity), "hash": asked.hash}))
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
    assert "186 runs submitted; left alone: 18 no-weights" in out  # CaiT and Swin have no mini stand-in yet
    assert slurm_says.count("sbatch") == 1
    calls = len(slurm_says.calls)
    _, out, _ = launch("status", **grid)
    assert "204 runs: " in out
    assert [call.split()[0] for call in slurm_says.calls[calls:]] == ["squeue", "sacct"]


def test_stale_runs_are_kept_until_told_otherwise(launch, slurm_says, tmp_path):
    stale = folder(tmp_path)
    stale.make()
    stale.config.write_text(json.dumps({"hash": "0" * 64, "identity": {}}))
    stale.checkpoint.write_bytes(b"weights")
    _, out, _ = launch("submit")
    assert "1 runs submitted; left alone: 1 stale" in out
    _, out, err = launch("submit", "--rerun", "stale")
    assert "1 runs submitted; left alone: 1 " in out
    assert "set aside: " in err
    (kept,) = stale.path.parent.glob("seed0.stale-*")
    assert (kept / "checkpoint.pt").read_bytes() == b"weights"


def test_a_stale_run_whose_job_lives_is_not_set_aside(launch, slurm_says, tmp_path):
    launch("submit", cells="cub/deit_tiny/dcal")
    waiting(slurm_says, tmp_path, ids=())
    name = json.loads(folder(tmp_path).submission.read_text())["name"]
    slurm_says.says("squeue", f"101|{name}|PENDING||Priority\n")
    _, out, err = launch("submit", "--rerun", "stale", cells="cub/deit_tiny/dcal", set="train.epochs=3")
    assert "0 runs submitted; left alone: 1 stale" in out
    assert "make cancel takes it back" in out
    assert "set aside" not in err


def test_a_launcher_that_dies_after_sbatch_leaves_jobs_that_the_next_one_finds(
    launch, slurm_says, tmp_path, monkeypatch
):

    def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(handover.Handover, "complete", dies)
        assert launch("submit")[0] == 130
    assert slurm_says.count("sbatch") == 1
    (left,) = (tmp_path / "runs/mini/slurm").glob("*.handover.json")
    name = left.name.removesuffix(".handover.json")
    slurm_says.says("squeue", f"101_0|{name}|RUNNING|n1|None\n101_1|{name}|PENDING||Priority\n")
    status, out, _ = launch("submit")
    assert status == 0
    assert "0 runs submitted; left alone: 1 running, 1 queued" in out
    assert slurm_says.count("sbatch") == 1
    assert json.loads(folder(tmp_path).submission.read_text())["job"] == "101_1"
    assert not left.exists()
    assert "cancelled: 2 jobs" in launch("cancel")[1]


def test_a_broken_off_launch_is_not_repeated_while_slurm_does_not_answer(launch, slurm_says, tmp_path):
    launch("submit")
    stored = json.loads(folder(tmp_path).submission.read_text())
    left = tmp_path / "runs/mini/slurm/x.handover.json"
    left.write_text(json.dumps({"name": stored["name"], "runs": []}))
    slurm_says.says("squeue", "", error="Unable to contact slurm controller", status=1)
    status, _, err = launch("submit")
    assert status == 2
    assert "x.handover.json" in err
    assert left.exists()


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


def test_cancelled_before_its_run_began(launch, slurm_says, tmp_path):
    launch("submit")
    waiting(slurm_says, tmp_path, "RUNNING")  # its setup lines, say
    launch("cancel")
    waiting(slurm_says, tmp_path, "CANCELLED")
    assert "2 preempted" in launch("status")[1]


def test_jobs_that_cannot_be_cancelled_are_told(launch, slurm_says, tmp_path):
    launch("submit")
    waiting(slurm_says, tmp_path)
    slurm_says.says(
        "scancel", "", error="scancel: error: Kill job error on job id 101: Access denied", status=1
    )
    status, _, err = launch("cancel")
    assert status == 2
    assert "Access denied" in err
    assert "2 queued" in launch("status")[1]


def test_somebody_elses_job_that_squeue_does_not_show_may_still_live(launch, slurm_says, tmp_path):
    launch("submit")
    path = folder(tmp_path).submission
    path.write_text(json.dumps(json.loads(path.read_text()) | {"user": "somebody"}))
    waiting(slurm_says, tmp_path, ids=(0,))
    _, out, _ = launch("retry")
    assert "0 runs submitted; left alone: 1 queued, 1 unknown" in out
    assert "is somebody's" in out


def test_a_run_that_ended_between_the_two_looks_is_not_failed(launch, slurm_says, tmp_path):
    launch("submit")
    waiting(slurm_says, tmp_path, "COMPLETED")
    script = slurm_says.folder / "squeue"
    result = folder(tmp_path).result
    script.write_text(script.read_text().replace("#!/bin/bash\n", f"#!/bin/bash\ntouch '{result}'\n"))
    _, out, _ = launch("status", cells="cub/deit_tiny/dcal")
    assert "1 running" in out
    assert "has just ended" in out


def test_a_retry_that_dies_before_the_runs_log_shows_its_own_words(launch, slurm_says, tmp_path):
    run = folder(tmp_path)
    run.make()
    run.log.write_text("of an attempt long ago\n")
    launch("submit")
    waiting(slurm_says, tmp_path, "FAILED")
    (tmp_path / "runs/mini/slurm/101_1_0_log.out").write_text("started\n")
    (tmp_path / "runs/mini/slurm/101_1_1_log.out").write_text("rank 1: no such module\n")
    _, out, _ = launch("status", cells="cub/deit_tiny/dcal")
    assert "    | rank 1: no such module" in out
    assert "long ago" not in out


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
