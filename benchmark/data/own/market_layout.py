"""A user's own re-identification dataset in Market-1501's layout (no torch).

Three folders, ``bounding_box_train``, ``query`` and ``bounding_box_test``, with pictures whose names begin as Market's
do, ``<identity>_c<camera>``, and go on as they like: ``0002_c1s1_000451_03.jpg``, ``17_c3.png``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from benchmark.config.datasets import OWN, is_own
from benchmark.data.own.image_files import find, notes_of, problems_of
from benchmark.data.readers import market_folders
from benchmark.data.readers.market_folders import FOLDERS
from benchmark.data.readers.market_folders import annotation_files as annotation_files
from benchmark.data.reid import NamingScheme, ReIDDataset
from benchmark.data.splits import refuse

EXAMPLE = "0002_c1s1_000451_03.jpg"
_NAMES = f"with names like {EXAMPLE}, <identity>_c<camera>…"
EXPECTED = f"{', '.join(FOLDERS[:-1])} and {FOLDERS[-1]} {_NAMES}"
# Records hold identities and cameras as 32-bit numbers.
_PATTERN = re.compile(r"(?P<identity>-1|\d{1,9})_c(?P<camera>\d{1,9})[^\d/][^/]*", re.ASCII)


def recognises(root: Path) -> bool:
    """Whether ``root`` is meant as such a dataset; ``query`` alone may be a class."""
    return any(os.path.isdir(root / folder) for folder in FOLDERS if folder != market_folders.QUERY)


def is_whole(root: Path) -> bool:
    """Whether ``root`` has all three folders."""
    return all(map(os.path.isdir, annotation_files(root)))


def read(root: Path, *, merge_val: bool = True, skip_unparsable: bool = False) -> ReIDDataset:
    """The dataset at ``root``, its key the folder's name; merge_val has no meaning here.

    Identity -1 is junk and left out, 0 a distractor, as in Market-1501; cameras are any numbers. Pictures are not
    opened. Raises as ``market_folders.read`` does, and Contradictions for a picture in a format that is not read.
    """
    key = root.name if is_own(root.name) else OWN  # a folder one down may have an official name
    return _read(root, key, skip_unparsable=skip_unparsable)


def read_as_test(root: Path) -> ReIDDataset:
    """The queries and the gallery at ``root``, for a model trained elsewhere; its key is no dataset's.

    Nothing is trained, so bounding_box_train need not be there. Raises as ``read``.
    """
    return _read(root, OWN, untrained=True)


def _read(root: Path, key: str, **how: bool) -> ReIDDataset:
    expected = f"{' and '.join(FOLDERS[1:])} {_NAMES}" if how.get("untrained") else EXPECTED
    layout = NamingScheme(key, _PATTERN, EXAMPLE, f"Expected {expected}", folder=root.name)
    others: list[str] = []
    notes: list[str] = []

    def names(folder: Path) -> tuple[str, ...]:
        found, below = find(folder), f"{folder.name}/"
        refuse(f"{layout.title} at {root}", problems_of(below, found), layout.advice)
        others.extend(below + name for name in found.others)
        notes[:] = notes_of(root, others)
        return found.pictures

    return market_folders.read(root, layout, names=names, notes=notes, **how)
