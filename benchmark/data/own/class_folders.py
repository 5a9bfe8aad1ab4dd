"""A user's own classification dataset: a folder a class, whose name is the class (no torch).

Either ``train/<class>/…`` and ``test/<class>/…`` (``val`` where there is no ``test``), or ``<class>/…`` directly, of
which a fifth is then held out by a fixed rule (``held_out``). Pictures may lie in folders below a class's.
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
from benchmark.data.own.image_files import SHOWN, SUFFIXES, Found, find, normal, notes_of, problems_of, top
from benchmark.data.splits import Split, first_items, refuse
from benchmark.errors import DataError

EXPECTED = "class folders, <class>/…, or train/<class>/… and test/<class>/… (val where there is no test)"
ADVICE = f"Expected {EXPECTED}."
HELD_OUT = 5  # one of so many pictures of a class is a test picture
_ROLES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
}

Rows = list[tuple[str, str]]  # (file below the root, its class)


@dataclass(frozen=True)
class _Layout:
    """train, test: names of the two folders, "" where the class folders lie in the root. unused: what lies beside."""

    train: str = ""
    test: str = ""
    unused: tuple[str, ...] = ()

    @property
    def folders(self) -> tuple[str, ...]:
        return (self.train, self.test) if self.train else ("",)


def annotation_files(root: Path) -> tuple[Path, ...]:
    """The folders whose pictures are the dataset, whether or not they are there."""
    return tuple(root / name for name in (_layout(root) if os.path.isdir(root) else _Layout()).folders)


def only_folder(root: Path) -> Path | None:
    """The folder of class folders that is all there is in ``root``, as an archive unpacked into its own name leaves it.

    Raises DataError for a folder that cannot be listed.
    """
    folders, files = top(root)
    if (
        len(folders) != 1
        or _ROLES.get(folders[0].lower())
        or any(name.lower().endswith(SUFFIXES) for name in files)
    ):
        return None
    below = root / folders[0]
    return below if len(top(below)[0]) > 1 else None


def read(root: Path) -> FGVCDataset:
    """The dataset at ``root``, its key the folder's name; classes and pictures in the order of their names.

    Pictures are not opened. Raises DataError for folders in which no dataset can be seen, and Contradictions for
    everything in them that would be lost: pictures in no class folder or in a format that is not read, empty class
    folders, a class that has test but no train pictures, one picture alone in its class where it has to be divided.
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
    notes = notes_of(root, others)
    if layout.unused:
        notes += (f"{root}: not used beside {layout.train} and {layout.test}: {', '.join(layout.unused)}",)
    if layout.train:
        train, test = parts
    else:
        kept_out = held_out(parts[0])
        train = [row for row in parts[0] if row[0] not in kept_out]
        test = [row for row in parts[0] if row[0] in kept_out]
        notes += (
            f"{root}: no train and test folders, so a fifth of each class is held out for the test, by names",
        )
    label = {name: index for index, name in enumerate(names)}
    labelled = ([(file, label[name]) for file, name in part] for part in (train, test))
    return replace(assemble(root.name, root, names, *labelled, ADVICE), notes=notes)


def read_as_test(root: Path, classes: Sequence[str]) -> FGVCDataset:
    """All pictures of the class folders at ``root`` as a test split, for a model that tells ``classes`` apart.

    Where there are train and test folders, those of the test folder. Not every class needs a folder; a folder that is
    none of the classes is refused. The key is no dataset's. Raises as ``read``.
    """
    layout, problems, others = _layout(root), [], []
    rows = _rows(root, layout.test, problems, others)
    label = {normal(name): index for index, name in enumerate(classes)}
    for name in sorted({name for _, name in rows} - label.keys()):
        hint = nearest_hint(name, label)
        problems.append(f"folder {name!r} is none of the {len(label)} classes of the model{hint}")
    if not rows:
        problems.append("there are no pictures")
    known = (
        f"A folder's name must be the name of one of the model's classes: {', '.join(first_items(classes, SHOWN))}."
    )
    refuse(str(root), problems, f"{ADVICE} {known}")
    test = Split(tuple(file for file, _ in rows), tuple(label[name] for _, name in rows))
    return FGVCDataset(OWN, root, tuple(classes), Split((), ()), test, notes_of(root, others))


def held_out(rows: Iterable[tuple[str, str]]) -> frozenset[str]:
    """The test pictures of rows (file, class): in each class those with the smallest digests, a fifth of them.

    Rounded to the nearest number, at least one and never all. The digest is sha256 over the file's path below the
    dataset: it depends on names alone, not on the machine or the order of a listing.
    """
    by_class: dict[str, list[str]] = {}
    for file, name in rows:
        by_class.setdefault(name, []).append(file)
    chosen: set[str] = set()
    for files in by_class.values():
        count = min(max(1, (len(files) + HELD_OUT // 2) // HELD_OUT), len(files) - 1)
        chosen |= set(sorted(files, key=_digest)[:count])
    return frozenset(chosen)


def _digest(file: str) -> str:
    return hashlib.sha256(normal(file).encode()).hexdigest()


def _layout(root: Path) -> _Layout:
    """Raises DataError where a split is incomplete or stands twice, and where there is no folder at all."""
    folders, files = top(root)
    if not folders:
        raise DataError(f"{root}: found no folders in it; expected {EXPECTED}")
    roles: dict[str, list[str]] = {}
    for name in folders:
        if role := _ROLES.get(name.lower()):
            roles.setdefault(role, []).append(name)
    if not ("train" in roles and ("test" in roles or "val" in roles)):
        if sum(map(len, roles.values())) < len(folders):
            return _Layout()  # a class may be called "train", among others
        raise DataError(
            f"{root}: found {' and '.join(folders)} alone, which are not both sides of a split; "
            f"expected {EXPECTED}"
        )
    if twice := [names for names in roles.values() if len(names) > 1]:
        raise DataError(f"{root}: both {' and '.join(twice[0])} are there, expected one of them; rename one")
    (train,), (test,) = roles["train"], roles.get("test") or roles["val"]
    return _Layout(train, test, tuple(name for name in (*folders, *files) if name not in (train, test)))


def _rows(root: Path, folder: str, problems: list[str], others: list[str]) -> Rows:
    """The pictures of the class folders in ``root/folder``, in the order of classes and names.

    What is wrong with them goes to ``problems``, the names of what is left out to ``others``.
    """
    found, below = find(root / folder), f"{folder}/" if folder else ""
    others += [below + name for name in found.others]
    problems += problems_of(below, found)
    problems += [f"{below}{name}: lies in no class folder" for name in found.pictures if "/" not in name]
    problems += _wrong_folders(below, found)
    rows = [(below + name, normal(name.partition("/")[0])) for name in found.pictures if "/" in name]
    return sorted(rows, key=lambda row: (row[1], normal(row[0])))


def _wrong_folders(below: str, found: Found) -> list[str]:
    filled = {name.partition("/")[0] for name in found.pictures}
    problems = [
        f"{below}{name}: a class folder without pictures ({', '.join(suffix[1:] for suffix in SUFFIXES)})"
        for name in found.folders
        if name not in filled
    ]
    written = Counter(map(normal, found.folders))
    return problems + [
        f"{below}{name}: two folders have this name, in two ways of writing it; rename or join them"
        for name, count in written.items()
        if count > 1
    ]
