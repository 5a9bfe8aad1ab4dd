"""Fine-grained classification datasets: two lists of labelled files (no torch)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.data.splits import Split, outside_problems, refuse
from benchmark.errors import DataError


@dataclass(frozen=True)
class FGVCDataset:
    """A dataset as read from its official files.

    classes: official names; ``classes[i]`` is the name of label i.
    notes: what was left out of a user's own folders, one sentence each.
    """

    key: str
    root: Path
    classes: tuple[str, ...]
    train: Split
    test: Split
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Counts under the names of the registry's official ones."""
        return {"classes": len(self.classes), "train": len(self.train), "test": len(self.test)}

    @property
    def pictures(self) -> tuple[str, ...]:
        """All files, in list order."""
        return (*self.train.files, *self.test.files)


def assemble(
    key: str,
    root: Path,
    names: Sequence[str],
    train: Sequence[tuple[str, int]],
    test: Sequence[tuple[str, int]],
    advice: str,
) -> FGVCDataset:
    """Build and check a dataset.

    Classes without any image are dropped, so that a subset in the official layout is valid. The order of the others is
    kept, their labels are contiguous.

    names: of the classes.
    train, test: rows (file, position of its class in ``names``).

    Raises Contradictions for a file that is listed twice or lies outside the dataset's folder, an empty split, and a
    class with test but without train images.
    """
    parts = {"train": train, "test": test}
    problems = [f"the {split} split has no images" for split, rows in parts.items() if not rows]
    first_listing: dict[str, str] = {}
    for split, rows in parts.items():
        for file, _ in rows:
            if file in first_listing:
                problems.append(f"{file} is listed twice ({first_listing[file]} and {split}), expected once")
            first_listing[file] = split
    problems += outside_problems(first_listing)
    train_classes, test_classes = ({position for _, position in rows} for rows in parts.values())
    problems += [
        f"class {names[position]!r} has test but no train images, expected both"
        for position in sorted(test_classes - train_classes)
    ]
    refuse(f"{key} at {root}", problems, advice)
    label_map = {position: index for index, position in enumerate(sorted(train_classes))}
    splits = (
        Split.from_rows((file, label_map[position]) for file, position in rows) for rows in parts.values()
    )
    return FGVCDataset(key, root, tuple(names[position] for position in sorted(train_classes)), *splits)


def first_classes(dataset: FGVCDataset, count: int) -> FGVCDataset:
    """Cut a dataset to its first ``count`` classes in official order.

    Raises DataError if it has fewer classes, or if no test image is left.
    """
    if count > len(dataset.classes):
        raise DataError(
            f"{dataset.key} at {dataset.root} has {len(dataset.classes)} classes, {count} were asked for; "
            f"lower the class limit or set it to 0 for all of them"
        )
    train, test = (
        Split.from_rows(row for row in zip(split.files, split.labels, strict=True) if row[1] < count)
        for split in (dataset.train, dataset.test)
    )
    if not test.files:
        raise DataError(
            f"{dataset.key} at {dataset.root}: the first {count} classes have no test images, expected some; "
            f"raise the class limit or set it to 0 for all classes"
        )
    return replace(dataset, classes=dataset.classes[:count], train=train, test=test)
