"""The environment for SLURM's commands: what a job or a user's defaults put there would steer them (no torch)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

# Of a job from which somebody launches (its ids and memory would become the new jobs'), and defaults for options,
# which would override the cluster file or hide jobs from squeue.
_FOREIGN = ("SLURM_", "SBATCH_", "SRUN_", "SQUEUE_", "SACCT_", "SCANCEL_", "SUBMITIT_")
_NEEDED = ("SLURM_CONF",)


def own_environment() -> dict[str, str]:
    """os.environ without them."""
    return {name: value for name, value in os.environ.items() if not _is_foreign(name)}


@contextmanager
def without_foreign() -> Iterator[None]:
    """The same for what reads os.environ itself."""
    kept = {name: os.environ.pop(name) for name in tuple(os.environ) if _is_foreign(name)}
    try:
        yield
    finally:
        os.environ.update(kept)


def _is_foreign(name: str) -> bool:
    return name.startswith(_FOREIGN) and name not in _NEEDED
