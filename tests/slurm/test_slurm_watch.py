"""status, cancel and logs, with fake SLURM commands."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

from submitted_runs import SITE, folder, waiting

from benchmark.records import lock

ROOT = Path(__file__).resolve().parents[2]


def test_status_shows_progress_place_reason_and_log(launch, slurm_says, tmp_path):
    launch("submit")
    name = json.loads(folder(tmp_path).submission.read_text())["name"]
    owner = f"job 101_1 ({name})"
    running = folder(tmp_path)
    held = lock.acquire(running.path, owner)
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
    # On a busy machine some seconds have gone since the sign.
    assert re.search(r"epoch 3/8, 25 %, about (6 h 00|5 h 5\d) min left, on n1 \(job 101_1\)", out), out
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
