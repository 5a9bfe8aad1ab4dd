"""What all readers share: a split, text lists, and one error for everything that is wrong (no torch)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import DataError
from benchmark.reading import MIB, explained, explanation, read_bytes


def folder_below(title: str, folders: Iterable[Path], is_dataset: Callable[[Path], bool]) -> Path | None:
    """The one folder directly below some folders that is a dataset, or None.

    Raises DataError that names all of them where there are several.
    """
    matches: dict[tuple[int, int], Path] = {}
    for folder in folders:
        for below in _folders_in(folder):
            if is_dataset(below):
                status = below.stat()
                matches.setdefault((status.st_dev, status.st_ino), below)  # a link and its target are one
    if len(matches) > 1:
        raise DataError(
            f"{title}: found in {' and in '.join(map(str, matches.values()))}, expected one of them. Remove or move the "
            "others, or set DATA to the one that is meant"
        )
    return next(iter(matches.values()), None)


def nesting_text(root: Path, expected: Iterable[Path]) -> str:
    """What to say of a dataset that is used one folder down, "" of one in an expected place."""
    if root in expected:
        return ""
    return f"found one folder down, in {root}: that folder is used"


def _folders_in(folder: Path) -> list[Path]:
    """Hidden ones left out; none where it cannot be listed, which reading the dataset then explains."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()
            )
    except OSError:
        return []
    return [folder / name for name in names]


MAX_SHOWN = 10  # contradictions printed in full by an error message
MAX_LIST_BYTES = 64 * MIB  # bytes of a list; the largest official one, MSMT17's gallery, has 4
_MAX_LINE = 1000  # characters; the longest official one has 130
_MAX_NAME_BYTES = 255  # bytes of a file's name
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True)
class Split:
    """One split as parallel tuples.

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


class Contradictions(DataError):
    """Everything that is wrong with a dataset's lists: all of it in ``problems``, the first ten as text."""

    def __init__(self, where: str, problems: Sequence[str], advice: str) -> None:
        super().__init__(where, tuple(problems), advice)  # the arguments as they are, so that it pickles
        self.problems = tuple(problems)
        self.advice = advice
        self._where = where

    def __str__(self) -> str:
        count = len(self.problems)
        head = f"{self._where}: {count:,} {'contradiction' if count == 1 else 'contradictions'}"
        return "\n".join([head, *(f"  {text}" for text in first_items(self.problems, MAX_SHOWN)), self.advice])


def first_items(items: Sequence[str], limit: int) -> list[str]:
    """The first ``limit`` items, and a last line ``… and n more`` where there are more."""
    rest = len(items) - limit
    return [*items[:limit], *([f"… and {rest:,} more"] if rest > 0 else [])]


def refuse(where: str, problems: Sequence[str], advice: str) -> None:
    """Raises Contradictions if there are any problems."""
    if problems:
        raise Contradictions(where, problems, advice)


def require_files(title: str, files: Iterable[Path], advice: str) -> None:
    """Raises DataError naming every annotation file that is not there."""
    missing = [str(file) for file in files if not is_reachable(file)]
    if missing:
        raise DataError(f"{title}: missing {', '.join(missing)}; expected the official file there. {advice}")


def is_reachable(path: Path) -> bool:
    """Whether a file or folder exists. Raises DataError where that cannot be told, as in a colleague's folder."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise DataError(explanation(path, error)) from error
    return True


def annotation_bytes(path: Path) -> bytes:
    """The content of an annotation file. Raises DataError for what is no regular file, unreadable or far too large."""
    with explained(path, DataError):
        return read_bytes(path, MAX_LIST_BYTES)


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """The non-blank lines of a text list, stripped, each with its line number (from 1).

    Raises DataError as ``annotation_bytes``, for what is not UTF-8 text, has control characters or lines of over 1,000
    characters, and for a list without a line.
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
    """A line for every path of a list that leads out of the dataset's folder, or that no file can have."""
    problems = []
    for file in files:
        parts = file.split("/")
        if file.startswith("/") or ".." in parts:
            problems.append(f"{file!r} leads out of the dataset's folder, expected a path below it")
        elif any(len(part.encode(errors="replace")) > _MAX_NAME_BYTES for part in parts):
            problems.append(f"{file[:80]!r}…: a name of more than {_MAX_NAME_BYTES} bytes, which no file can have")
        elif not file.isascii() and _SURROGATE.search(file):
            problems.append(f"{file!r}: expected text, which no file system writes so")
    return problems


def missing_files(root: Path, files: Iterable[str], limit: int | None = None) -> tuple[str, ...]:
    """Those of ``files`` that are not on disk below ``root``, in order; stops after ``limit`` (None: all of them).

    Raises DataError as ``is_reachable``.
    """
    missing: list[str] = []
    for file in files:
        if limit is not None and len(missing) >= limit:
            break
        if not is_reachable(root / file):
            missing.append(file)
    return tuple(missing)
