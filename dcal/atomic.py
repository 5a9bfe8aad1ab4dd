"""Files that are whole or not there: written beside, flushed to disk, renamed into place."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import IO

_TOKEN = secrets.token_hex(4)


def write_file(
    path: Path, write: Callable[[IO[bytes]], object], *, verify: Callable[[], None] | None = None
) -> None:
    """Replace ``path``, a link itself and not what it points to, by what ``write`` puts into the stream.

    verify: called when the new file is on disk and the old one still there, which stays where this raises.
    Of several writers at once, threads or machines too, one's content stays. Raises OSError; the old file stays then.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{process_ending()}")
    try:
        with open(temporary, "xb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        if verify:
            verify()
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    sync_folder(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace ``path`` by content. Raises OSError as ``write_file``."""
    write_file(path, lambda stream: stream.write(content))


def process_ending() -> str:
    """The end of the names of this process's unfinished files. Process ids are not enough: every container has a
    process 1.
    """
    return f".{os.getpid()}.{_TOKEN}.tmp"


def sync_folder(folder: Path) -> None:
    """Flush a folder's names to disk: after a power cut a renamed file would else have its old name, or none.

    Does nothing where the system cannot open or flush a folder.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
