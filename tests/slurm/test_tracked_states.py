"""State of a run from its folder and its job: a result in the folder comes first, and unknown never becomes done."""

import getpass
import json
import os
from dataclasses import asdict

import pytest

from benchmark.config import resolve
from benchmark.config.grid import select
from benchmark.config.places import MINI_WEIGHTS, Places
from benchmark.records import lock, status
from benchmark.records.run_folder import locate_run
from benchmark.records.submission import Submission
from slurm.queue import END_MESSAGES, RUNNING_STATES, WAITING_STATES
from slurm.tracking import track

NAME = "dcal-mini-default-0a1b2c3d"
CODE = {"commit": "c" * 40, "dirty": False, "changes": ""}


@pytest.fixture
def config():
    return resolve.resolve(select(["cub/deit_tiny/dcal"])[0], 0, resolve.load_profile("mini"), {})


@pytest.fixture
def places(tmp_path):
    return Places(tmp_path / "runs", tmp_path / "data", MINI_WEIGHTS, generated=True)


@pytest.fixture
def submitted(config, places):
    """Folder of a run that was submitted as job 9_0."""
    folder = locate_run(config, places.runs)
    folder.make()
    submission = Submission(
        "9_0",
        NAME,
        config.hash,
        CODE,
        "2026-01-01T10:00:00+00:00",
        getpass.getuser(),
        gpus=0,
        ranks=1,
        logs="logs",
    )
    folder.submission.write_text(json.dumps(asdict(submission)))
    return folder


def run_state(config, places):
    (run,) = track([status.view_run(config, places, None)]).runs
    return run.view.state, run.view.reason


def outcome(folder, state, message, owner):
    folder.outcome.write_text(json.dumps({"state": state, "message": message, "owner": owner}))


OWNER = f"job 9_0 ({NAME})"


def test_the_folder_alone_says_queued(config, places, submitted):
    view = status.view_run(config, places, None)
    assert (view.state, view.reason) == ("queued", "submitted as job 9_0 on 2026-01-01T10:00")


@pytest.mark.parametrize("state", WAITING_STATES)
def test_waiting(config, places, submitted, slurm_says, state):
    slurm_says.says("squeue", f"9_0|{NAME}|{state}||Priority\n")
    actual, reason = run_state(config, places)
    assert actual == "queued"
    assert "(Priority)" in reason


@pytest.mark.parametrize("state", RUNNING_STATES)
def test_working_without_a_sign_yet(config, places, submitted, slurm_says, state):
    slurm_says.says("squeue", f"9_0|{NAME}|{state}|n7|None\n")
    actual, reason = run_state(config, places)
    assert actual == "running"
    assert "n7" in reason


@pytest.mark.parametrize("state", END_MESSAGES)
@pytest.mark.parametrize("command", ["squeue", "sacct"])
def test_ended_without_a_result_is_failed_with_slurms_word(
    config, places, submitted, slurm_says, state, command
):
    line = f"9_0|{NAME}|{state}|n1" + ("|None" if command == "squeue" else "")
    slurm_says.says(command, line + "\n")
    actual, reason = run_state(config, places)
    assert actual == "failed"
    assert f"9_0 {state}: " in reason


def test_a_word_nobody_knows_is_unknown(config, places, submitted, slurm_says):
    slurm_says.says("squeue", f"9_0|{NAME}|SPARKLING|n1|None\n")
    assert run_state(config, places)[0] == "unknown"


def test_gone_without_a_trace(config, places, submitted, slurm_says):
    actual, reason = run_state(config, places)
    assert actual == "failed"
    assert "left no sign" in reason


def test_another_job_of_the_same_id_is_not_ours(config, places, submitted, slurm_says):
    slurm_says.says("squeue", "9_0|somebody-elses|RUNNING|n1|None\n")
    assert run_state(config, places)[0] == "failed"


def test_slurm_does_not_answer(config, places, submitted, slurm_says):
    slurm_says.says("squeue", "", error="Unable to contact slurm controller", status=1)
    actual, reason = run_state(config, places)
    assert actual == "unknown"
    assert reason == "job 9_0: SLURM does not answer"  # why not stands above all runs, once


