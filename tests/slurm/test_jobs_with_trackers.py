"""TRACK in jobs, and where trackers are checked."""

import sys

from submitted_runs import job_from_before, submitted_jobs


def test_a_job_gets_the_trackers_asked_for(launch, tmp_path):
    status, _, _ = launch("submit", track="wandb, tensorboard")
    assert status == 0
    assert [job.trackers for job in submitted_jobs(tmp_path)] == ["wandb tensorboard"] * 2


def test_a_job_queued_before_there_were_trackers_has_none(launch, tmp_path):
    launch("submit")
    assert job_from_before(tmp_path, "trackers").trackers == ""


def test_an_unknown_tracker_is_refused_before_anything_is_sent(launch, slurm_says):
    status, _, err = launch("submit", track="tensorbord")
    assert status == 2
    assert "nearest: tensorboard" in err
    assert slurm_says.count("sbatch") == 0


def test_a_missing_package_is_refused_here_unless_jobs_have_a_python_of_their_own(
    launch, slurm_says, site, monkeypatch
):
    monkeypatch.setitem(sys.modules, "wandb", None)
    status, _, err = launch("submit", track="wandb")
    assert status == 2
    assert "the package wandb" in err
    assert slurm_says.count("sbatch") == 0
    site.write_text(site.read_text() + 'python = "/opt/python"\n')
    status, _, _ = launch("submit", track="wandb")
    assert status == 0
    assert slurm_says.count("sbatch") > 0
