"""Reader of CUB-200-2011 from its official lists: four text files with common image and class ids (no torch).

Source of the layout: the README of the official archive ``CUB_200_2011.tgz``.
"""

from __future__ import annotations

from pathlib import Path

from benchmark.config.parse import natural_number
from benchmark.data.fgvc import FGVCDataset, assemble
from benchmark.data.splits import numbered_lines, refuse, require_files

ADVICE = (
    "Unpack the official archive again; for a subset, filter images.txt, image_class_labels.txt and "
    "train_test_split.txt to the same ids."
)

Table = dict[int, tuple[int, str]]  # id -> (line number, the rest of the line)


def annotation_files(root: Path) -> tuple[Path, ...]:
    """Lists that determine files, labels and splits, existing or not."""
    names = ("classes.txt", "images.txt", "image_class_labels.txt", "train_test_split.txt")
    return tuple(root / name for name in names)


def read(root: Path) -> FGVCDataset:
    """Read the dataset at ``root``, joined by ids; images and classes in the order of their ids.

    Images are not opened (``splits.missing_files`` finds missing ones). Raises DataError for a missing or empty list,
    and Contradictions for lists that are malformed or disagree.
    """
    require_files("CUB-200-2011", annotation_files(root), ADVICE)
    where, problems = f"CUB-200-2011 at {root}", []
    classes, images, labels, splits = (
        _table(file, meaning, problems)
        for file, meaning in zip(
            annotation_files(root), ("class name", "path", "class id", "1 train | 0 test"), strict=True
        )
    )
    class_ids = _numbers(labels, "image_class_labels.txt", "a class id", problems)
    is_train = _numbers(splits, "train_test_split.txt", "1 (train) or 0 (test)", problems, allowed=(0, 1))
    refuse(where, problems, ADVICE)

    problems += _unmatched_ids(images, "images.txt", labels, "image_class_labels.txt")
    problems += _unmatched_ids(images, "images.txt", splits, "train_test_split.txt")
    order = sorted(classes)
    position = {class_id: index for index, class_id in enumerate(order)}
    for image, class_id in class_ids.items():
        if class_id not in position:
            problems.append(
                f"image_class_labels.txt, line {labels[image][0]}: image {image} has class {class_id}, "
                f"expected one of the {len(order)} ids of classes.txt"
            )
        elif image in images and images[image][1].split("/")[0] != classes[class_id][1]:
            problems.append(
                f"images.txt, line {images[image][0]}: image {image} is {images[image][1]!r}, expected it in "
                f"the folder of its class {class_id}, {classes[class_id][1]!r}"
            )
    refuse(where, problems, ADVICE)

    rows = {1: [], 0: []}
    for image in sorted(images):
        rows[is_train[image]].append((f"images/{images[image][1]}", position[class_ids[image]]))
    return assemble("cub", root, [classes[class_id][1] for class_id in order], rows[1], rows[0], ADVICE)


def _table(path: Path, meaning: str, problems: list[str]) -> Table:
    """The rows ``<id> <rest>`` of a list; rows that are malformed or repeat an id go to ``problems``."""
    table: Table = {}
    for number, line in numbered_lines(path):
        head, _, rest = line.partition(" ")
        key = natural_number(head)
        if key is None or not rest.strip():
            problems.append(f"{path.name}, line {number}: found {line!r}, expected '<id> <{meaning}>'")
        elif key in table:
            first_line = table[key][0]
            problems.append(
                f"{path.name}, line {number}: id {head} is on line {first_line} already, expected once"
            )
        else:
            table[key] = (number, rest.strip())
    return table


def _numbers(
    table: Table, name: str, expected: str, problems: list[str], allowed: tuple[int, ...] = ()
) -> dict[int, int]:
    """id → value of the row as a number; problems of other values are added to ``problems``."""
    numbers: dict[int, int] = {}
    for image, (number, text) in table.items():
        value = natural_number(text)
        if value is None or (allowed and value not in allowed):
            problems.append(f"{name}, line {number}: found {text!r} for image {image}, expected {expected}")
        else:
            numbers[image] = value
    return numbers


def _unmatched_ids(first: Table, first_name: str, second: Table, second_name: str) -> list[str]:
    """A message for each id that only one of two lists has."""
    return [
        f"image {image} is in {first_name} but not in {second_name}"
        for image in sorted(first.keys() - second)
    ] + [
        f"image {image} is in {second_name} but not in {first_name}"
        for image in sorted(second.keys() - first)
    ]
