"""A user's own re-identification dataset in Market-1501's layout (no torch).

Three folders, ``bounding_box_train``, ``query`` and ``bounding_box_test``. Names of pictures begin as Market's,
``<identity>_c<camera>``, with any ending: ``0002_c1s1_000451_03.jpg``, ``17_c3.png``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from benchmark.config.datasets import OWN, is_own
from benchmark.data.own.image_files import content_problems, left_out_notes, scan_folder
from benchmark.data.readers import market_folders
from benchmark.data.readers.market_folders import FOLDERS
from benchmark.data.readers.market_folders import annotation_files as annotation_files
from benchmark.data.reid import NamingScheme, ReIDDataset
from benchmark.data.splits import refuse

EXAMPLE = "0002_c1s1_000451_03.jpg"
_NAMES = f"with names like {EXAMPLE}, <identity>_c<camera>…"
EXPECTED = f"{', '.join(FOLDERS[:-1])} and {FOLDERS[-1]} {_NAMES}"
# Records store identities and cameras as 32-bit numbers.
_PATTERN = re.compile(r"(?P<identity>-1|\d{1,9})_c(?P<camera>\d{1,9})[^\d/][^/]*", re.ASCII)


def recognises(root: Path) -> bool:
    """Whether ``root`` has such a folder; ``query`` alone may be the name of a class."""
    return any(os.path.isdir(root / folder) for folder in FOLDERS if folder != market_folders.QUERY)


def has_all_folders(root: Path) -> bool:
    """Whether ``root`` has all three folders."""
    return all(map(os.path.isdir, annotation_files(root)))


def read(root: Path, *, merge_val: bool = True, skip_unparsable: bool = False) -> ReIDDataset:
    """Read the dataset at ``root``; its key is the folder's name. merge_val has no effect.

    Identity -1 is junk and left out, 0 a distractor, as in Market-1501; cameras may have any numbers. Pictures are not
    opened. Raises as ``market_folders.read``, and Contradictions for a picture in an unknown format.
    """
    key = root.name if is_own(root.name) else OWN  # a nested folder may have an official name
    return _read(root, key, skip_unparsable=skip_unparsable)


def read_as_test(root: Path) -> ReIDDataset:
    """Read the queries and the gallery at ``root``, for a model trained elsewhere; the key belongs to no dataset.

    Nothing is trained, so bounding_box_train may be missing. Raises as ``read``.
    """
    return _read(root, OWN, untrained=True)


def _read(root: Path, key: str, **options: bool) -> ReIDDataset:
    expected = f"{' and '.join(FOLDERS[1:])} {_NAMES}" if options.get("untrained") else EXPECTED
    scheme = NamingScheme(key, _PATTERN, EXAMPLE, f"Expected {expected}", folder=root.name)
    others: list[str] = []
    notes: list[str] = []

    def names(folder: Path) -> tuple[str, ...]:
        content, prefix = scan_folder(folder), f"{folder.name}/"
        refuse(f"{scheme.title} at {root}", content_problems(prefix, content), scheme.advice)
        others.extend(prefix + name for name in content.others)
        notes[:] = left_out_notes(root, others)
        return content.pictures

    return market_folders.read(root, scheme, names=names, notes=notes, **options)
