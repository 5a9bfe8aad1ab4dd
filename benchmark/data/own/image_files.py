"""The pictures below a folder of a user's own, and what else lies there (no torch)."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.data.picture_headers import format_of
from benchmark.data.splits import first_items
from benchmark.errors import DataError
from benchmark.reading import open_file

# What images.read_image decodes; of a file with several pictures the first.
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")
READ = ", ".join(suffix[1:] for suffix in SUFFIXES)
# What systems put beside pictures, thumbnails of them among it.
_LITTER = ("thumbs.db", "desktop.ini", "__macosx", "@eadir")
SHOWN = 5  # names in a note


@dataclass(frozen=True)
class Found:
    """What lies below a folder, as POSIX paths relative to it, each kind sorted.

    pictures: by their suffix. others: left out, hidden ones and those of the system among them; folders of such end
    with a slash. unread: no picture by their suffix, but by their content. folders: directly in the folder.
    """

    pictures: tuple[str, ...]
    others: tuple[str, ...]
    unread: tuple[str, ...]
    folders: tuple[str, ...]


def is_left_out(name: str) -> bool:
    """Whether a file or folder is hidden or the system's."""
    return name.startswith(".") or name.lower() in _LITTER


def normal(name: str) -> str:
    """The name in Unicode's composed form: file systems differ in how they write the same one."""
    return unicodedata.normalize("NFC", name)


def find(folder: Path) -> Found:
    """Everything below a folder, however deep; links are followed.

    Only what is no picture by its suffix is opened, for its first bytes.
    Raises DataError for a folder that cannot be listed, a link to a folder around it, and a name that is not UTF-8.
    """
    pictures: list[str] = []
    others: list[str] = []
    folders: list[str] = []
    left: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    while left:
        below, around = left.pop()
        for entry, inode in _entries(folder / below):
            name = f"{below}{entry.name}"
            if is_left_out(entry.name):
                others.append(f"{name}/" if entry.is_dir() else name)
            elif entry.is_dir():
                if inode in around:
                    raise DataError(f"{folder / name} is a link to a folder that it lies in: remove it")
                left.append((f"{name}/", around | {inode}))
                folders += [] if below else [name]
            else:
                (pictures if name.lower().endswith(SUFFIXES) else others).append(name)
    unread = [name for name in others if not is_left_out(Path(name).name) and _has_picture(folder / name)]
    return Found(
        *(
            tuple(sorted(names, key=normal))
            for names in (pictures, set(others) - set(unread), unread, folders)
        )
    )


def top(folder: Path) -> tuple[list[str], list[str]]:
    """The folders and the files directly in a folder, sorted; hidden ones and those of the system are left out.

    Raises DataError as ``find``.
    """
    kinds: tuple[list[str], list[str]] = ([], [])
    for entry, _ in _entries(folder):
        if not is_left_out(entry.name):
            kinds[0 if entry.is_dir() else 1].append(entry.name)
    return sorted(kinds[0], key=normal), sorted(kinds[1], key=normal)


def problems_of(where: str, found: Found) -> list[str]:
    """A line for every file that seems to be a picture and cannot be taken for one. where: put in front, or ""."""
    return [
        f"{where}{name}: a picture by its content, but not by its name; rename it if it is one of {READ}; convert it "
        "if it is not (HEIC, AVIF, camera raw)"
        for name in found.unread
    ]


def notes_of(root: Path, others: Sequence[str]) -> tuple[str, ...]:
    """A line on the files that were left out, none where there are none."""
    if not others:
        return ()
    count = len(others)
    verb = "1 file that is no picture is" if count == 1 else f"{count:,} files that are no pictures are"
    return (f"{root}: {verb} left out: {', '.join(first_items(others, SHOWN))}",)


def fingerprint(root: Path, folders: Iterable[Path]) -> str:
    """sha256 over the names and sizes of the pictures below some folders of ``root``.

    Sizes, since a user's own pictures may be changed in place; contents would take minutes.
    """
    digest = hashlib.sha256()
    for folder in folders:
        for name in find(folder).pictures:
            file = folder / name
            size = file.stat().st_size if file.is_file() else -1
            digest.update(f"{normal(file.relative_to(root).as_posix())}\0{size}\0".encode())
    return digest.hexdigest()


def _entries(folder: Path) -> list[tuple[os.DirEntry[str], tuple[int, int]]]:
    try:
        with os.scandir(folder) as entries:
            found = [(entry, _inode(entry)) for entry in entries]
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be listed ({error.strerror}), expected a readable folder"
        ) from error
    for entry, _ in found:
        if not entry.name.isascii() and entry.name != os.fsencode(entry.name).decode(errors="replace"):
            raise DataError(f"{folder}: the name {entry.name!a} is not UTF-8: rename it")
    return found


def _inode(entry: os.DirEntry[str]) -> tuple[int, int]:
    """Of a folder; nothing is asked about files, of which there may be 100,000."""
    if not entry.is_dir():
        return (0, 0)
    status = entry.stat()
    return (status.st_dev, status.st_ino)


def _has_picture(file: Path) -> bool:
    """Whether a file begins as a picture does, also in formats that are not read."""
    try:
        with open_file(file) as stream:
            return bool(format_of(stream.read(16)))
    except OSError:
        return False
