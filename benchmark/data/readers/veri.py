"""VeRi-776 from its official lists of names (no torch).

Source of the layout: the official archive. ``name_train.txt``, ``name_query.txt`` and ``name_test.txt`` hold one name
a line, of pictures in ``image_train``, ``image_query`` and ``image_test``; a name is
``<vehicle>_c<camera>_<frame>_<n>.jpg``. The queries are in ``image_test``, too.

Identity and camera come from the names. ``train_label.xml`` and ``test_label.xml`` say them once more, beside colour
and type, which are not used here; where these files are there, names are checked against them.
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

# The official files break XML parsers (bytes that are not of the declared gb2312, broken elements), so their elements
# are looked for one by one, and an attribute whose quotes are broken is passed over.
_ITEM = re.compile(r"<Item\b([^<>]*)")
# Bounds keep the search linear in the file's length, whatever it holds.
_ATTRIBUTE = re.compile(r"\b(\w{1,40})\s{0,9}=\s{0,9}([\"'])([^\"'=]*)\2")


def annotation_files(root: Path) -> tuple[Path, ...]:
    """The lists that determine files, labels and splits, whether or not they are there."""
    return tuple(root / name for name in FOLDERS)


def read(root: Path, *, merge_val: bool = True, skip_unparsable: bool = False) -> ReIDDataset:
    """The dataset at ``root``, pictures in the order of the lists; merge_val has no meaning here.

    Pictures are not looked at, and none is left out for lacking an attribute. Raises DataError for a missing or empty
    list, Contradictions as ``reid.assemble`` does and for names that an XML file contradicts.
    """
    require_files(LAYOUT.title, annotation_files(root), LAYOUT.advice)
    unparsable: list[str] = []
    train, query, gallery = (
        LAYOUT.pictures(folder, [line for _, line in numbered_lines(root / name)], unparsable)
        for name, folder in FOLDERS.items()
    )
    checked = {TRAIN_XML: train, TEST_XML: [*query, *gallery]}
    there = [name for name in checked if is_reachable(root / name)]
    return assemble(
        LAYOUT,
        root,
        train,
        query,
        gallery,
        problems=[line for name in there for line in _contradicted(root / name, checked[name])],
        unparsable=unparsable,
        skip_unparsable=skip_unparsable,
        notes=[f"no {name}: names not checked against it" for name in checked if name not in there],
    )


def _contradicted(path: Path, pictures: Sequence[ReIDPicture]) -> list[str]:
    """A line for every element that gives a listed picture another vehicle or camera than its name does."""
    items = [
        {key: value for key, _, value in _ATTRIBUTE.findall(item)} for item in _ITEM.findall(_text(path))
    ]
    if not items:
        return [f"{path.name}: found no Item element, expected one a picture"]
    named = {picture.file.rpartition("/")[2]: picture for picture in pictures}
    problems: list[str] = []
    for item in items:
        picture = named.get(item.get("imageName", ""))
        if picture is None:
            continue
        for attribute, expected in (("vehicleID", picture.number), ("cameraID", picture.camera)):
            found = item.get(attribute)
            if found is not None and _number(found) != expected:
                problems.append(
                    f"{path.name}: {item['imageName']} has {attribute} {found!r}, expected {expected} as in its name"
                )
    return problems


def _text(path: Path) -> str:
    # All that is read is ASCII, and no byte of a gb2312 character is.
    return annotation_bytes(path).decode("ascii", errors="replace")


def _number(text: str) -> int | None:
    """``0002`` and ``c002`` are 2, anything else is None."""
    return natural_number(text.removeprefix("c"))
