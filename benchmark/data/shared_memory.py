"""Room in /dev/shm, through which decoding processes hand over their batches, and how many of them fit (no torch)."""

from __future__ import annotations

import logging
import math
import os
from functools import cache

from benchmark.config.resolve import Config

logger = logging.getLogger("benchmark")

FOLDER = "/dev/shm"
# torch lets each process decode two batches ahead; the run holds the one it works on and the one after it.
BATCHES_PER_WORKER, BATCHES_IN_THE_RUN = 2, 2
_PAGES = 5 * 4096  # a batch is five tensors, each in pages of its own


def batch_bytes(config: Config, ranks: int = 1) -> int:
    """Size of the largest batch of a run, of training or evaluation, that one of its ranks loads."""
    from benchmark.data.transforms import AREA  # which brings numpy

    settings = config.settings
    pixels = settings.data.crop[0] * settings.data.crop[1]
    erased = settings.data.erase * AREA[1] * 3 * 4 * pixels  # float32 noise; its mean area is half of that
    streams = 2 if config.pwca is not None and config.pwca.brings_partners else 1
    share = math.ceil(settings.train.batch_size / ranks)
    training = streams * share * (3 * pixels + erased)
    return math.ceil(max(training, settings.train.batch_size * 3 * pixels)) + _PAGES


def kept_bytes(workers: int, batch: int) -> int:
    """What so many decoding processes of a run keep there at most."""
    return (BATCHES_PER_WORKER * workers + BATCHES_IN_THE_RUN) * batch if workers else 0


def free_bytes() -> int | None:
    """The room that is left; None where the system has no such folder."""
    try:
        found = os.statvfs(FOLDER)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize


def fitting_workers(workers: int, batch: int, sharing: int = 1) -> int:
    """How many of the decoding processes there is room for; if not all, a warning says so.

    batch: as ``batch_bytes`` gives it. sharing: runs, or ranks of one, that use the room at the same time.
    """
    free = free_bytes()
    if free is None or kept_bytes(workers, batch) <= free // sharing:
        return workers
    fitting = max(0, (free // sharing // batch - BATCHES_IN_THE_RUN) // BATCHES_PER_WORKER)
    _warn(workers, fitting, free // sharing, kept_bytes(workers, batch), sharing)
    return fitting


@cache
def _warn(workers: int, fitting: int, room: int, kept: int, sharing: int) -> None:
    """Said once for all models that are evaluated one after the other."""
    share = f", one of {sharing} equal parts" if sharing > 1 else ""
    used = f"{fitting} used" if fitting else "none used, pictures are decoded in the run's own process"
    logger.warning(
        "%s has room for %s MiB of batches%s, and %d decoding processes would keep up to %s MiB there: %s; the numbers "
        "are the same. For all %d give the container more (docker run --shm-size=%dm); WORKERS=0 needs none",
        FOLDER, f"{room / 2**20:,.0f}", share, workers, f"{kept / 2**20:,.0f}", used, workers,
        math.ceil(sharing * kept / 2**20),
    )  # fmt: skip
