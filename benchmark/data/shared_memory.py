"""Space for the batches of decoding processes in /dev/shm, and the number of processes that fit (no torch)."""

from __future__ import annotations

import logging
import math
import os
from functools import cache

from benchmark.config.resolve import Config

logger = logging.getLogger("benchmark")

FOLDER = "/dev/shm"
# torch lets each process decode two batches ahead; the run holds the current batch and the next one.
BATCHES_PER_WORKER, BATCHES_IN_THE_RUN = 2, 2
_PAGES = 5 * 4096  # a batch is five tensors, each in its own pages


def batch_bytes(config: Config, ranks: int = 1) -> int:
    """Size in bytes of the largest batch of training or evaluation that one rank of a run loads."""
    from benchmark.data.transforms import AREA  # imported here because it needs numpy

    settings = config.settings
    pixels = settings.data.crop[0] * settings.data.crop[1]
    erased = settings.data.erase * AREA[1] * 3 * 4 * pixels  # float32 noise, largest area
    streams = 2 if config.pwca is not None and config.pwca.brings_partners else 1
    share = math.ceil(settings.train.batch_size / ranks)
    training = streams * share * (3 * pixels + erased)
    return math.ceil(max(training, settings.train.batch_size * 3 * pixels)) + _PAGES


def queued_bytes(workers: int, batch: int) -> int:
    """Largest size in bytes of the batches that a run's decoding processes keep in /dev/shm."""
    return (BATCHES_PER_WORKER * workers + BATCHES_IN_THE_RUN) * batch if workers else 0


def free_bytes() -> int | None:
    """Free space in bytes; None if the system has no such folder."""
    try:
        status = os.statvfs(FOLDER)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize


def fitting_workers(workers: int, batch: int, users: int = 1) -> int:
    """Number of decoding processes for which there is space; logs a warning if not all fit.

    batch: as of ``batch_bytes``.
    users: number of runs, or of ranks of a run, that use the space at the same time.
    """
    free = free_bytes()
    if free is None or queued_bytes(workers, batch) <= free // users:
        return workers
    fitting = max(0, (free // users // batch - BATCHES_IN_THE_RUN) // BATCHES_PER_WORKER)
    _warn(workers, fitting, free // users, queued_bytes(workers, batch), users)
    return fitting


@cache
def _warn(workers: int, fitting: int, free: int, queued: int, users: int) -> None:
    """Log a warning, once for all models that are evaluated one after the other."""
    share = f", one of {users} equal parts" if users > 1 else ""
    decision = f"{fitting} used" if fitting else "none used, pictures are decoded in the run's own process"
    logger.warning(
        "%s has room for %s MiB of batches%s, and %d decoding processes would keep up to %s MiB there: %s; the numbers "
        "are the same. For all %d give the container more (docker run --shm-size=%dm); WORKERS=0 needs none",
        FOLDER, f"{free / 2**20:,.0f}", share, workers, f"{queued / 2**20:,.0f}", decision, workers,
        math.ceil(users * queued / 2**20),
    )  # fmt: skip
