"""Datasets one folder down, as an archive that was unpacked into a folder of its own name leaves them (no torch)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmark.errors import DataError


def folder_below(title: str, folders: Iterable[Path], is_dataset: Callable[[Path], bool]) -> Path | None:
    """The one folder directly below some folders that is a dataset, or None.

    Raises DataError that names all of them where there are several.
    """
    found: dict[tuple[int, int], Path] = {}
    for folder in folders:
        for below in _folders_in(folder):
            if is_dataset(below):
                status = below.stat()
                found.setdefault((status.st_dev, status.st_ino), below)  # a link and its target are one
    if len(found) > 1:
        raise DataError(
            f"{title}: found in {' and in '.join(map(str, found.values()))}, expected one of them. Remove or move the "
            "others, or set DATA to the one that is meant"
        )
    return next(iter(found.values()), None)


def note(root: Path, expected: Iterable[Path]) -> str:
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
