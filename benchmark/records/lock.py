"""Who works in a run folder: at most one process, on any machine that sees the folder (no torch).

A claim is a file ``claim.<n>`` that names its holder. To get one, a process judges all claims that are there, creates
the next number, which must not exist yet, and looks again: a claim that it has not judged is another process's, made in
between, and it takes its own back. So of two holders the later one would have seen the earlier one's claim. It removes
those that it judged dead before it does anything else, so a holder that was taken for dead misses its claim's file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import random
import secrets
import socket
import time
import weakref
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from benchmark.atomic import explained
from benchmark.errors import RunError, SuiteError
from benchmark.records import lock_files
from benchmark.records.lock_files import BEAT_SECONDS, SILENT_SECONDS, Holder

__all__ = ["BEAT_SECONDS", "SILENT_SECONDS", "Busy", "Claim", "Holder", "acquire", "acquire_after", "holder"]

WAIT_SECONDS = 2
# Most time between two attempts of processes that got in each other's way.
YIELD_SECONDS = 0.02


class Busy(RunError):
    """Another living process holds the run. holder: who, where that is known."""

    def __init__(self, message: str, holder: Holder | None = None) -> None:
        super().__init__(message)
        self.holder = holder


class Claim:
    """The right to work in a run folder, held until ``release`` or the process's end.

    content: what stands in its file, with a token that no other claim has: numbers may come again, tokens do not.
    """

    def __init__(self, folder: Path, number: int, descriptor: int, content: bytes) -> None:
        self.folder, self.number = folder, number
        self._descriptor, self._content = descriptor, content
        _held.add(self)

    def verify(self) -> None:
        """Raises Busy if another process took the run over, taking this one for dead; RunError if that is unknown."""
        path = lock_files.path_of(self.folder, self.number)
        try:
            if lock_files.content_of(path) == self._content:
                return
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE):
                raise RunError(
                    f"cannot read {path} ({error.strerror}), so it is not known whether this process still holds the "
                    "run: it stops without writing; the same command goes on from the last checkpoint"
                ) from error
        if not self.folder.is_dir():
            raise Busy(f"{self.folder} was removed while this process worked in it: it stops without writing")
        taker = holder(self.folder)
        raise Busy(
            f"{self.folder} was taken over by {taker or 'another process'}: this one gave no sign for so long that it "
            "was taken for dead, and stops without writing",
            taker,
        )

    def release(self) -> None:
        """Give the run back; safe to call twice. Another process's claim of the same number is left alone."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError, SuiteError):
                self.verify()
                lock_files.path_of(self.folder, self.number).unlink()
            self.let_go()

    def let_go(self) -> None:
        """Close the locked file. In a fork that leaves the lock with the holder, and lets it end with the holder; in
        the holder itself it leaves a dead claim, the sign of a run that began and did not say how it ended.
        """
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


_held: weakref.WeakSet[Claim] = weakref.WeakSet()


def _let_go_of_all() -> None:
    for held in _held:
        held.let_go()


# A killed run's decoding processes live on for seconds, and would keep its lock.
os.register_at_fork(after_in_child=_let_go_of_all)


def acquire(folder: Path, owner: str = "", *, watch: bool = True) -> Claim:
    """Claim a run folder. Raises Busy if a living process holds it, RunError if it cannot be written.

    watch: where another machine's process has given no sign for long, its heartbeat is watched for some seconds before.
    """
    while True:
        with explained(folder / "claim"):
            if mine := _attempt(folder, owner, watch):
                return mine
        time.sleep(random.uniform(0, YIELD_SECONDS))


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
        except Busy as error:
            signs.add(lock_files.last_sign(folder, lock_files.path_of(folder, _newest(folder))))
            others = error.holder is None or error.holder.owner != owner
            if (others and len(signs) > 1) or stopped():
                raise
        time.sleep(WAIT_SECONDS)


def holder(folder: Path) -> Holder | None:
    """The living process that works in a run folder, or None."""
    for number in _numbers(folder):
        if living := lock_files.living(folder, number):
            return living
    return None


def was_started(folder: Path) -> bool:
    """True if some process claimed the folder and did not give it back."""
    return bool(_numbers(folder))


