"""Reader of Market-1501 from its official folders; the labels are in the file names (no torch).

Source of the layout: the readme.txt of the official archive ``Market-1501-v15.09.15.zip``. A name is
``<identity>_c<camera>s<sequence>_<frame>_<box>.jpg``; identity -1 is junk, 0 a distractor.
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmark.data.readers import market_folders
from benchmark.data.readers.market_folders import annotation_files as annotation_files
from benchmark.data.reid import SUFFIX, NamingScheme, ReIDDataset

LAYOUT = NamingScheme(
    key="market",
    pattern=re.compile(r"(?P<identity>-1|\d{1,9})_c(?P<camera>\d{1,9})s\d+_\d+_\d+" + SUFFIX, re.ASCII),
    example="0002_c1s1_000451_03.jpg",
    advice="Unpack the official archive again; for a subset, keep whole identities.",
)


def recognises(root: Path) -> bool:
    """Whether the folders at ``root`` contain names of Market-1501."""
    return market_folders.recognises(root, LAYOUT)


def read(root: Path, *, merge_val: bool = True, skip_unparsable: bool = False) -> ReIDDataset:
    """Read the dataset at ``root``; merge_val has no effect. Raises as ``market_folders.read``."""
    return market_folders.read(root, LAYOUT, skip_unparsable)
