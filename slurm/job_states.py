"""SLURM's job states by what they mean for a run (no torch)."""

from __future__ import annotations

# Every job state of SLURM's squeue and sacct pages, by what it means for a run. The first two are alive.
WAITS = (
    "PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT",
    "POWER_UP_NODE",
)  # fmt: skip
WORKS = (
    "RUNNING", "COMPLETING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED", "RESIZING", "UPDATE_DB", "EXPEDITING",
)  # fmt: skip
ENDED = {
    "COMPLETED": "ended without a result",
    "BOOT_FAIL": "its node failed to boot",
    "CANCELLED": "cancelled",
    "DEADLINE": "ended at its deadline",
    "FAILED": "ended with an error before the run could say which",
    "LAUNCH_FAILED": "its node could not start it",
    "NODE_FAIL": "its node failed",
    "OUT_OF_MEMORY": "killed for want of memory: raise memory in the cluster file",
    "PREEMPTED": "preempted and not queued again by the site",
    "RECONFIG_FAIL": "its node could not be set up",
    "REVOKED": "moved to another cluster",
    "TIMEOUT": "ended at its time limit",
}


def kind(state: str) -> str:
    """``waits``, ``works``, ``ended``, or ``unknown`` for a word that this list does not have."""
    if state in WAITS:
        return "waits"
    if state in WORKS:
        return "works"
    return "ended" if state in ENDED else "unknown"