def test_the_runs_own_reason_is_better_than_slurms(config, places, submitted, slurm_says):
    outcome(submitted, "failed", "torn picture", OWNER)
    slurm_says.says("squeue", f"9_0|{NAME}|FAILED|n1|None\n")
    assert run_state(config, places) == ("failed", "torn picture")


def test_a_preempted_run_that_waits_again_is_queued(config, places, submitted, slurm_says):
    outcome(submitted, "preempted", "stopped by SIGUSR2", OWNER)
    slurm_says.says("squeue", f"9_0|{NAME}|PENDING||BeginTime\n")
    assert run_state(config, places)[0] == "queued"


@pytest.mark.parametrize(
    ("ranks", "state", "expected"),
    [
        (2, "FAILED", "failed"),
        (2, "OUT_OF_MEMORY", "failed"),
        (2, "CANCELLED", "preempted"),
        (1, "FAILED", "preempted"),
    ],
)
def test_a_stop_by_the_end_of_another_task_is_a_failure(
    config, places, submitted, slurm_says, ranks, state, expected
):
    stored_ = json.loads(submitted.submission.read_text()) | {"ranks": ranks}
    submitted.submission.write_text(json.dumps(stored_))
    outcome(submitted, "preempted", "stopped by SIGTERM", OWNER)
    slurm_says.says("squeue", f"9_0|{NAME}|{state}|n1|None\n")
    assert run_state(config, places)[0] == expected


def test_a_preempted_run_whose_job_is_gone_stays_preempted(config, places, submitted, slurm_says):
    outcome(submitted, "preempted", "stopped by SIGTERM", OWNER)
    assert run_state(config, places) == ("preempted", "stopped by SIGTERM")


def test_an_older_failure_does_not_outlive_a_new_submission(config, places, submitted, slurm_says):
    outcome(submitted, "failed", "torn picture", "job 4_0 (dcal-mini-default-ffffffff)")
    assert status.view_run(config, places, None).state == "queued"
    slurm_says.says("squeue", f"9_0|{NAME}|PENDING||Priority\n")
    assert run_state(config, places)[0] == "queued"


def test_a_killed_process_of_a_job_that_waits_again_is_queued(config, places, submitted, slurm_says):
    dead = {"machine": "m", "host": "h", "pid": 1, "since": 0.0, "owner": OWNER}
    (submitted.path / "claim.1").write_text(json.dumps(dead))
    os.utime(submitted.path / "claim.1", (1, 1))
    assert status.view_run(config, places, None).state == "failed"
    slurm_says.says("squeue", f"9_0|{NAME}|PENDING||BeginTime\n")
    assert run_state(config, places)[0] == "queued"
    slurm_says.says("squeue", "")
    slurm_says.says("sacct", f"9_0|{NAME}|OUT_OF_MEMORY|n1\n")
    actual, reason = run_state(config, places)
    assert actual == "failed"
    assert "raise memory" in reason


def test_a_living_process_is_running_whatever_slurm_says(config, places, submitted, slurm_says):
    held = lock.acquire(submitted.path, OWNER)
    slurm_says.says("squeue", f"9_0|{NAME}|PENDING||Priority\n")
    actual, reason = run_state(config, places)
    held.release()
    assert actual == "running"
    assert "job 9_0" in reason


def test_other_settings_than_submitted_are_stale(places, submitted, slurm_says):
    other = resolve.resolve(
        select(["cub/deit_tiny/dcal"])[0], 0, resolve.load_profile("mini"), {"train.epochs": 3}
    )
    slurm_says.says("squeue", f"9_0|{NAME}|PENDING||Priority\n")
    actual, reason = run_state(other, places)
    assert actual == "stale"
    assert "make cancel" in reason


def test_a_damaged_submission_file_is_named_and_no_submission(config, places, submitted, slurm_says):
    submitted.submission.write_text('{"job": "9_0"}')
    actual, reason = run_state(config, places)
    assert actual == "damaged"
    assert "submission.json is damaged: name is missing" in reason
    assert slurm_says.calls == []
