"""Runs of the mini CUB that the tests submit, and output of squeue about their jobs."""

import json
import pickle

from benchmark.config import resolve
from benchmark.config.grid import select
from benchmark.records.run_folder import locate_run
from slurm.job import RunJob

SITE = 'gpus = 0\ncpus = 1\nmemory = "2G"\nminutes = 60\n'


def folder(tmp_path, id="cub/deit_tiny/dcal", seed=0):
    config = resolve.resolve(select([id])[0], seed, resolve.load_profile("mini"), {})
    return locate_run(config, tmp_path / "runs")


def submitted_jobs(tmp_path):
    """The pickled jobs, in the order of their array elements."""
    pickles = sorted((tmp_path / "runs/mini/slurm").glob("*_submitted.pkl"))
    return [pickle.loads(path.read_bytes()).function for path in pickles]


def job_from_before(tmp_path, option):
    """A job that was queued before this option existed, as it is read today."""
    old = submitted_jobs(tmp_path)[0]
    del old.__dict__[option]
    assert isinstance(old, RunJob)
    return pickle.loads(pickle.dumps(old))


def waiting(slurm_says, tmp_path, state="PENDING", ids=(0, 1)):
    """Make squeue list the jobs of the first array in this state."""
    name = json.loads(folder(tmp_path).submission.read_text())["name"]
    slurm_says.says("squeue", "".join(f"101_{n}|{name}|{state}||Priority\n" for n in ids))