def last_owner(folder: Path) -> str:
    """The launcher's name of the attempt whose claim is the newest, living or not; "" where there is none."""
    try:
        content = json.loads(lock_files.content_of(lock_files.path_of(folder, _newest(folder))) or b"{}")
    except (OSError, ValueError):
        return ""
    return str(content.get("owner", "")) if isinstance(content, dict) else ""


def _numbers(folder: Path) -> list[int]:
    """For those who only look: a folder that cannot be read shows no claims."""
    try:
        return lock_files.numbers(folder)
    except OSError:
        return []


def _newest(folder: Path) -> int:
    return max(lock_files.numbers(folder) if folder.is_dir() else (), default=0)


def _attempt(folder: Path, owner: str, watch: bool) -> Claim | None:
    """A claim, or None if another process got in the way. Raises Busy if a living process holds the folder."""
    number = _newest(folder)
    if number >= lock_files.LARGEST:
        raise RunError(
            f"{lock_files.path_of(folder, number)}: no process of this suite counts so far; remove it"
        )
    judged = _judge(folder, watch)
    mine = _create(folder, number + 1, owner)
    if mine is None:
        return None
    try:
        if _newest(folder) == mine.number and _others(mine).items() <= judged.items():
            for old, content in judged.items():
                _remove(folder, old, content)
            mine.verify()  # it may have been suspended since it looked
            return mine
    except BaseException:
        mine.release()
        raise
    mine.release()
    return None


def _judge(folder: Path, watch: bool) -> dict[int, bytes | None]:
    """The claims that are there, all of them dead, with what stands in them. Raises Busy if one lives."""
    found: dict[int, bytes | None] = {}
    for number in lock_files.numbers(folder):
        with contextlib.suppress(FileNotFoundError):  # released between two looks
            content = lock_files.content_of(lock_files.path_of(folder, number))
            if living := lock_files.living(folder, number, watch=watch):
                raise Busy(
                    f"{folder} is being worked on by {living}; nothing to do here until it ends", living
                )
            found[number] = content
    return found


def _others(mine: Claim) -> dict[int, bytes | None]:
    """The claims besides one's own, with what stands in them."""
    found: dict[int, bytes | None] = {}
    for number in lock_files.numbers(mine.folder):
        with contextlib.suppress(FileNotFoundError):
            if number != mine.number:
                found[number] = lock_files.content_of(lock_files.path_of(mine.folder, number))
    return found


def _remove(folder: Path, number: int, content: bytes | None) -> None:
    """Remove a claim, if that is what stands in it still.

    Raises OSError where it cannot be removed: its process would find it and go on, if it is not dead after all.
    """
    path = lock_files.path_of(folder, number)
    with contextlib.suppress(FileNotFoundError, IsADirectoryError):
        if lock_files.content_of(path) == content:
            path.unlink()


def _create(folder: Path, number: int, owner: str) -> Claim | None:
    """The claim of a number, or None if another process has it.

    A hard link shows the file whole and locked from its first moment. Where the file system has none, the file is
    filled under its own name, and counts as living meanwhile.
    """
    me = Holder(
        lock_files.machine(), socket.gethostname(), os.getpid(), time.time(), owner, secrets.token_hex(16)
    )
    path, draft = lock_files.path_of(folder, number), folder / f".claim.{me.token}.tmp"
    descriptor, content = _write(draft, me)
    try:
        os.link(draft, path)
    except OSError as error:
        # A network file system may have lost the answer to a link that it made.
        if os.fstat(descriptor).st_nlink < 2:
            os.close(descriptor)
            if isinstance(error, FileExistsError):
                return None
            try:
                descriptor, content = _write(path, me)
            except FileExistsError:
                return None
    finally:
        draft.unlink(missing_ok=True)
    return Claim(folder, number, descriptor, content)


def _write(path: Path, me: Holder) -> tuple[int, bytes]:
    """A new file with a holder in it, on disk and, where there are locks, locked: its descriptor and content.

    Raises FileExistsError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            me = replace(me, locked=False)
        content = json.dumps(asdict(me)).encode()
        os.write(descriptor, content)
        os.fsync(descriptor)  # another machine sees it no sooner
    except BaseException:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise
    return descriptor, content
