"""Common parts of all readers: splits, text lists, and the error for wrong lists (no torch)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import DataError
from benchmark.reading import MIB, explained, explanation, read_bytes


def folder_below(title: str, folders: Iterable[Path], is_dataset: Callable[[Path], bool]) -> Path | None:
    """Find the only folder directly below some folders that is a dataset; None without one.

    Raises DataError that names all of them if there are several.
    """
    matches: dict[tuple[int, int], Path] = {}
    for folder in folders:
        for below in _folders_in(folder):
            if is_dataset(below):
                status = below.stat()
                matches.setdefault((status.st_dev, status.st_ino), below)  # a link and its target count once
    if len(matches) > 1:
        raise DataError(
            f"{title}: found in {' and in '.join(map(str, matches.values()))}, expected one of them. Remove or "
            "move the others, or set DATA to the one that is meant"
        )
    return next(iter(matches.values()), None)


def _folders_in(folder: Path) -> list[Path]:
    """Folders in a folder, without hidden ones; none if it cannot be listed, which reading then explains."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()
            )
    except OSError:
        return []
    return [folder / name for name in names]


MAX_SHOWN = 10  # contradictions in an error message
MAX_LIST_BYTES = 64 * MIB  # bytes of a list; the largest official one, MSMT17's gallery, has 4
_MAX_LINE = 1000  # characters; the longest official one has 130
_MAX_NAME_BYTES = 255  # bytes of a file's name
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True)
class Split:
    """A split as parallel tuples.

    files: paths relative to the dataset's root, POSIX style, in the official order.
    labels: class indices, 0-based, into the dataset's ``classes``; of query and gallery the official identities.
    """

    files: tuple[str, ...]
    labels: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.files) != len(self.labels):
            raise ValueError(f"{len(self.files)} files but {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.files)

    @classmethod
    def from_rows(cls, rows: Iterable[tuple[str, int]]) -> Split:
        """A split from rows (file, label)."""
        files, labels = tuple(zip(*rows, strict=True)) or ((), ())
        return cls(files, labels)


class Contradictions(DataError):
    """Error with all problems of a dataset's lists: all in ``problems``, the first ten in its text."""

    def __init__(self, where: str, problems: Sequence[str], advice: str) -> None:
        super().__init__(where, tuple(problems), advice)  # unchanged arguments, so that it can be pickled
        self.problems = tuple(problems)
        self.advice = advice
        self._where = where

    def __str__(self) -> str:
        count = len(self.problems)
        head = f"{self._where}: {count:,} {'contradiction' if count == 1 else 'contradictions'}"
        return "\n".join(
            [head, *(f"  {text}" for text in first_items(self.problems, MAX_SHOWN)), self.advice]
        )


def first_items(items: Sequence[str], limit: int) -> list[str]:
    """The first ``limit`` items, and a line ``… and n more`` if there are more."""
    rest = len(items) - limit
    return [*items[:limit], *([f"… and {rest:,} more"] if rest > 0 else [])]


def refuse(where: str, problems: Sequence[str], advice: str) -> None:
    """Raise Contradictions if there are problems."""
    if problems:
        raise Contradictions(where, problems, advice)


def require_files(title: str, files: Iterable[Path], advice: str) -> None:
    """Raise DataError that names every annotation file that does not exist."""
    missing = [str(file) for file in files if not is_reachable(file)]
    if missing:
        raise DataError(f"{title}: missing {', '.join(missing)}; expected the official file there. {advice}")


def is_reachable(path: Path) -> bool:
    """Whether a file or folder exists. Raises DataError if that is unknown, as in a colleague's private folder."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise DataError(explanation(path, error)) from error
    return True


def annotation_bytes(path: Path) -> bytes:
    """Content of an annotation file. Raises DataError if it is no regular file, not readable or far too large."""
    with explained(path, DataError):
        return read_bytes(path, MAX_LIST_BYTES)


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """The non-blank lines of a text list, stripped, each with its line number (from 1).

    Raises DataError as ``annotation_bytes``, and for text that is not UTF-8, control characters, lines of over 1,000
    characters, and an empty list.
    """
    advice = "unpack the official archive again"
    try:
        text = annotation_bytes(path).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: found a byte that is not UTF-8 text ({error.reason} at byte {error.start}), expected a "
            f"plain list; {advice}"
        ) from error
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    lines = [(number, line) for number, line in lines if line]
    if not lines:
        raise DataError(f"{path}: the list is empty, expected one row a line; {advice}")
    for number, line in lines:
        if len(line) > _MAX_LINE:
            raise DataError(
                f"{path}, line {number}: found {len(line):,} characters, expected at most {_MAX_LINE:,}; {advice}"
            )
        if character := control_character(line):
            raise DataError(
                f"{path}, line {number}: found the control character {character!r}, expected plain text; {advice}"
            )
    return lines


def control_character(text: str) -> str:
    """The first control character of a text, tabs and line ends aside, or ""."""
    match = _CONTROL.search(text)
    return match[0] if match else ""


def outside_problems(files: Iterable[str]) -> list[str]:
    """A message for each path that leads out of the dataset's folder, or that no file can have."""
    problems = []
    for file in files:
        parts = file.split("/")
        if file.startswith("/") or ".." in parts:
            problems.append(f"{file!r} leads out of the dataset's folder, expected a path below it")
        elif any(len(part.encode(errors="replace")) > _MAX_NAME_BYTES for part in parts):
            problems.append(
                f"{file[:80]!r}…: a name of more than {_MAX_NAME_BYTES} bytes, which no file can have"
            )
        elif not file.isascii() and _SURROGATE.search(file):
            problems.append(f"{file!r}: expected text, which no file system writes so")
    return problems


def missing_files(root: Path, files: Iterable[str], limit: int | None = None) -> tuple[str, ...]:
    """Those of ``files`` that do not exist below ``root``, in order; stops after ``limit`` (None: all of them).

    Raises DataError as ``is_reachable``.
    """
    missing: list[str] = []
    for file in files:
        if limit is not None and len(missing) >= limit:
            break
        if not is_reachable(root / file):
            missing.append(file)
    return tuple(missing)
