"""Files of runs and reports: whole or not there (``dcal.atomic``), with refusals of the disk explained (no torch)."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO

from benchmark import reading
from benchmark.errors import RunError
from dcal import atomic


def write_file(
    path: Path, write: Callable[[IO[bytes]], object], *, verify: Callable[[], None] | None = None
) -> None:
    """Replace path by what ``write`` puts into the stream. The old file stays until the new one is on disk.

    verify: called when the new file is on disk and the old one still there, which stays where this raises: a process
    that may have lost its right to write asks at the last moment.
    Raises RunError when the disk is full or the folder cannot be written; the old file is untouched then.
    """
    with explained(path):
        atomic.write_file(path, lambda stream: _write_recorded(write, stream), verify=verify)


def _write_recorded(write: Callable[[IO[bytes]], object], stream: IO[bytes]) -> None:
    """Raises the operating system's refusal, whatever ``write`` makes of it."""
    recorder = _Recorder(stream)
    try:
        write(recorder)
    except Exception as error:
        if recorder.refusal is None:
            raise
        raise recorder.refusal from error


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes were writing in a folder. This process's own stay: a thread of it, such as the
    heartbeat, may be writing one just now.
    """
    for temporary in folder.glob(".*.tmp"):
        if not temporary.name.endswith(atomic.process_ending()):
            with explained(temporary):
                temporary.unlink(missing_ok=True)


def write_json(path: Path, value: object, *, verify: Callable[[], None] | None = None) -> None:
    """Replace path by value as JSON. verify, and what it raises: as write_file."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_file(path, lambda stream: stream.write(text.encode()), verify=verify)


def file_sha256(path: Path) -> str:
    """Digest of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_content(folder: Path, mark: str) -> dict[str, int]:
    """Number and bytes of the files in a folder, ``mark`` aside: the file that says that all of them are there."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != mark]
    return {"files": len(sizes), "bytes": sum(sizes)}


def explained(path: Path) -> contextlib.AbstractContextManager[None]:
    """Turn the operating system's refusals to write into a RunError that says what to do."""
    return reading.explained(path, RunError, _explanation)


class _Recorder:
    """A stream that keeps the operating system's refusal: torch's writer turns it into an error without an errno."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.refusal: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            return self._stream.write(data)
        except OSError as error:
            self.refusal = error
            raise

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


# What a refusal of the operating system means, where its own words do not say what to do.
_CAUSES = {
    errno.EIO: "the disk or the network file system reports a hardware or connection error; look at its state (dmesg)",
    errno.ESTALE: "the network file system does not know the folder any more: it was removed or mounted anew",
    errno.ENAMETOOLONG: "the file system takes no name or path of this length: choose a shorter one, also for RUNS",
    errno.EMFILE: "this process has as many files open as it may: raise the limit (ulimit -n)",
    errno.ENFILE: "this machine has as many files open as it can: end other programs",
    errno.ENOENT: "its folder does not exist, or was removed meanwhile",
    errno.ENOTDIR: "a part of the path is a file where a folder is expected",
}


def _explanation(path: Path, error: OSError) -> str:
    free = _free_bytes(path.parent)
    room = f"{free / 2**20:,.0f} MiB are free there" if free is not None else "the folder cannot be read"
    kept = (
        "What was written before is whole; make room or set RUNS to another disk, and run the same command again: it "
        "goes on from the last checkpoint"
    )
    if error.errno == errno.ENOSPC:
        return f"disk full while writing {path}: {room}. {kept}"
    if error.errno == errno.EDQUOT:
        return f"disk full for this user or group while writing {path}: its quota there is used up. {kept}"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"cannot write {path}: {error.strerror}. Set RUNS to a folder that this user may write"
    said = f"cannot write {path}: {error.strerror or error}"
    if error.errno in _CAUSES:
        return f"{said}: {_CAUSES[error.errno]}"
    return f"{said} ({room})"


def _free_bytes(folder: Path) -> int | None:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
