"""The clock that stamps files (no torch).

On a network file system it is the server's, and no machine's own clock need agree with it. Ages of files, above all of
files that another machine writes, are measured by it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import time
from pathlib import Path

# A measurement writes a file: a launcher that waits for a run asks several times a second.
VALID_SECONDS = 60.0
logger = logging.getLogger("benchmark")
# Device of a file system → by how much its clock is ahead of this process's monotonic one, and when that was measured.
_measured: dict[int, tuple[float, float]] = {}
_warned = False


def now(folder: Path) -> float:
    """The time by which a file written in a folder would be stamped now, in seconds since the epoch.

    Where nothing can be written it is this machine's own time, with a warning once.
    """
    ticks = time.monotonic()
    try:
        device = folder.stat().st_dev
        ahead, when = _measured.get(device, (0.0, -VALID_SECONDS))
        if ticks - when >= VALID_SECONDS:
            ahead = _stamp(folder) - ticks
            _measured[device] = ahead, ticks
    except OSError as error:
        _warn(folder, error)
        return time.time()
    return ticks + ahead


def age(path: Path) -> float:
    """Seconds since a file was written. Raises OSError where there is none."""
    return now(path.parent) - path.stat().st_mtime


def _stamp(folder: Path) -> float:
    probe = folder / f".clock.{secrets.token_hex(8)}.tmp"
    descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.utime(descriptor)  # the server's time, where the file was made with the client's
        return os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            probe.unlink()


def _warn(folder: Path, error: OSError) -> None:
    global _warned
    if not _warned:
        _warned = True
        logger.warning(
            "the file system's clock cannot be read in %s (%s): whether processes of other machines live is judged by "
            "this machine's clock", folder, error.strerror or error,
        )  # fmt: skip
