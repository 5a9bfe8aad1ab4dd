"""A mini Table 1 subset through arrays on a real SLURM of two nodes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from suite_on_cluster import ROOT, Suite, run_locally

from benchmark.data import locate

CELLS = ("cub/deit_tiny/baseline", "cub/deit_tiny/dcal", "cars/deit_tiny/baseline", "cars/deit_tiny/dcal")
SET = "data.class_limit=3 train.epochs=2 evaluate.every=2"
MEASURED = ("top1", "top5", "sa_top1", "glca_top1")


def make(suite, verb, *arguments):
    environment = {
        name: value
        for name, value in suite.cluster.whole_environment.items()
        if not name.startswith(("MAKE", "MFLAGS"))
    }
    options = [f"RUNS={suite.runs}", f"DATA={suite.data}", f"SET={suite.set}"]
    options += [f"CLUSTER={suite.site}"] if verb in ("table1", "retry") else []
    options += [f"CELLS={suite.cells}"] if verb != "logs" else []
    return subprocess.run(
        ["make", verb, *arguments, *options],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.fixture(scope="module")
def suite(cluster, tmp_path_factory, mini_pictures):
    """Four runs, of which those on Cars meet a torn picture."""
    folder = tmp_path_factory.mktemp("grid")
    data = folder / "data"
    shutil.copytree(mini_pictures, data)
    return Suite(cluster, folder, data, set=SET, cells="cub/deit_tiny cars/deit_tiny", parallel=2)


@pytest.fixture(scope="module")
def local_runs(tmp_path_factory, mini_pictures):
    """The same four runs without a cluster."""
    runs = tmp_path_factory.mktemp("locally") / "runs"
    run_locally(runs, mini_pictures, SET, *CELLS)
    return runs


@pytest.fixture(scope="module")
def torn(suite):
    """A picture of Cars that its runs train on, torn; its whole content by path."""
    read = locate.load_fgvc("cars", suite.data, 3)
    path = read.root / read.train.files[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:500] + bytes(len(whole) - 500))  # of its size, or it would be written anew
    return path, whole


@pytest.mark.skipif(
    not (ROOT / ".venv" / ".installed").exists(), reason="needs the environment that make test makes"
)
def test_a_grid_with_one_broken_dataset_from_submission_to_the_table(suite, torn, local_runs):
    cluster = suite.cluster
    first = make(suite, "table1", "EXECUTOR=slurm")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "4 runs submitted" in first.stdout
    assert first.stdout.count("submitted: job ") == 1
    assert "queued" in first.stdout  # the table is printed from what is there
    assert [suite.job(cell).partition("_")[2] for cell in CELLS] == ["0", "1", "2", "3"]
    assert len({suite.job(cell).partition("_")[0] for cell in CELLS}) == 1

    cluster.wait_for(lambda: all(suite.ended(cell) for cell in CELLS), 240, "the end of all four jobs")
    assert all(suite.folder(cell).result.exists() for cell in CELLS[:2])
    assert not any(suite.folder(cell).result.exists() for cell in CELLS[2:])

    second = make(suite, "table1", "EXECUTOR=slurm")
    assert second.returncode == 2  # make's own, for a line that ended with 1: there are failed runs
    assert "0 runs submitted; left alone: 2 done, 2 failed" in second.stdout
    status = make(suite, "status").stdout
    assert "2 done, 2 failed" in status
    assert torn[0].name in status
    assert "| " in status  # the log's last lines
    assert torn[0].name in make(suite, "logs", f"CELL={CELLS[3]}").stdout

    torn[0].write_bytes(torn[1])
    retried = make(suite, "retry")
    assert "2 runs submitted; left alone: 2 done" in retried.stdout
    suite.wait_for_results(CELLS)
    last = make(suite, "table1", "EXECUTOR=slurm")
    assert "0 runs submitted; left alone: 4 done" in last.stdout

    for cell in CELLS:
        found, expected = suite.result(cell), local_result(local_runs, cell)
        assert found["final_weights_sha256"] == expected["final_weights_sha256"], cell
        assert found["metrics"] == expected["metrics"]
        assert found["cost"]["attempts"] == 1
        assert found["provenance"]["submitted"]["commit"] == found["provenance"]["commit"]
    tables = [_table(suite.runs, suite), _table(local_runs, suite)]
    assert tables[0] == tables[1]


def local_result(runs, cell):
    return json.loads((runs / "mini" / cell / "seed0" / "result.json").read_text())


def _table(runs, suite):
    """The table's rows in text, without the lines that say when and where."""
    done = subprocess.run(
        [sys.executable, "-m", "tables", "table1", "--runs", str(runs), "--data", str(suite.data), "--set", SET],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = [line for line in done.stdout.splitlines() if line.startswith(("|", "DeiT-", "ViT-", "R50"))]
    assert any("DeiT-Tiny" in row for row in rows)
    return rows


def test_the_script_that_sbatch_got_is_the_one_that_was_rehearsed(suite, cluster, tmp_path):
    other = Suite(cluster, tmp_path, suite.data, set=SET, cells="cub/deit_tiny")
    other.write_site(extra={"begin": "now+1hour"})
    rehearsed = other.call("submit", "--dry")
    other.call("submit")
    folder = other.runs / "mini" / "slurm"
    (script,) = folder.glob("*_submission.sh")
    stored = json.loads(other.folder("cub/deit_tiny/dcal").submission.read_text())
    assert script.read_text() in rehearsed.replace("0" * 8, stored["name"].rpartition("-")[2])
    cluster.wait_for(lambda: "(BeginTime)" in other.call("status"), 30, "why the jobs wait, in status")
    assert "cancelled: 2 jobs" in other.call("cancel")
    cluster.wait_for(lambda: other.ended("cub/deit_tiny/dcal"), 30, "the cancelled job's end")
    assert "2 preempted" in other.call("status")


def test_gpus_are_asked_for_and_the_job_sees_its_own(suite, cluster, tmp_path):
    for request in ({"gpus": 1}, {"gpus": None, "gres": "gpu:2", "nodes": 1}):
        name = "-".join(request)
        ranks = 2 if "gres" in request else 1
        cell = "cub/deit_tiny/baseline"
        other = Suite(cluster, tmp_path / name, suite.data, set=SET, cells=cell, **request)
        other.call("submit")
        locks = cluster.wait_for(
            lambda o=other, c=cell: sorted(o.folder(c).path.glob("claim.*")), 120, "the start"
        )
        environment = (
            Path(f"/proc/{json.loads(locks[-1].read_text())['pid']}/environ").read_bytes().split(b"\0")
        )
        seen = next(word for word in environment if word.startswith(b"CUDA_VISIBLE_DEVICES="))
        assert len(seen.partition(b"=")[2].split(b",")) == ranks
        assert f"gpu:{ranks}" in cluster.job(other.job()).get("TresPerNode", "")
        assert sum(word.startswith(b"SLURM_NTASKS=%d" % ranks) for word in environment) == 1
        other.wait_for_results()
        assert other.result()["device"]["world_size"] == ranks


def test_data_are_staged_to_the_nodes_own_disk(suite, cluster, tmp_path, local_runs):
    scratch = tmp_path / "scratch"
    cell = "cub/deit_tiny/baseline"
    other = Suite(cluster, tmp_path, suite.data, set=SET, cells=cell, scratch=f"{scratch}/$SLURM_JOB_USER")
    other.call("submit")
    other.wait_for_results()
    (copied,) = scratch.glob("root/dcal-0/CUB_200_2011-*/CUB_200_2011")
    assert str(copied) in other.folder().log.read_text()
    assert other.result()["final_weights_sha256"] == local_result(local_runs, cell)["final_weights_sha256"]


def test_a_scratch_that_nodes_do_not_have_fails_the_run_with_the_reason(suite, cluster, tmp_path):
    other = Suite(
        cluster, tmp_path, suite.data, set=SET, cells="cub/deit_tiny/baseline", scratch="$NO_SUCH_DISK/x"
    )
    other.call("submit")
    cluster.wait_for(other.ended, 120, "the job's end")
    status = other.call("status")
    assert "1 failed" in status
    assert "has no variable $NO_SUCH_DISK" in status
