"""Reading of files that anybody may have put there: regular files of a bounded size, or words that say why not.

Opening never waits: a named pipe, a socket or a device is refused. Errors stay OSErrors, so that a caller may go on
without the file, or ValueErrors of content; ``explained`` turns them into the suite's own errors (no torch).
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from benchmark.errors import RunError, SuiteError

MIB = 2**20
JSON_LIMIT = 64 * MIB
TEXT_LIMIT = 256 * MIB
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_ADVICE = {
    errno.EACCES: "this user may not read it; ask its owner for permission, or name another",
    errno.EPERM: "this user may not read it; ask its owner for permission, or name another",
    errno.ENAMETOOLONG: "the name is too long for this file system; name a shorter one",
    errno.ELOOP: "it is a link that leads back to itself; remove the link, or name another",
    errno.ENOENT: "it does not exist",
    errno.ENOTDIR: "a part of its path is no folder",
    errno.EIO: "the disk or the network file system reports an error (EIO); check it, then try again",
    errno.ESTALE: "the network file system lost it (ESTALE); mount it again, then try again",
}


# What says that something else lies there than expected; every other error is the system's and says nothing of it.
_DAMAGE = (
    errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL, errno.EISDIR, errno.EFBIG, errno.ENXIO,
)  # fmt: skip


def open_file(path: Path, limit: int | None = None) -> IO[bytes]:
    """Open a regular file for reading, without ever waiting for another process.

    limit: the most bytes it may have; None for any size.
    Raises OSError: as ``open`` does; EINVAL for what is no regular file, EFBIG for one larger than the limit.
    """
    _require_regular(path, os.stat(path))  # before opening: to open a device may already change it
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        _require_regular(path, status)
        if limit is not None and status.st_size > limit:
            raise too_large(path, status.st_size, limit)
        os.set_blocking(descriptor, True)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bytes(path: Path, limit: int | None = None) -> bytes:
    """All bytes of a regular file. Raises OSError as ``open_file``."""
    with open_file(path, limit) as stream:
        if limit is None:
            return stream.read()
        parts, size = [], 0
        while part := stream.read(MIB):
            parts.append(part)
            size += len(part)
            if size > limit:  # it grows meanwhile
                raise too_large(path, size, limit)
    return b"".join(parts)


def read_text(path: Path, limit: int | None = TEXT_LIMIT, encoding: str = "utf-8") -> str:
    """The text of a regular file. Raises OSError as ``open_file``, UnicodeDecodeError for bytes that are no text."""
    return read_bytes(path, limit).decode(encoding)


def read_json_value(path: Path, limit: int = JSON_LIMIT) -> object:
    """The JSON value in a file. Raises OSError as ``open_file``, ValueError for what is not JSON."""
    text = read_text(path, limit)
    try:
        value = json.loads(text)
        if "\\ud" in text.lower():  # an escape of half a character: no file and no page could hold it
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def is_there(path: Path) -> bool:
    """Whether anything lies there, also a link to nothing. Raises OSError where the system refuses to say."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def is_refusal(error: OSError) -> bool:
    """Whether the system refuses to read, so that nothing is known of the file."""
    return error.errno not in _DAMAGE


def list_folder(path: Path) -> list[Path]:
    """The entries of a folder by name. Raises OSError."""
    return sorted(path.iterdir())


def require_folder(path: Path) -> None:
    """Raises OSError where something else than a folder is there, or the system refuses to say."""
    if is_there(path) and not path.is_dir():
        raise OSError(errno.EINVAL, "it is no folder; name a folder of run records", str(path))


def require_listable(path: Path) -> None:
    """Raises OSError where a folder is there and cannot be listed."""
    if is_there(path):
        list_folder(path)


def too_large(path: Path, size: int, limit: int) -> OSError:
    """The error of a file that is larger than anything expected there."""
    return OSError(errno.EFBIG, f"it has {size:,} bytes, expected at most {limit:,}", str(path))


def explanation(path: Path, error: OSError) -> str:
    """Why a file or folder cannot be read, and what to do."""
    name = Path(os.fsdecode(error.filename)) if error.filename else path
    return f"cannot read {shortened(name)}: {_ADVICE.get(error.errno, error.strerror or error)}"


def damage_text(path: Path, error: OSError) -> str:
    """What lies there instead of the expected file, for an error that is no refusal."""
    if error.errno == errno.ENOENT and path.is_symlink():
        return f"it is a link to {os.readlink(path)}, which does not exist"
    return _ADVICE.get(error.errno, error.strerror or str(error))


@contextlib.contextmanager
def explained(
    path: Path,
    kind: type[SuiteError] = RunError,
    text: Callable[[Path, OSError], str] = explanation,
) -> Iterator[None]:
    """Turn the operating system's refusals into errors of ``kind`` that say what to do. text: of such an error."""
    try:
        yield
    except OSError as error:
        raise kind(text(path, error)) from error


def shortened(path: Path, length: int = 300) -> str:
    """A path as text; of one that no file system could hold, its beginning and its length."""
    text = str(path)
    return text if len(text) <= length else f"{text[:100]}… ({len(text):,} characters)"


def _require_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no regular file")
        number = errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EINVAL
        raise OSError(number, f"it is {kind}, expected a file", str(path))
