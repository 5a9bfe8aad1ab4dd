"""Who works in a run folder: at most one process, on any machine that sees the folder (no torch).

A claim is a file ``claim.<n>`` that names its holder. The highest n counts. Creating it is atomic (a hard link that
must not exist yet), so of two processes that find claim n dead only one gets n + 1. On the holder's own machine a
file lock tells whether it lives, which the kernel drops with the process however it dies; from other machines its
heartbeat tells.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
import weakref
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmark.atomic import explained
from benchmark.errors import RunError

BEAT_SECONDS = 10
# Longer than a stalled network file system keeps a living holder from beating.
SILENT_SECONDS = 180
WAIT_SECONDS = 2


class Busy(RunError):
    """Another living process holds the run."""


@dataclass(frozen=True)
class Holder:
    """The process behind a claim. owner: the launcher's name of the attempt, e.g. a cluster job; may be empty."""

    machine: str
    host: str
    pid: int
    since: float
    owner: str = ""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}" + (f", {self.owner}" if self.owner else "")


class Claim:
    """The right to work in a run folder, held until ``release`` or the process's end."""

    def __init__(self, folder: Path, number: int, descriptor: int) -> None:
        self.folder = folder
        self.number = number
        self._descriptor = descriptor
        _held.add(self)

    def verify(self) -> None:
        """Raises RunError if somebody took the run over, taking this process for dead."""
        newest = _newest(self.folder)
        if newest != self.number:
            raise RunError(f"{self.folder} was taken over by another process: this one stops without writing")

    def release(self) -> None:
        """Give the run back; safe to call twice."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                _path(self.folder, self.number).unlink()
            self.let_go()

    def let_go(self) -> None:
        """Close the locked file. In a fork that leaves the lock with the holder, and lets it end with the holder."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


_held: weakref.WeakSet[Claim] = weakref.WeakSet()


def _let_go_of_all() -> None:
    for held in _held:
        held.let_go()


# A killed run's decoding processes live on for seconds, and would keep its lock.
os.register_at_fork(after_in_child=_let_go_of_all)


def acquire(folder: Path, owner: str = "") -> Claim:
    """Claim a run folder. Raises Busy if a living process holds it, RunError if it cannot be written."""
    if living := holder(folder):
        raise Busy(f"{folder} is being worked on by {living}; nothing to do here until it ends")
    number = _newest(folder) + 1
    draft = folder / f".claim.{socket.gethostname()}.{os.getpid()}"
    with explained(draft):
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        with contextlib.suppress(
            OSError
        ):  # some network file systems have no locks: then heartbeats tell alone
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # before the file gets its name: it is never seen unlocked
        me = Holder(_machine(), socket.gethostname(), os.getpid(), time.time(), owner)
        os.write(descriptor, json.dumps(asdict(me)).encode())
        try:
            os.link(draft, _path(folder, number))
        except FileExistsError:
            os.close(descriptor)
            raise Busy(f"{folder} was claimed by another process at this moment") from None
        finally:
            draft.unlink(missing_ok=True)
    for old in range(number - 1, 0, -1):
        if not _path(folder, old).exists():
            break
        _path(folder, old).unlink(missing_ok=True)
    return Claim(folder, number, descriptor)


def acquire_after(folder: Path, owner: str, stopped: Callable[[], str]) -> Claim:
    """Claim a run folder, after its holder where that is this attempt's own predecessor or does not seem to live.

    A cluster starts a job again while processes of a node that it lost may still run, and a lost node's claim counts
    as living for SILENT_SECONDS. Another launcher's living process is not waited for.
    stopped: a reason to stop waiting, or "". Raises Busy if the run is in other hands, or when told to stop.
    """
    signs: set[float] = set()
    while True:
        try:
            return acquire(folder, owner)
        except Busy:
            living = holder(folder)
            if living is None:
                continue  # it ended between the two looks
            signs.add(_last_sign(folder, _path(folder, _newest(folder))))
            if (living.owner != owner and len(signs) > 1) or stopped():
                raise
        time.sleep(WAIT_SECONDS)


def holder(folder: Path) -> Holder | None:
    """The living process that works in a run folder, or None."""
    number = _newest(folder)
    if number == 0:
        return None
    path = _path(folder, number)
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return None  # released between the two looks
    try:
        content = json.loads(os.read(descriptor, 4096) or b"{}")
        if content.get("machine") == _machine():
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
            except BlockingIOError:
                pass
            except OSError:  # no locks here
                if time.time() - _last_sign(folder, path) > SILENT_SECONDS:
                    return None
        elif time.time() - _last_sign(folder, path) > SILENT_SECONDS:
            return None
        who = (content[name] for name in ("machine", "host", "pid", "since"))
        return Holder(*who, content.get("owner", ""))
    except (ValueError, KeyError):
        return None  # a torn claim has no holder
    finally:
        os.close(descriptor)


def was_started(folder: Path) -> bool:
    """True if some process claimed the folder and did not give it back."""
    return _newest(folder) > 0


def last_owner(folder: Path) -> str:
    """The launcher's name of the attempt whose claim is the newest, living or not; "" where there is none."""
    try:
        content = json.loads(_path(folder, _newest(folder)).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(content.get("owner", "")) if isinstance(content, dict) else ""


def _last_sign(folder: Path, claim: Path) -> float:
    times = [path.stat().st_mtime for path in (claim, folder / "heartbeat.json") if path.exists()]
    return max(times, default=0.0)


def _newest(folder: Path) -> int:
    numbers = (path.name.removeprefix("claim.") for path in folder.glob("claim.*"))
    return max((int(number) for number in numbers if number.isdigit()), default=0)


def _path(folder: Path, number: int) -> Path:
    return folder / f"claim.{number}"


def _machine() -> str:
    """This machine since its last boot: locks only tell about processes of the same kernel."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""  # not Linux
    return f"{socket.gethostname()} {boot}"
