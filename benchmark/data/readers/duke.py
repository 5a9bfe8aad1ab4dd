"""Reader of DukeMTMC-reID from its official folders; the labels are in the file names (no torch).

Source of the layout: the official archive ``DukeMTMC-reID.zip``. A name is ``<identity>_c<camera>_f<frame>.jpg``.

The people on the pictures were filmed without their consent. In 2019 the authors withdrew the dataset. This suite
reads a copy that a user already has, to check published numbers, and never downloads one.
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmark.data.readers import market_folders
from benchmark.data.readers.market_folders import annotation_files as annotation_files
from benchmark.data.reid import SUFFIX, NamingScheme, ReIDDataset

LAYOUT = NamingScheme(
    key="duke",
    pattern=re.compile(r"(?P<identity>\d{1,9})_c(?P<camera>\d{1,9})_f\d+" + SUFFIX, re.ASCII),
    example="0001_c2_f0046182.jpg",
    advice="Compare the copy with its archive; for a subset, keep whole identities.",
)
WHEN_ABSENT = (
    "Its authors withdrew it in 2019 over the privacy of the people on it: this suite reads a copy that you already "
    "have and never fetches one. Put it into one of these folders, set another data folder, or leave the dataset out"
)


def recognises(root: Path) -> bool:
    """Whether the folders at ``root`` contain names of DukeMTMC-reID."""
    return market_folders.recognises(root, LAYOUT)


def read(root: Path, *, merge_val: bool = True, skip_unparsable: bool = False) -> ReIDDataset:
    """Read the dataset at ``root``; merge_val has no effect. Raises as ``market_folders.read``."""
    return market_folders.read(root, LAYOUT, skip_unparsable)
