"""Lock of a run folder: at most one process works in it, on all machines that see the folder.

A lock is a file ``claim.<n>`` that names its holder. To acquire one, a process
1. checks that the holder of every existing lock file is dead,
2. creates the file with the next number, which must not exist yet,
3. lists the files again. A lock that it has not checked was created in between: it removes its own and starts again.
So of two holders, the later one would have seen the earlier one's file. Before it does anything else, the new holder
removes the files of the dead ones: a process that was wrongly taken for dead notices that its file is missing.
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
from benchmark.records.lock_files import Holder

WAIT_SECONDS = 2
# Upper limit of the random wait after two processes tried to acquire a lock at the same time.
MAX_RETRY_SECONDS = 0.02


class LockHeld(RunError):
    """Error: another living process holds the run. holder: that process, None if unknown."""

    def __init__(self, message: str, holder: Holder | None = None) -> None:
        super().__init__(message)
        self.holder = holder


class RunLock:
    """Lock of a run folder, held until ``release`` or the end of the process.

    number: of the lock file.
    descriptor: open file descriptor of the lock file, which holds the file lock.
    content: of the lock file, with a random token. Numbers may be used again, tokens are unique.
    """

    def __init__(self, folder: Path, number: int, descriptor: int, content: bytes) -> None:
        self.folder, self.number = folder, number
        self._descriptor, self._content = descriptor, content
        _open_locks.add(self)

    def verify(self) -> None:
        """Check that this process still holds the run.

        Raises LockHeld if another process took the run over, and RunError if the lock file cannot be read.
        """
        path = lock_files.lock_path(self.folder, self.number)
        try:
            if lock_files.lock_content(path) == self._content:
                return
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ESTALE):
                raise RunError(
                    f"cannot read {path} ({error.strerror}), so it is not known whether this process still holds the "
                    "run: it stops without writing; the same command goes on from the last checkpoint"
                ) from error
        if not self.folder.is_dir():
            raise LockHeld(
                f"{self.folder} was removed while this process worked in it: it stops without writing"
            )
        successor = holder(self.folder)
        raise LockHeld(
            f"{self.folder} was taken over by {successor or 'another process'}: this one gave no sign for so long that "
            "it was taken for dead, and stops without writing",
            successor,
        )

    def release(self) -> None:
        """Release the run; may be called twice. Does not remove another process's lock file of the same number."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError, SuiteError):
                self.verify()
                lock_files.lock_path(self.folder, self.number).unlink()
            self.close()

    def close(self) -> None:
        """Close the lock file without removing it.

        In a forked child: only the parent then holds the lock, and it ends with the parent. In the holder itself: a
        dead lock remains, as the sign of a run that started and did not record how it ended.
        """
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


_open_locks: weakref.WeakSet[RunLock] = weakref.WeakSet()


def _close_inherited_locks() -> None:
    for lock in _open_locks:
        lock.close()


# The decoding processes of a killed run live on for seconds and would keep its lock.
os.register_at_fork(after_in_child=_close_inherited_locks)


def acquire(folder: Path, owner: str = "", *, watch: bool = True) -> RunLock:
    """Acquire the lock of a run folder.

    owner: the launcher's name of the attempt.
    watch: whether to observe the heartbeat of a long silent process of another machine for some seconds first.

    Raises LockHeld if a living process holds the folder, RunError if it cannot be written.
    """
    while True:
        with explained(folder / "claim"):
            if lock := _try_acquire(folder, owner, watch):
                return lock
        time.sleep(random.uniform(0, MAX_RETRY_SECONDS))


def acquire_after(folder: Path, owner: str, stop_reason: Callable[[], str]) -> RunLock:
    """Acquire the lock of a run folder, waiting for a holder that has the same owner or shows no sign of life.

    A cluster may restart a job while processes on a lost node still run, and the lock of a lost node counts as held
    for SILENT_SECONDS. A living process of another launcher is not waited for.

    stop_reason: returns a reason to stop waiting, or "".
    Raises LockHeld if another launcher's process holds the run, or if a stop is requested.
    """
    signs: set[float] = set()
    while True:
        try:
            return acquire(folder, owner)
        except LockHeld as error:
            signs.add(lock_files.last_sign(folder, lock_files.lock_path(folder, _newest_number(folder))))
            other_owner = error.holder is None or error.holder.owner != owner
            if (other_owner and len(signs) > 1) or stop_reason():
                raise
        time.sleep(WAIT_SECONDS)


def holder(folder: Path) -> Holder | None:
    """The living process that works in a run folder, or None."""
    for number in _numbers(folder):
        if process := lock_files.living_holder(folder, number):
            return process
    return None


