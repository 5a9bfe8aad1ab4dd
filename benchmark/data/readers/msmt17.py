"""Reader of MSMT17 from its official lists, in either of its two versions (no torch).

V1 has the folders ``train`` and ``test``; V2, with blurred faces, ``mask_train_v2`` and ``mask_test_v2``. Both have
``list_train.txt``, ``list_val.txt``, ``list_query.txt`` and ``list_gallery.txt``. A line is a path below the train or
the test folder and an identity, ``0000/0000_000_01_0303morning_0015_0.jpg 0``; the third field of the name is the
camera. Train and test identities are numbered separately: 0 in train is not 0 in test.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from benchmark.config.parse import natural_number
from benchmark.data.reid import SUFFIX, NamingScheme, ReIDDataset, ReIDPicture, assemble
from benchmark.data.splits import numbered_lines, require_files
from benchmark.errors import DataError

VERSIONS = {"V1": ("train", "test"), "V2": ("mask_train_v2", "mask_test_v2")}
TRAIN, VAL, QUERY, GALLERY = ("list_train.txt", "list_val.txt", "list_query.txt", "list_gallery.txt")

LAYOUT = NamingScheme(
    key="msmt17",
    pattern=re.compile(
        r"(?P<identity>\d{1,9})/(?P=identity)_\d+_(?P<camera>\d{1,9})_[^/]+" + SUFFIX, re.ASCII
    ),
    example="0000/0000_000_01_0303morning_0015_0.jpg",
    advice="Unpack the official archive again; for a subset, keep whole lines of the official lists.",
    one_numbering=False,
)


def annotation_files(root: Path) -> tuple[Path, ...]:
    """Lists that determine files, labels and splits; the validation list only if it exists.

    The training folder is one of them: its name distinguishes V1 from V2, whose lists may be equal.
    """
    lists = [root / name for name in (TRAIN, QUERY, GALLERY)]
    lists += [root / VAL] if os.path.lexists(root / VAL) else []
    folders = [root / train for train, _ in VERSIONS.values()]
    return (*lists, *([folder for folder in folders if os.path.isdir(folder)] or folders[:1]))


def read(root: Path, *, merge_val: bool = True, skip_unparsable: bool = False) -> ReIDDataset:
    """Read the dataset at ``root``, pictures in the order of the lists. Pictures are not opened.

    merge_val: whether list_val.txt follows list_train.txt in the training set.
    Raises DataError for a missing or empty list and for folders of neither or both versions, Contradictions as
    ``reid.assemble`` and for malformed lines.
    """
    require_files(LAYOUT.title, (root / name for name in (TRAIN, QUERY, GALLERY)), LAYOUT.advice)
    if merge_val and not os.path.lexists(root / VAL):
        raise DataError(
            f"{LAYOUT.title}: missing {root / VAL}, expected the official file, which is part of the training set. "
            f'Put it there, or train on {TRAIN} alone with SET="data.merge_val=false"'
        )
    version = _version(root)
    train_folder, test_folder = VERSIONS[version]
    problems: list[str] = []
    unparsable: list[str] = []
    train = _read_pictures(root / TRAIN, train_folder, problems, unparsable)
    if merge_val:
        validation = _read_pictures(root / VAL, train_folder, problems, unparsable)
        train, val = train + validation, len(validation)
    else:
        val = len(numbered_lines(root / VAL)) if os.path.lexists(root / VAL) else 0
    query, gallery = (
        _read_pictures(root / name, test_folder, problems, unparsable) for name in (QUERY, GALLERY)
    )
    return assemble(
        LAYOUT,
        root,
        train,
        query,
        gallery,
        problems=problems,
        unparsable=unparsable,
        skip_unparsable=skip_unparsable,
        version=version,
        val=val,
        val_merged=merge_val,
    )


def _version(root: Path) -> str:
    """Version by the folders, ``V1`` or ``V2``. Raises DataError unless there are exactly those of one version."""
    existing = [name for folders in VERSIONS.values() for name in folders if os.path.isdir(root / name)]
    for version, folders in VERSIONS.items():
        if existing == list(folders):
            return version
    raise DataError(
        f"{LAYOUT.title} at {root}: found {' and '.join(existing) or 'no folder of pictures'}, expected "
        f"{', or '.join(f'{train} and {test} ({version})' for version, (train, test) in VERSIONS.items())}. "
        f"Unpack one version's archive there, each into a folder of its own"
    )


def _read_pictures(path: Path, folder: str, problems: list[str], unparsable: list[str]) -> list[ReIDPicture]:
    """Pictures of a list ``<path> <identity>`` below ``folder``; problems are added to the last two arguments."""
    pictures: list[ReIDPicture] = []
    for number, line in numbered_lines(path):
        name, _, identity = line.rpartition(" ")
        name, picture = name.strip(), LAYOUT.picture(folder, name.strip())
        if not name or natural_number(identity) is None:
            problems.append(f"{path.name}, line {number}: found {line!r}, expected '<path> <identity>'")
        elif picture is None:
            unparsable.append(f"{folder}/{name}")
        elif picture.number != natural_number(identity):
            problems.append(
                f"{path.name}, line {number}: {name} has identity {identity}, expected {picture.identity} as in its "
                f"name"
            )
        else:
            pictures.append(picture)
    return pictures
