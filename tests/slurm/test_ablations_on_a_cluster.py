"""The ablations' cells on a cluster: sent with their table, found again by whole ids or with the table."""

import json

import pytest
from submitted_runs import SITE, folder, submitted_jobs

from benchmark.config.grid import select
from benchmark.errors import SettingsError
from slurm.cluster import load_cluster

RANDOM = "cub/deit_tiny/glca_random"


def test_a_rehearsal_shows_the_cells_of_the_table_that_were_asked_for(launch, slurm_says):
    status, out, _ = launch("submit", "--dry", cells="cub/deit_tiny/glca_r*", table="ablations")
    assert status == 0
    assert slurm_says.count("sbatch") == 0
    assert "5 runs would be submitted" in out
    assert "#   4: cub/deit_tiny/glca_r50/seed0" in out


def test_a_variant_is_sent_and_its_job_knows_it_by_its_whole_id(launch, slurm_says, tmp_path):
    launch("submit", cells="cub/deit_tiny/dcal cub/deit_tiny/glca_random", table="ablations")
    assert [job.cell for job in submitted_jobs(tmp_path)] == ["cub/deit_tiny/dcal", RANDOM]
    assert folder(tmp_path, RANDOM).submission.exists()
    name = slurm_says.script(101).split("--job-name=")[1].split()[0]
    slurm_says.says("squeue", f"101_0|{name}|PENDING||Priority\n101_1|{name}|PENDING||Priority\n")
    for options in ({"cells": RANDOM}, {"cells": "cub/deit_tiny/glca_ra*", "table": "ablations"}):
        _, out, _ = launch("status", **options)
        assert "profile mini, 1 runs: 1 queued" in out
        assert f"{RANDOM}/seed0" in out
    _, out, _ = launch("cancel", cells=RANDOM)
    assert "cancelled: 1 jobs" in out
    assert slurm_says.calls[-1].split() == ["scancel", "101_1"]


def test_the_advice_on_a_failed_variant_names_its_table(launch, slurm_says, tmp_path):
    failed = folder(tmp_path, RANDOM)
    failed.path.mkdir(parents=True)
    failed.outcome.write_text(json.dumps({"state": "failed", "message": "no luck"}))
    (failed.path / "claim.1").write_text("{}")
    for options in ({"cells": RANDOM}, {"cells": "cub/deit_tiny/glca*", "table": "ablations"}):
        assert "\nmake retry TABLE=ablations submits failed" in launch("status", **options)[1]


def test_a_set_of_what_a_variant_fixes_is_refused_before_anything_is_sent(launch, slurm_says, tmp_path):
    status, _, said = launch("submit", cells="cub", table="ablations", set="model.glca_ratio=0.2")
    assert status == 2
    assert "model.glca_ratio is fixed by cub/deit_tiny/glca_r1" in said
    assert slurm_says.count("sbatch") == 0


def test_a_class_may_hold_variants_alone(tmp_path):
    path = tmp_path / "site.toml"
    path.write_text(SITE + '[[class]]\nname = "small"\ncells = ["cub/deit_tiny/glca_*"]\n')
    cluster = load_cluster(path)
    names = {id: cluster.resource_class(select([id])[0]).name for id in (RANDOM, "cub/deit_tiny/dcal")}
    assert names == {RANDOM: "small", "cub/deit_tiny/dcal": "default"}
    path.write_text(SITE + '[[class]]\nname = "small"\ncells = ["cub/deit_tiny/glac_*"]\n')
    with pytest.raises(SettingsError, match="nearest: cub/deit_tiny/glca"):
        load_cluster(path)