def was_started(folder: Path) -> bool:
    """Whether the folder has a lock file: a process acquired it and did not release it."""
    return bool(_numbers(folder))


def last_owner(folder: Path) -> str:
    """Owner in the newest lock file, whether its process lives or not; "" if there is none."""
    try:
        content = json.loads(
            lock_files.lock_content(lock_files.lock_path(folder, _newest_number(folder))) or b"{}"
        )
    except (OSError, ValueError):
        return ""
    return str(content.get("owner", "")) if isinstance(content, dict) else ""


def _numbers(folder: Path) -> list[int]:
    """Numbers of the lock files, for readers: none if the folder cannot be read."""
    try:
        return lock_files.lock_numbers(folder)
    except OSError:
        return []


def _newest_number(folder: Path) -> int:
    return max(lock_files.lock_numbers(folder) if folder.is_dir() else (), default=0)


def _try_acquire(folder: Path, owner: str, watch: bool) -> RunLock | None:
    """Try to acquire the lock; None if another process tried at the same time. Raises LockHeld as ``acquire``."""
    number = _newest_number(folder)
    if number >= lock_files.MAX_NUMBER:
        raise RunError(
            f"{lock_files.lock_path(folder, number)}: no process of this suite counts so far; remove it"
        )
    dead = _dead_locks(folder, watch)
    lock = _create_lock(folder, number + 1, owner)
    if lock is None:
        return None
    try:
        if _newest_number(folder) == lock.number and _other_locks(lock).items() <= dead.items():
            for dead_number, content in dead.items():
                _remove_lock_file(folder, dead_number, content)
            lock.verify()  # the process may have been suspended since it listed the files
            return lock
    except BaseException:
        lock.release()
        raise
    lock.release()
    return None


def _dead_locks(folder: Path, watch: bool) -> dict[int, bytes | None]:
    """Numbers and contents of the existing lock files. Raises LockHeld if the holder of one of them lives."""
    contents: dict[int, bytes | None] = {}
    for number in lock_files.lock_numbers(folder):
        with contextlib.suppress(FileNotFoundError):  # released since the files were listed
            content = lock_files.lock_content(lock_files.lock_path(folder, number))
            if process := lock_files.living_holder(folder, number, watch=watch):
                raise LockHeld(
                    f"{folder} is being worked on by {process}; nothing to do here until it ends", process
                )
            contents[number] = content
    return contents


def _other_locks(lock: RunLock) -> dict[int, bytes | None]:
    """Numbers and contents of the other lock files."""
    contents: dict[int, bytes | None] = {}
    for number in lock_files.lock_numbers(lock.folder):
        with contextlib.suppress(FileNotFoundError):
            if number != lock.number:
                contents[number] = lock_files.lock_content(lock_files.lock_path(lock.folder, number))
    return contents


def _remove_lock_file(folder: Path, number: int, content: bytes | None) -> None:
    """Remove a lock file if it still has this content.

    Raises OSError if it cannot be removed: its process, if it lives after all, would find the file and go on.
    """
    path = lock_files.lock_path(folder, number)
    with contextlib.suppress(FileNotFoundError, IsADirectoryError):
        if lock_files.lock_content(path) == content:
            path.unlink()


def _create_lock(folder: Path, number: int, owner: str) -> RunLock | None:
    """Create the lock of a number; None if another process has it.

    With a hard link the file appears complete and locked. On a file system without hard links it is written under its
    own name; an incomplete new file counts as held.
    """
    process = Holder(
        lock_files.machine_id(), socket.gethostname(), os.getpid(), time.time(), owner, secrets.token_hex(16)
    )
    path, draft = lock_files.lock_path(folder, number), folder / f".claim.{process.token}.tmp"
    descriptor, content = _write_lock_file(draft, process)
    try:
        os.link(draft, path)
    except OSError as error:
        # A network file system may report an error for a link that it has created: the link count tells.
        if os.fstat(descriptor).st_nlink < 2:
            os.close(descriptor)
            if isinstance(error, FileExistsError):
                return None
            try:
                descriptor, content = _write_lock_file(path, process)
            except FileExistsError:
                return None
    finally:
        draft.unlink(missing_ok=True)
    return RunLock(folder, number, descriptor, content)


def _write_lock_file(path: Path, process: Holder) -> tuple[int, bytes]:
    """Write a holder to a new file and lock the file, if the file system has locks.

    Returns its descriptor and content. Raises FileExistsError.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            process = replace(process, locked=False)
        content = json.dumps(asdict(process)).encode()
        os.write(descriptor, content)
        os.fsync(descriptor)  # other machines see the content only after this
    except BaseException:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise
    return descriptor, content
