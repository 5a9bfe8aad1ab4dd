"""A user's own classification dataset: class folders, whose names are the classes (no torch).

Either ``train/<class>/…`` and ``test/<class>/…`` (``val`` without ``test``), or ``<class>/…`` directly, of which a
fifth is used as test pictures by a fixed rule (``select_test_files``). Class folders may have subfolders.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.config.cell_pattern import nearest_hint
from benchmark.config.datasets import OWN
from benchmark.data.fgvc import FGVCDataset, assemble
from benchmark.data.own.image_files import (
    MAX_SHOWN,
    SUFFIXES,
    FolderContent,
    composed_name,
    content_problems,
    left_out_notes,
    list_folder,
    scan_folder,
)
from benchmark.data.splits import Split, first_items, refuse
from benchmark.errors import DataError

EXPECTED = "class folders, <class>/…, or train/<class>/… and test/<class>/… (val where there is no test)"
ADVICE = f"Expected {EXPECTED}."
TEST_SHARE = 5  # one of this many pictures of a class is a test picture
_ROLES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
}

Rows = list[tuple[str, str]]  # (file below the root, its class)


@dataclass(frozen=True)
class _FolderLayout:
    """Folders of a dataset.

    train, test: names of the two folders, "" if the class folders are in the root.
    unused: names of other files and folders.
    """

    train: str = ""
    test: str = ""
    unused: tuple[str, ...] = ()

    @property
    def folders(self) -> tuple[str, ...]:
        return (self.train, self.test) if self.train else ("",)


def annotation_files(root: Path) -> tuple[Path, ...]:
    """Folders whose pictures form the dataset, existing or not."""
    return tuple(root / name for name in (_layout(root) if os.path.isdir(root) else _FolderLayout()).folders)


def single_class_root(root: Path) -> Path | None:
    """The only folder in ``root``, if it has class folders (an archive unpacked into its own name); else None.

    Raises DataError for a folder that cannot be listed.
    """
    folders, files = list_folder(root)
    if (
        len(folders) != 1
        or _ROLES.get(folders[0].lower())
        or any(name.lower().endswith(SUFFIXES) for name in files)
    ):
        return None
    subfolder = root / folders[0]
    return subfolder if len(list_folder(subfolder)[0]) > 1 else None


def read(root: Path) -> FGVCDataset:
    """Read the dataset at ``root``; classes and pictures are in the order of their names. Its key is the folder's name.

    Pictures are not opened. Raises DataError for folders that are no dataset, and Contradictions for everything that
    would be lost: pictures in no class folder or in an unknown format, empty class folders, a class with test but
    without train pictures, a class of one picture if it has to be divided.
    """
    layout, problems, others = _layout(root), [], []
    parts = [_rows(root, folder, problems, others) for folder in layout.folders]
    if not layout.train:
        problems += [
            f"class {name!r} has one picture, expected 2 and more: one of them is held out for the test"
            for name, count in Counter(name for _, name in parts[0]).items()
            if count == 1
        ]
    names = sorted({name for part in parts for _, name in part})
    if len(names) == 1:
        problems.append(f"{names[0]!r} is the only class, expected 2 and more")
    refuse(f"{root.name} at {root}", problems, ADVICE)
    notes = left_out_notes(root, others)
    if layout.unused:
        notes += (f"{root}: not used beside {layout.train} and {layout.test}: {', '.join(layout.unused)}",)
    if layout.train:
        train, test = parts
    else:
        test_files = select_test_files(parts[0])
        train = [row for row in parts[0] if row[0] not in test_files]
        test = [row for row in parts[0] if row[0] in test_files]
        notes += (
            f"{root}: no train and test folders, so a fifth of each class is held out for the test, by names",
        )
    label_map = {name: index for index, name in enumerate(names)}
    labelled_parts = ([(file, label_map[name]) for file, name in part] for part in (train, test))
    return replace(assemble(root.name, root, names, *labelled_parts, ADVICE), notes=notes)


def read_as_test(root: Path, classes: Sequence[str]) -> FGVCDataset:
    """Read all pictures of the class folders at ``root`` as a test split for a model with these classes.

    With train and test folders, those of the test folder. Not every class needs a folder; a folder that is no class is
    refused. The key belongs to no dataset. Raises as ``read``.
    """
    layout, problems, others = _layout(root), [], []
    rows = _rows(root, layout.test, problems, others)
    label_map = {composed_name(name): index for index, name in enumerate(classes)}
    for name in sorted({name for _, name in rows} - label_map.keys()):
        hint = nearest_hint(name, label_map)
        problems.append(f"folder {name!r} is none of the {len(label_map)} classes of the model{hint}")
    if not rows:
        problems.append("there are no pictures")
    names = ", ".join(first_items(classes, MAX_SHOWN))
    advice = f"{ADVICE} A folder's name must be the name of one of the model's classes: {names}."
    refuse(str(root), problems, advice)
    test = Split.from_rows((file, label_map[name]) for file, name in rows)
    return FGVCDataset(OWN, root, tuple(classes), Split((), ()), test, left_out_notes(root, others))


def select_test_files(rows: Iterable[tuple[str, str]]) -> frozenset[str]:
    """Select the test pictures of rows (file, class): in each class the fifth with the smallest digests.

    Their number is rounded to the nearest, at least one and never all. The digest is sha256 of the file's path below
    the dataset: it depends only on names, not on the machine or the order of a listing.
    """
    files_of_class: dict[str, list[str]] = {}
    for file, name in rows:
        files_of_class.setdefault(name, []).append(file)
    selection: set[str] = set()
    for files in files_of_class.values():
        count = min(max(1, (len(files) + TEST_SHARE // 2) // TEST_SHARE), len(files) - 1)
        selection |= set(sorted(files, key=_digest)[:count])
    return frozenset(selection)


def _digest(file: str) -> str:
    return hashlib.sha256(composed_name(file).encode()).hexdigest()


def _layout(root: Path) -> _FolderLayout:
    """Find the folders. Raises DataError if a split is incomplete or has two folders, or if there are no folders."""
    folders, files = list_folder(root)
    if not folders:
        raise DataError(f"{root}: found no folders in it; expected {EXPECTED}")
    roles: dict[str, list[str]] = {}
    for name in folders:
        if role := _ROLES.get(name.lower()):
            roles.setdefault(role, []).append(name)
    if not ("train" in roles and ("test" in roles or "val" in roles)):
        if sum(map(len, roles.values())) < len(folders):
            return _FolderLayout()  # one of several classes may have the name "train"
        raise DataError(
            f"{root}: found {' and '.join(folders)} alone, which are not both sides of a split; "
            f"expected {EXPECTED}"
        )
    if duplicates := [names for names in roles.values() if len(names) > 1]:
        raise DataError(
            f"{root}: both {' and '.join(duplicates[0])} are there, expected one of them; rename one"
        )
    (train,), (test,) = roles["train"], roles.get("test") or roles["val"]
    return _FolderLayout(train, test, tuple(name for name in (*folders, *files) if name not in (train, test)))


def _rows(root: Path, folder: str, problems: list[str], others: list[str]) -> Rows:
    """The pictures of the class folders in ``root/folder``, in the order of classes and names.

    Problems are added to ``problems``, names of files that are left out to ``others``.
    """
    content, prefix = scan_folder(root / folder), f"{folder}/" if folder else ""
    others += [prefix + name for name in content.others]
    problems += content_problems(prefix, content)
    problems += [f"{prefix}{name}: lies in no class folder" for name in content.pictures if "/" not in name]
    problems += _folder_problems(prefix, content)
    rows = [
        (prefix + name, composed_name(name.partition("/")[0])) for name in content.pictures if "/" in name
    ]
    return sorted(rows, key=lambda row: (row[1], composed_name(row[0])))


def _folder_problems(prefix: str, content: FolderContent) -> list[str]:
    with_pictures = {name.partition("/")[0] for name in content.pictures}
    problems = [
        f"{prefix}{name}: a class folder without pictures ({', '.join(suffix[1:] for suffix in SUFFIXES)})"
        for name in content.folders
        if name not in with_pictures
    ]
    spellings = Counter(map(composed_name, content.folders))
    return problems + [
        f"{prefix}{name}: two folders have this name, in two ways of writing it; rename or join them"
        for name, count in spellings.items()
        if count > 1
    ]
