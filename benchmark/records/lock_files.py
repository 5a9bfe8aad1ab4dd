"""Lock files of a run folder: names, contents, and whether the process that wrote one still lives.

On the same machine a file lock tells whether the process lives: the kernel releases it when the process ends. From
other machines, and on file systems without locks, the heartbeat tells.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import secrets
import socket
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BEAT_SECONDS = 10
# A stalled network file system delays the heartbeat of a living process by less than this.
SILENT_SECONDS = 180
# An incomplete lock file that is younger than this may still be being written.
TORN_SECONDS = 30
# On some file systems, files get the time of machines whose clocks differ. So before a run of another machine is taken
# over, its heartbeat is watched for longer than two beats. A clock that is wrong by a day is noticed elsewhere.
WATCH_SECONDS = 25
WATCHED_AGE = 24 * 3600
_MAX_BYTES = 65536
MAX_NUMBER = 10**18 - 1  # of a lock file


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock.

    machine: as of ``machine_id``.
    since: time of the lock, in seconds since the epoch.
    owner: the launcher's name of the attempt, e.g. a cluster job; may be empty.
    token: random and unique.
    locked: whether the file system could lock the file.
    """

    machine: str
    host: str
    pid: int
    since: float
    owner: str = ""
    token: str = ""
    locked: bool = True

    def __str__(self) -> str:
        if self == UNKNOWN_HOLDER:
            return "a process whose lock file is not complete yet, or may not be read by this user"
        return f"process {self.pid} on {self.host}" + (f", {self.owner}" if self.owner else "")


UNKNOWN_HOLDER = Holder("", "", 0, 0.0)


def lock_numbers(folder: Path) -> list[int]:
    """Numbers of all lock files in a folder, newest first. Raises OSError if the folder cannot be read."""
    suffixes = [name.removeprefix("claim.") for name in os.listdir(folder) if name.startswith("claim.")]
    numerals = [text for text in suffixes if text.isascii() and text.isdecimal()]
    return sorted((int(text) for text in numerals if len(text) <= len(str(MAX_NUMBER))), reverse=True)


def lock_path(folder: Path, number: int) -> Path:
    """The lock file ``claim.<number>``."""
    return folder / f"claim.{number}"


def lock_content(path: Path) -> bytes | None:
    """Content of a lock file; None if it is no file or may not be read. Raises FileNotFoundError."""
    with contextlib.suppress(PermissionError), _open_file(path) as descriptor:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return os.read(descriptor, _MAX_BYTES)
    return None


def living_holder(folder: Path, number: int, *, watch: bool = False) -> Holder | None:
    """Holder of a lock, or None if it is dead or has released the lock. watch: observe its heartbeat for some time."""
    path = lock_path(folder, number)
    try:
        content = lock_content(path)
        if content is None:
            return UNKNOWN_HOLDER if path.is_file() and not _is_silent(folder, path, watch) else None
        try:
            value = json.loads(content)
        except ValueError:
            return UNKNOWN_HOLDER if file_age(path) <= TORN_SECONDS else None
        holder = _holder(value)
        if holder is None:
            return None
        is_locked = _is_locked(path) if holder.machine == machine_id() and holder.locked else None
        if is_locked is None:
            is_locked = not _is_silent(folder, path, watch)
        return holder if is_locked else None
    except OSError:
        return None  # released in the meantime


def last_sign(folder: Path, lock_file: Path) -> float:
    """Time of the last sign of life of a lock's holder, by the file system's clock."""
    times = [0.0]
    for path in (lock_file, folder / "heartbeat.json"):
        with contextlib.suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times)


def machine_id() -> str:
    """Id of this machine since its last boot: file locks only work between processes of the same kernel."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""  # not Linux
    return f"{socket.gethostname()} {boot}"


@contextlib.contextmanager
def _open_file(path: Path) -> Iterator[int]:
    """Context with an open file descriptor."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # without it, opening a FIFO waits for a writer
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _holder(value: object) -> Holder | None:
    """Parse a holder; None for JSON that no process of this suite wrote."""
    if not isinstance(value, dict):
        return None
    try:
        names = {name: str(value[name]) for name in ("machine", "host")}
        pid, since = int(value["pid"]), float(value["since"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    optional = {name: str(value.get(name, "")) for name in ("owner", "token")}
    return Holder(**names, pid=pid, since=since, **optional, locked=value.get("locked") is not False)


def _is_locked(path: Path) -> bool | None:
    """Whether another process holds the file lock; None if the file system has no locks."""
    with _open_file(path) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return None
        return False


def _is_silent(folder: Path, lock_file: Path, watch: bool) -> bool:
    sign = last_sign(folder, lock_file)
    silence = file_system_time(folder) - sign
    if silence <= SILENT_SECONDS:
        return False
    if not watch or silence > WATCHED_AGE:
        return True
    end = time.monotonic() + WATCH_SECONDS
    while time.monotonic() < end:
        time.sleep(min(1.0, WATCH_SECONDS / 10))
        if last_sign(folder, lock_file) != sign:
            return False
    return True


# --- Clock of the file system ---

# A measurement writes a file, and a waiting launcher needs the time several times a second.
VALID_SECONDS = 60.0
logger = logging.getLogger("benchmark")
# Device of a file system → offset of its clock to this process's monotonic clock, and time of that measurement.
_clock_offsets: dict[int, tuple[float, float]] = {}
_warned = False


def file_system_time(folder: Path) -> float:
    """Time stamp that a file written to the folder now would get, in seconds since the epoch.

    If nothing can be written there, the time of this machine, with a warning once.
    """
    ticks = time.monotonic()
    try:
        device = folder.stat().st_dev
        offset, measured_at = _clock_offsets.get(device, (0.0, -VALID_SECONDS))
        if ticks - measured_at >= VALID_SECONDS:
            offset = _file_stamp(folder) - ticks
            _clock_offsets[device] = offset, ticks
    except OSError as error:
        _warn(folder, error)
        return time.time()
    return ticks + offset


def file_age(path: Path) -> float:
    """Seconds since a file was written. Raises OSError if it does not exist."""
    return file_system_time(path.parent) - path.stat().st_mtime


def _file_stamp(folder: Path) -> float:
    probe = folder / f".clock.{secrets.token_hex(8)}.tmp"
    descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.utime(descriptor)  # a new file may have the client's time; this sets the server's
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
