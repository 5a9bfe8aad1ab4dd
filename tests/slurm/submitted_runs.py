"""Runs of the mini CUB as the tests of commands submit them, and what squeue says of their jobs."""

import json
import pickle

from benchmark.config import resolve
from benchmark.config.grid import select
from benchmark.records.run_folder import locate_run
from slurm.job import RunJob

SITE = 'gpus = 0\ncpus = 1\nmemory = "2G"\nminutes = 60\n'


def folder(tmp_path, id="cub/deit_tiny/dcal", seed=0):
    asked = resolve.resolve(select([id])[0], seed, resolve.load_profile("mini"), {})
    return locate_run(asked, tmp_path / "runs")


def submitted_jobs(tmp_path):
    """What each submitted job will do, in the order of their elements."""
    pickles = sorted((tmp_path / "runs/mini/slurm").glob("*_submitted.pkl"))
    return [pickle.loads(path.read_bytes()).function for path in pickles]


def job_from_before(tmp_path, option):
    """A job as one that was queued before there was this option is read today."""
    old = submitted_jobs(tmp_path)[0]
    del old.__dict__[option]
    assert isinstance(old, RunJob)
    return pickle.loads(pickle.dumps(old))


def waiting(slurm_says, tmp_path, state="PENDING", ids=(0, 1)):
    """squeue knows the jobs of the first array in this state."""
    name = json.loads(folder(tmp_path).submission.read_text())["name"]
    slurm_says.says("squeue", "".join(f"101_{n}|{name}|{state}||Priority\n" for n in ids))
