"""Reader of VeRi-776 from its official lists of names (no torch).

Source of the layout: the official archive. ``name_train.txt``, ``name_query.txt`` and ``name_test.txt`` have one name
per line, of pictures in ``image_train``, ``image_query`` and ``image_test``. A name is
``<vehicle>_c<camera>_<frame>_<n>.jpg``. The queries are also in ``image_test``.

Identity and camera are read from the names. ``train_label.xml`` and ``test_label.xml`` repeat them, with colour and
type, which are not used here. If these files exist, names are checked against them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from benchmark.config.parse import natural_number
from benchmark.data.reid import SUFFIX, NamingScheme, ReIDDataset, ReIDPicture, assemble
from benchmark.data.splits import annotation_bytes, is_reachable, numbered_lines, require_files

FOLDERS = {
    "name_train.txt": "image_train",
    "name_query.txt": "image_query",
    "name_test.txt": "image_test",
}
TRAIN_XML, TEST_XML = "train_label.xml", "test_label.xml"

LAYOUT = NamingScheme(
    key="veri",
    pattern=re.compile(r"(?P<identity>\d{1,9})_c(?P<camera>\d{1,9})_\d+_\d+" + SUFFIX, re.ASCII),
    example="0002_c002_00030600_0.jpg",
    advice="Unpack the official archive again; for a subset, keep whole lines of the official lists.",
)

# The official files are invalid XML (bytes outside the declared gb2312, broken elements), so elements are searched by a
# pattern, and attributes with broken quotes are skipped.
_ITEM = re.compile(r"<Item\b([^<>]*)")
# The limits keep the search linear in the length of the file.
_ATTRIBUTE = re.compile(r"\b(\w{1,40})\s{0,9}=\s{0,9}([\"'])([^\"'=]*)\2")


def annotation_files(root: Path) -> tuple[Path, ...]:
    """Lists that determine files, labels and splits, existing or not."""
    return tuple(root / name for name in FOLDERS)


def read(root: Path, *, merge_val: bool = True, skip_unparsable: bool = False) -> ReIDDataset:
    """Read the dataset at ``root``, pictures in the order of the lists; merge_val has no effect.

    Pictures are not opened, and none is left out for a missing attribute. Raises DataError for a missing or empty list,
    Contradictions as ``reid.assemble`` and for names that an XML file contradicts.
    """
    require_files(LAYOUT.title, annotation_files(root), LAYOUT.advice)
    unparsable: list[str] = []
    train, query, gallery = (
        LAYOUT.pictures(folder, [line for _, line in numbered_lines(root / name)], unparsable)
        for name, folder in FOLDERS.items()
    )
    listed_pictures = {TRAIN_XML: train, TEST_XML: [*query, *gallery]}
    existing = [name for name in listed_pictures if is_reachable(root / name)]
    return assemble(
        LAYOUT,
        root,
        train,
        query,
        gallery,
        problems=[line for name in existing for line in _contradictions(root / name, listed_pictures[name])],
        unparsable=unparsable,
        skip_unparsable=skip_unparsable,
        notes=[
            f"no {name}: names not checked against it" for name in listed_pictures if name not in existing
        ],
    )


def _contradictions(path: Path, pictures: Sequence[ReIDPicture]) -> list[str]:
    """A message for each element that gives a listed picture another vehicle or camera than its name."""
    items = [
        {key: value for key, _, value in _ATTRIBUTE.findall(item)} for item in _ITEM.findall(_text(path))
    ]
    if not items:
        return [f"{path.name}: found no Item element, expected one a picture"]
    picture_map = {picture.file.rpartition("/")[2]: picture for picture in pictures}
    problems: list[str] = []
    for item in items:
        picture = picture_map.get(item.get("imageName", ""))
        if picture is None:
            continue
        for attribute, expected in (("vehicleID", picture.number), ("cameraID", picture.camera)):
            value = item.get(attribute)
            if value is not None and _number(value) != expected:
                problems.append(
                    f"{path.name}: {item['imageName']} has {attribute} {value!r}, expected {expected} as in its name"
                )
    return problems


def _text(path: Path) -> str:
    # Everything used here is ASCII, and no byte of a gb2312 character is.
    return annotation_bytes(path).decode("ascii", errors="replace")


def _number(text: str) -> int | None:
    """The number of ``0002`` or ``c002``, 2; None for any other text."""
    return natural_number(text.removeprefix("c"))
