"""What Market-1501 and DukeMTMC-reID share: three folders of pictures, all labels in the file names (no torch)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmark.data.reid import NamingScheme, ReIDDataset, assemble, picture_names
from benchmark.data.splits import is_reachable
from benchmark.errors import DataError

TRAIN, QUERY, GALLERY = FOLDERS = ("bounding_box_train", "query", "bounding_box_test")
JUNK = -1
NOBODY = {JUNK: "junk", 0: "a distractor"}  # identities that are none


def annotation_files(root: Path) -> tuple[Path, ...]:
    """The folders whose file names determine splits and labels, whether or not they are there."""
    return tuple(root / folder for folder in FOLDERS)


def recognises(root: Path, layout: NamingScheme) -> bool:
    """Whether the three folders, which the other dataset has as well, hold any name of this one."""
    for folder in FOLDERS:
        with os.scandir(root / folder) as entries:  # ends at the first such name: this is asked for every run
            if any(layout.picture(folder, entry.name) for entry in entries):
                return True
    return False


def read(
    root: Path,
    layout: NamingScheme,
    skip_unparsable: bool = False,
    *,
    names: Callable[[Path], Sequence[str]] = picture_names,
    notes: Sequence[str] = (),
    untrained: bool = False,
) -> ReIDDataset:
    """The dataset at ``root``, pictures in the order of their names. Junk is left out, distractors stay.

    names: of the pictures in a folder. notes: read when all of them were. untrained: queries and gallery alone, nothing
    to train on.
    Pictures are not opened. Raises DataError for a missing folder and Contradictions as ``reid.assemble`` does, and
    for junk and distractors outside the gallery.
    """
    folders = FOLDERS[1:] if untrained else FOLDERS
    absent = [
        str(root / folder)
        for folder in folders
        if not (is_reachable(root / folder) and os.path.isdir(root / folder))
    ]
    if absent:
        raise DataError(
            f"{layout.title}: missing {', '.join(absent)}; expected such a folder there. {layout.advice}"
        )
    unparsable: list[str] = []
    found = {folder: layout.pictures(folder, names(root / folder), unparsable) for folder in folders}
    train, query, gallery = map(found.get, FOLDERS)
    return assemble(
        layout,
        root,
        train,
        query,
        [picture for picture in gallery if picture.number != JUNK],
        problems=[
            f"{picture.file}: identity {picture.identity} is {NOBODY[picture.number]}, expected in {GALLERY} only"
            for picture in (*(train or ()), *query)
            if picture.number in NOBODY
        ],
        unparsable=unparsable,
        skip_unparsable=skip_unparsable,
        notes=notes,
    )
