"""Submission with something already on disk: stale runs, a launch that broke off."""

import json

from submitted_runs import folder, waiting

from slurm import submit


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
        patched.setattr(submit.Handover, "complete", dies)
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
