"""TUNE in jobs: passed on unchanged, checked at submission, absent from the batch script."""

import re

import pytest
from submitted_runs import job_from_before, submitted_jobs


def test_a_job_gets_what_was_asked_for(launch, slurm_says, tmp_path):
    status, _, _ = launch("submit", tune="recompute=true  accumulate=2")
    assert status == 0
    assert [job.tuning for job in submitted_jobs(tmp_path)] == ["accumulate=2 recompute=true"] * 2
    assert "recompute" not in slurm_says.script(101)


def test_a_job_queued_before_there_was_such_an_option_has_none(launch, tmp_path):
    launch("submit")
    assert job_from_before(tmp_path, "tuning").tuning == ""


@pytest.mark.parametrize(
    ("tune", "message"),
    [
        ("acumulate=2", "nearest: accumulate"),
        ("accumulate=3", "class 'default', 1 nodes × 1 tasks, cub/deit_tiny/baseline: .*each in 3 parts"),
    ],
)
def test_what_no_job_could_follow_is_refused_before_anything_is_sent(launch, slurm_says, tune, message):
    status, _, err = launch("submit", tune=tune)
    assert status == 2
    assert re.search(message, err)
    assert slurm_says.count("sbatch") == 0
