"""This task's place among the tasks of its job, from SLURM's variables (no torch)."""

from __future__ import annotations

import os
from collections.abc import Mapping

from benchmark.config.quantities import natural_number
from benchmark.config.world import World
from benchmark.errors import RunError


def job_id(environment: Mapping[str, str] = os.environ) -> str:
    """``12_3`` of an array's element, ``12`` of a job by itself. Raises RunError outside of a job."""
    master = environment.get("SLURM_ARRAY_JOB_ID")
    return (
        f"{master}_{_number(environment, 'SLURM_ARRAY_TASK_ID')}"
        if master
        else str(_number(environment, "SLURM_JOB_ID"))
    )


def world(environment: Mapping[str, str] = os.environ) -> World:
    """Rank and number of ranks of this task, in the job and on its node. Raises RunError outside of a job step."""
    size = _number(environment, "SLURM_NTASKS")
    nodes = _number(environment, "SLURM_NNODES")
    return World(
        rank=_number(environment, "SLURM_PROCID"),
        size=size,
        local_rank=_number(environment, "SLURM_LOCALID"),
        local_size=size // nodes,
        # A job that is queued again keeps its id: its tasks must not meet those of the attempt before.
        attempt=f"{job_id(environment)}.{environment.get('SLURM_RESTART_COUNT', '0')}",
    )


def _number(environment: Mapping[str, str], name: str) -> int:
    value = environment.get(name, "")
    number = natural_number(value)
    if number is None:
        raise RunError(
            f"{name} is {value or 'not set'}: this is meant to be started by srun, inside of a SLURM job"
        )
    return number
