"""Common reader of Market-1501 and DukeMTMC-reID: three folders, all labels in the file names (no torch)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmark.data.reid import NamingScheme, ReIDDataset, assemble, picture_names
from benchmark.data.splits import is_reachable
from benchmark.errors import DataError

TRAIN, QUERY, GALLERY = FOLDERS = ("bounding_box_train", "query", "bounding_box_test")
JUNK = -1
NO_IDENTITY = {JUNK: "junk", 0: "a distractor"}  # identity numbers of no identity


def annotation_files(root: Path) -> tuple[Path, ...]:
    """Folders whose file names determine splits and labels, existing or not."""
    return tuple(root / folder for folder in FOLDERS)


def recognises(root: Path, scheme: NamingScheme) -> bool:
    """Return True if a file name follows the scheme. Market-1501 and DukeMTMC have the same three folders."""
    for folder in FOLDERS:
        with os.scandir(root / folder) as entries:  # stops at the first such name: this runs for every run
            if any(scheme.picture(folder, entry.name) for entry in entries):
                return True
    return False


def read(
    root: Path,
    scheme: NamingScheme,
    skip_unparsable: bool = False,
    *,
    names: Callable[[Path], Sequence[str]] = picture_names,
    notes: Sequence[str] = (),
    untrained: bool = False,
) -> ReIDDataset:
    """Read the dataset at ``root``; pictures in the order of their names. Junk is left out, distractors are kept.

    names: returns the names of the pictures in a folder.
    notes: read after all names.
    untrained: read only queries and gallery, for no training.
    Pictures are not opened. Raises DataError for a missing folder, Contradictions as ``reid.assemble``, and for junk
    and distractors outside the gallery.
    """
    folders = FOLDERS[1:] if untrained else FOLDERS
    missing = [
        str(root / folder)
        for folder in folders
        if not (is_reachable(root / folder) and os.path.isdir(root / folder))
    ]
    if missing:
        raise DataError(
            f"{scheme.title}: missing {', '.join(missing)}; expected such a folder there. {scheme.advice}"
        )
    unparsable: list[str] = []
    pictures = {folder: scheme.pictures(folder, names(root / folder), unparsable) for folder in folders}
    train, query, gallery = map(pictures.get, FOLDERS)
    return assemble(
        scheme,
        root,
        train,
        query,
        [picture for picture in gallery if picture.number != JUNK],
        problems=[
            f"{picture.file}: identity {picture.identity} is {NO_IDENTITY[picture.number]}, expected in {GALLERY} only"
            for picture in (*(train or ()), *query)
            if picture.number in NO_IDENTITY
        ],
        unparsable=unparsable,
        skip_unparsable=skip_unparsable,
        notes=notes,
    )
