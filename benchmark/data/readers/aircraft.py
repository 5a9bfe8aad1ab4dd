"""Reader of FGVC-Aircraft 2013b, 100 variants, from its official lists (no torch).

Source of the layout: the README of the official archive ``fgvc-aircraft-2013b.tar.gz``. The bottom 20 pixel rows of
every image are a copyright banner (``transforms.drop_banner``).
"""

from __future__ import annotations

from pathlib import Path

from benchmark.data.fgvc import FGVCDataset, assemble
from benchmark.data.splits import numbered_lines, refuse, require_files

ADVICE = "Unpack the official archive again; for a subset, keep whole lines of the official lists."


def annotation_files(root: Path) -> tuple[Path, ...]:
    """Lists that determine files, labels and splits, existing or not."""
    names = ("variants.txt", "images_variant_trainval.txt", "images_variant_test.txt")
    return tuple(root / "data" / name for name in names)


def read(root: Path) -> FGVCDataset:
    """Read the dataset at ``root``: trainval is train, a class is a line of variants.txt.

    Images are not opened (``splits.missing_files`` finds missing ones). Raises DataError for a missing or empty list,
    and Contradictions for lists that are malformed or disagree.
    """
    files = annotation_files(root)
    require_files("FGVC-Aircraft", files, ADVICE)
    problems: list[str] = []
    position: dict[str, int] = {}
    for number, variant in numbered_lines(files[0]):
        if variant in position:
            problems.append(f"{files[0].name}, line {number}: variant {variant!r} again, expected once")
        position.setdefault(variant, len(position))
    train, test = (_rows(file, position, problems) for file in files[1:])
    refuse(f"FGVC-Aircraft at {root}", problems, ADVICE)
    return assemble("aircraft", root, tuple(position), train, test, ADVICE)


def _rows(path: Path, position: dict[str, int], problems: list[str]) -> list[tuple[str, int]]:
    """(file, class position) of every line ``<id> <variant>``; problems of other lines are added to ``problems``."""
    rows: list[tuple[str, int]] = []
    for number, line in numbered_lines(path):
        image, _, variant = line.partition(" ")  # only the first space: variants contain spaces
        if not image.isdecimal() or not variant.strip():
            problems.append(f"{path.name}, line {number}: found {line!r}, expected '<id> <variant>'")
        elif variant.strip() not in position:
            problems.append(
                f"{path.name}, line {number}: image {image} is a {variant.strip()!r}, expected one of the "
                f"{len(position)} lines of variants.txt"
            )
        else:
            rows.append((f"data/images/{image}.jpg", position[variant.strip()]))
    return rows
