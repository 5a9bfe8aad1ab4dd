"""Pictures and other files below a folder of a user's own dataset (no torch)."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.data.picture_headers import picture_format
from benchmark.data.splits import first_items
from benchmark.errors import DataError
from benchmark.reading import open_file

# Formats that images.read_image decodes; of a file with several pictures the first.
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")
READ_FORMATS = ", ".join(suffix[1:] for suffix in SUFFIXES)
# Files and folders that systems put beside pictures, such as thumbnails.
_SYSTEM_FILES = ("thumbs.db", "desktop.ini", "__macosx", "@eadir")
MAX_SHOWN = 5  # names in a note


@dataclass(frozen=True)
class FolderContent:
    """Content of a folder, as POSIX paths relative to it, each kind sorted.

    pictures: files with the suffix of a picture.
    others: left out, with hidden and system files; folders among them end with a slash.
    unread: files that are pictures by their content, but not by their suffix.
    folders: directly in the folder.
    """

    pictures: tuple[str, ...]
    others: tuple[str, ...]
    unread: tuple[str, ...]
    folders: tuple[str, ...]


def is_ignored(name: str) -> bool:
    """Whether a file or folder is hidden or belongs to the system."""
    return name.startswith(".") or name.lower() in _SYSTEM_FILES


def composed_name(name: str) -> str:
    """The name in Unicode's composed form: file systems write the same name in different forms."""
    return unicodedata.normalize("NFC", name)


def scan_folder(folder: Path) -> FolderContent:
    """Scan a folder and everything below it; links are followed.

    Only files without the suffix of a picture are opened, to read their first bytes.
    Raises DataError for a folder that cannot be listed, a link to a folder around it, and a name that is not UTF-8.
    """
    pictures: list[str] = []
    others: list[str] = []
    folders: list[str] = []
    pending: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
    while pending:
        prefix, ancestors = pending.pop()
        for entry, inode in _entries(folder / prefix):
            name = f"{prefix}{entry.name}"
            if is_ignored(entry.name):
                others.append(f"{name}/" if entry.is_dir() else name)
            elif entry.is_dir():
                if inode in ancestors:
                    raise DataError(f"{folder / name} is a link to a folder that it lies in: remove it")
                pending.append((f"{name}/", ancestors | {inode}))
                folders += [] if prefix else [name]
            else:
                (pictures if name.lower().endswith(SUFFIXES) else others).append(name)
    unread = [name for name in others if not is_ignored(Path(name).name) and _has_picture(folder / name)]
    return FolderContent(
        *(
            tuple(sorted(names, key=composed_name))
            for names in (pictures, set(others) - set(unread), unread, folders)
        )
    )


def list_folder(folder: Path) -> tuple[list[str], list[str]]:
    """The folders and the files directly in a folder, sorted, without hidden and system ones.

    Raises DataError as ``scan_folder``.
    """
    kinds: tuple[list[str], list[str]] = ([], [])
    for entry, _ in _entries(folder):
        if not is_ignored(entry.name):
            kinds[0 if entry.is_dir() else 1].append(entry.name)
    return sorted(kinds[0], key=composed_name), sorted(kinds[1], key=composed_name)


def content_problems(prefix: str, content: FolderContent) -> list[str]:
    """A message for each picture whose suffix is not one of a picture. prefix: of the names in messages, or ""."""
    return [
        f"{prefix}{name}: a picture by its content, but not by its name; rename it if it is one of {READ_FORMATS}; "
        "convert it if it is not (HEIC, AVIF, camera raw)"
        for name in content.unread
    ]


def left_out_notes(root: Path, others: Sequence[str]) -> tuple[str, ...]:
    """A message about the files that are left out; none if there are none."""
    if not others:
        return ()
    count = len(others)
    verb = "1 file that is no picture is" if count == 1 else f"{count:,} files that are no pictures are"
    return (f"{root}: {verb} left out: {', '.join(first_items(others, MAX_SHOWN))}",)


def fingerprint(root: Path, folders: Iterable[Path]) -> str:
    """sha256 over the names and sizes of the pictures below some folders of ``root``.

    Sizes, since a user may change pictures in place; reading contents would take minutes.
    """
    digest = hashlib.sha256()
    for folder in folders:
        for name in scan_folder(folder).pictures:
            file = folder / name
            size = file.stat().st_size if file.is_file() else -1
            digest.update(f"{composed_name(file.relative_to(root).as_posix())}\0{size}\0".encode())
    return digest.hexdigest()


def _entries(folder: Path) -> list[tuple[os.DirEntry[str], tuple[int, int]]]:
    try:
        with os.scandir(folder) as entries:
            listed = [(entry, _inode(entry)) for entry in entries]
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be listed ({error.strerror}), expected a readable folder"
        ) from error
    for entry, _ in listed:
        if not entry.name.isascii() and entry.name != os.fsencode(entry.name).decode(errors="replace"):
            raise DataError(f"{folder}: the name {entry.name!a} is not UTF-8: rename it")
    return listed


def _inode(entry: os.DirEntry[str]) -> tuple[int, int]:
    """Device and inode of a folder; (0, 0) for a file, whose status is not read: there may be 100,000."""
    if not entry.is_dir():
        return (0, 0)
    status = entry.stat()
    return (status.st_dev, status.st_ino)


def _has_picture(file: Path) -> bool:
    """Whether a file begins with the signature of a picture, also of a format that is not read."""
    try:
        with open_file(file) as stream:
            return bool(picture_format(stream.read(16)))
    except OSError:
        return False
