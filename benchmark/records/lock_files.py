"""The files by which a run folder says who works in it: their names, what stands in them, whether its writer lives
(no torch).

On the writer's own machine a file lock tells whether it lives, which the kernel drops with the process however it dies;
from other machines, and where there are no locks, its heartbeat tells.
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
from dataclasses import dataclass
from pathlib import Path

BEAT_SECONDS = 10
# Longer than a stalled network file system keeps a living holder from beating.
SILENT_SECONDS = 180
# A claim that is not whole may be being written just now.
TORN_SECONDS = 30
# Machines whose clocks differ may stamp the files of some file systems: before such a run is taken over, its heartbeat
# is watched for longer than two beats. A clock that is a day off is noticed elsewhere.
WATCH_SECONDS = 25
WATCHED_AGE = 24 * 3600
_MOST_BYTES = 65536
LARGEST = 10**18 - 1  # number of a claim


@dataclass(frozen=True)
class Holder:
    """The process behind a claim.

    owner: the launcher's name of the attempt, e.g. a cluster job; may be empty. token: random, no other claim's.
    locked: whether the file system could lock the claim's file.
    """

    machine: str
    host: str
    pid: int
    since: float
    owner: str = ""
    token: str = ""
    locked: bool = True

    def __str__(self) -> str:
        if self == UNKNOWN:
            return "a process whose claim is not whole yet, or may not be read by this user"
        return f"process {self.pid} on {self.host}" + (f", {self.owner}" if self.owner else "")


UNKNOWN = Holder("", "", 0, 0.0)


def numbers(folder: Path) -> list[int]:
    """Of all claims in a folder, the newest first. Raises OSError where the folder cannot be read."""
    ends = [name.removeprefix("claim.") for name in os.listdir(folder) if name.startswith("claim.")]
    return sorted(
        (int(end) for end in ends if end.isascii() and end.isdecimal() and len(end) <= len(str(LARGEST))),
        reverse=True,
    )


def path_of(folder: Path, number: int) -> Path:
    """``claim.<number>``."""
    return folder / f"claim.{number}"


def content_of(path: Path) -> bytes | None:
    """What stands in a claim; None for one that is no file, or may not be read. Raises FileNotFoundError."""
    with contextlib.suppress(PermissionError), _opened(path) as descriptor:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return os.read(descriptor, _MOST_BYTES)
    return None


def living(folder: Path, number: int, *, watch: bool = False) -> Holder | None:
    """The process behind a claim, or None if it is dead or has released it. watch: take time to see its heartbeat."""
    path = path_of(folder, number)
    try:
        content = content_of(path)
        if content is None:
            return UNKNOWN if path.is_file() and not _silent(folder, path, watch) else None
        try:
            value = json.loads(content)
        except ValueError:
            return UNKNOWN if age(path) <= TORN_SECONDS else None
        holder = _holder(value)
        if holder is None:
            return None
        is_locked = _is_locked(path) if holder.machine == machine() and holder.locked else None
        if is_locked is None:
            is_locked = not _silent(folder, path, watch)
        return holder if is_locked else None
    except OSError:
        return None  # released between two looks


def last_sign(folder: Path, claim: Path) -> float:
    """When a claim's holder was last heard of, by the file system's clock."""
    times = [0.0]
    for path in (claim, folder / "heartbeat.json"):
        with contextlib.suppress(OSError):
            times.append(path.stat().st_mtime)
    return max(times)


def machine() -> str:
    """This machine since its last boot: locks only tell about processes of the same kernel."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""  # not Linux
    return f"{socket.gethostname()} {boot}"


@contextlib.contextmanager
def _opened(path: Path):  # noqa: ANN202 - an iterator of a descriptor
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a FIFO would else wait for a writer
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _holder(value: object) -> Holder | None:
    """None for JSON that no process of this suite wrote."""
    if not isinstance(value, dict):
        return None
    try:
        named = {name: str(value[name]) for name in ("machine", "host")}
        pid, since = int(value["pid"]), float(value["since"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    rest = {name: str(value.get(name, "")) for name in ("owner", "token")}
    return Holder(**named, pid=pid, since=since, **rest, locked=value.get("locked") is not False)


def _is_locked(path: Path) -> bool | None:
    """None where the file system has no locks."""
    with _opened(path) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return None
        return False


def _silent(folder: Path, claim: Path, watch: bool) -> bool:
    sign = last_sign(folder, claim)
    silence = now(folder) - sign
    if silence <= SILENT_SECONDS:
        return False
    if not watch or silence > WATCHED_AGE:
        return True
    end = time.monotonic() + WATCH_SECONDS
    while time.monotonic() < end:
        time.sleep(min(1.0, WATCH_SECONDS / 10))
        if last_sign(folder, claim) != sign:
            return False
    return True


# --- The clock that stamps files ---

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
