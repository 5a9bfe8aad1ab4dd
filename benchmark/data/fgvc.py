"""What a fine-grained classification dataset is to the suite: two lists of labelled files (no torch)."""

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
    labels: class indices, 0-based, into the dataset's ``classes``.
    """

    files: tuple[str, ...]
    labels: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.files) != len(self.labels):
            raise ValueError(f"{len(self.files)} files but {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.files)


@dataclass(frozen=True)
class FGVCDataset:
    """A dataset as read from its official files; ``classes[i]`` is the official name of label i."""

    key: str
    root: Path
    classes: tuple[str, ...]
    train: Split
    test: Split


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


def assemble(
    key: str,
    root: Path,
    names: Sequence[str],
    train: Sequence[tuple[str, int]],
    test: Sequence[tuple[str, int]],
    advice: str,
) -> FGVCDataset:
    """A dataset from rows (file, position of its class in ``names``).

    Classes of ``names`` without any image are dropped and the labels made contiguous, order kept, so
    that a subset in the official layout is legal input.

    Raises Contradictions for a file that is listed twice, an empty split, and a class that has test but
    no train images.
    """
    problems = [f"the {split} split has no images" for split, rows in _both(train, test) if not rows]
    seen: dict[str, str] = {}
    for split, rows in _both(train, test):
        for file, _ in rows:
            if file in seen:
                problems.append(f"{file} is listed twice ({seen[file]} and {split}), expected once")
            seen[file] = split
    trained, tested = ({position for _, position in rows} for rows in (train, test))
    problems += [
        f"class {names[position]!r} has test but no train images, expected both"
        for position in sorted(tested - trained)
    ]
    refuse(f"{key} at {root}", problems, advice)
    label = {position: index for index, position in enumerate(sorted(trained))}
    splits = (
        Split(tuple(file for file, _ in rows), tuple(label[position] for _, position in rows))
        for rows in (train, test)
    )
    return FGVCDataset(key, root, tuple(names[position] for position in sorted(trained)), *splits)


def _both(train: Sequence, test: Sequence) -> tuple[tuple[str, Sequence], tuple[str, Sequence]]:
    return ("train", train), ("test", test)


def first_classes(dataset: FGVCDataset, count: int) -> FGVCDataset:
    """The dataset cut to its first ``count`` classes in official order.

    Raises DataError if it has fewer classes, or if no test image is left.
    """
    if count > len(dataset.classes):
        raise DataError(
            f"{dataset.key} at {dataset.root} has {len(dataset.classes)} classes, {count} were asked for; "
            f"lower the class limit or set it to 0 for all of them"
        )
    train, test = (_below(split, count) for split in (dataset.train, dataset.test))
    if not test.files:
        raise DataError(
            f"{dataset.key} at {dataset.root}: the first {count} classes have no test images, expected some; "
            f"raise the class limit or set it to 0 for all classes"
        )
    return FGVCDataset(dataset.key, dataset.root, dataset.classes[:count], train, test)


def _below(split: Split, count: int) -> Split:
    kept = [(file, label) for file, label in zip(split.files, split.labels, strict=True) if label < count]
    return Split(tuple(file for file, _ in kept), tuple(label for _, label in kept))


def missing_files(dataset: FGVCDataset, limit: int | None = None) -> tuple[str, ...]:
    """Listed image files that are not on disk, in list order; stops after ``limit`` (None: all of them)."""
    absent: list[str] = []
    for file in (*dataset.train.files, *dataset.test.files):
        if limit is not None and len(absent) >= limit:
            break
        if not (dataset.root / file).is_file():
            absent.append(file)
    return tuple(absent)
