"""What all readers share: a split, text lists, and one error for everything that is wrong (no torch)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import DataError

SHOWN = 10  # contradictions printed in full by an error message


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
        return "\n".join([head, *(f"  {text}" for text in first(self.problems, SHOWN)), self.advice])


def first(items: Sequence[str], limit: int) -> list[str]:
    """The first ``limit`` items, and a last line ``… and n more`` where there are more."""
    rest = len(items) - limit
    return [*items[:limit], *([f"… and {rest:,} more"] if rest > 0 else [])]


def refuse(where: str, problems: Sequence[str], advice: str) -> None:
    """Raises Contradictions if there are any problems."""
    if problems:
        raise Contradictions(where, problems, advice)


def need_files(title: str, files: Iterable[Path], advice: str) -> None:
    """Raises DataError naming every annotation file that is not there."""
    absent = [str(file) for file in files if not file.is_file()]
    if absent:
        raise DataError(f"{title}: missing {', '.join(absent)}; expected the official file there. {advice}")


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """The non-blank lines of a text list, stripped, each with its line number (from 1).

    Raises DataError for a file that is not UTF-8 text or has no such line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: found a byte that is not UTF-8 text ({error.reason} at byte {error.start}), expected a "
            f"plain list; unpack the official archive again"
        ) from error
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    lines = [(number, line) for number, line in lines if line]
    if not lines:
        raise DataError(
            f"{path}: the list is empty, expected one row a line; unpack the official archive again"
        )
    return lines


def missing_files(root: Path, files: Iterable[str], limit: int | None = None) -> tuple[str, ...]:
    """Those of ``files`` that are not on disk below ``root``, in order; stops after ``limit`` (None: all of them)."""
    absent: list[str] = []
    for file in files:
        if limit is not None and len(absent) >= limit:
            break
        if not (root / file).is_file():
            absent.append(file)
    return tuple(absent)
