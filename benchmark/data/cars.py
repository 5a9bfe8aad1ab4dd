"""Stanford Cars from its official MATLAB files, in either of the two layouts it was published in (no torch).

(a) ``cars_train/``, ``cars_test/`` and ``devkit/``; the labels of the test images are in
    ``cars_test_annos_withlabels.mat``, a download of its own that lies beside the folders or in ``devkit/``.
(b) ``car_ims/`` with every image and ``cars_annos.mat`` with every label.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.data.fgvc import FGVCDataset, assemble
from benchmark.data.lists import need_files, refuse
from benchmark.errors import DataError

if TYPE_CHECKING:
    import numpy as np

ADVICE = (
    "Fetch the official annotation files again; for a subset, keep whole rows of 'annotations' and all of "
    "'class_names'."
)
WITH_LABELS = "cars_test_annos_withlabels.mat"


def annotation_files(root: Path) -> tuple[Path, ...]:
    """The files that determine lists and labels: layout (b)'s only where nothing of (a)'s is there."""
    names = root / "devkit" / "cars_meta.mat"
    train = root / "devkit" / "cars_train_annos.mat"
    places = (root / WITH_LABELS, root / "devkit" / WITH_LABELS)
    test = next((place for place in places if place.is_file()), places[0])
    everything = root / "cars_annos.mat"
    if everything.is_file() and not train.is_file():
        return (everything,)
    return names, train, test


def read(root: Path) -> FGVCDataset:
    """The dataset at ``root``; classes in the order of ``class_names``, images in that of the annotations.

    Images are not looked at (``lists.missing_files`` does). Raises DataError for a missing or unreadable
    file and Contradictions for annotations that are malformed or disagree.
    """
    files = annotation_files(root)
    if len(files) == 1:
        return _read_joint(root, files[0])
    names_file, train_file, test_file = files
    _need_test_labels(root, test_file)
    need_files("Stanford Cars", files, ADVICE)
    names = _class_names(names_file)
    problems: list[str] = []
    train, test = (
        [
            (f"{folder}/{name}", position)
            for name, position in _rows(
                _annotations(file, ("fname", "class")), file.name, len(names), problems
            )
        ]
        for file, folder in (
            (train_file, _folder(root, "cars_train")),
            (test_file, _folder(root, "cars_test")),
        )
    )
    refuse(f"Stanford Cars at {root}", problems, ADVICE)
    return assemble("cars", root, names, train, test, ADVICE)


def _read_joint(root: Path, file: Path) -> FGVCDataset:
    """Layout (b): one file with all rows, ``test`` tells the splits apart."""
    if (root / "cars_train").is_dir() and not (root / "car_ims").is_dir():
        raise DataError(
            f"Stanford Cars at {root}: found cars_annos.mat, whose rows name images in car_ims, beside the "
            f"folders cars_train and cars_test, which number the images otherwise; expected "
            f"devkit/cars_meta.mat, devkit/cars_train_annos.mat and {WITH_LABELS}. Fetch these three files, "
            f"or the car_ims images"
        )
    names = _class_names(file)
    problems: list[str] = []
    annotations = _annotations(file, ("relative_im_path", "class", "test"))
    rows = _rows(annotations, file.name, len(names), problems, name_field="relative_im_path")
    in_test = [_number(value) for value in annotations["test"]]
    problems += [
        f"{file.name}, row {number}: 'test' is {annotations['test'][number - 1]!r}, expected 0 or 1"
        for number, value in enumerate(in_test, 1)
        if value not in (0, 1)
    ]
    refuse(f"Stanford Cars at {root}", problems, ADVICE)
    train, test = ([row for row, flag in zip(rows, in_test, strict=True) if flag == side] for side in (0, 1))
    return assemble("cars", root, names, train, test, ADVICE)


def _need_test_labels(root: Path, test_file: Path) -> None:
    if (root / "devkit").is_dir() and not test_file.is_file():
        plain = any((root / folder / "cars_test_annos.mat").is_file() for folder in ("", "devkit"))
        found = "found cars_test_annos.mat, which has no labels, but no" if plain else "found no"
        raise DataError(
            f"Stanford Cars at {root}: {found} {WITH_LABELS}, so the test split has no labels. It is a "
            f"download of its own: put it beside the folders or in devkit/"
        )


def _folder(root: Path, name: str) -> str:
    """Where the images of a split lie; some copies nest the folder in one of the same name."""
    return f"{name}/{name}" if (root / name / name).is_dir() else name


def _load(file: Path, variable: str) -> np.ndarray:
    """One variable of a .mat file as a 1-d array, singleton axes dropped."""
    import numpy as np
    from scipy.io import loadmat

    try:
        content = loadmat(file, squeeze_me=True)
    except Exception as error:  # scipy raises a dozen kinds, by where the bytes go wrong
        raise DataError(
            f"{file}: found {file.stat().st_size:,} bytes that cannot be read as a MATLAB file ({error}), "
            f"expected one of version 4 to 7.2. {ADVICE}"
        ) from error
    if variable not in content:
        there = ", ".join(name for name in content if not name.startswith("__")) or "nothing"
        raise DataError(f"{file}: found {there}, expected the variable {variable!r}. {ADVICE}")
    values = np.atleast_1d(content[variable])
    if not values.size:
        raise DataError(f"{file}: {variable!r} is empty, expected one entry a row. {ADVICE}")
    return values


def _class_names(file: Path) -> tuple[str, ...]:
    return tuple(str(name) for name in _load(file, "class_names"))


def _annotations(file: Path, fields: tuple[str, ...]) -> np.ndarray:
    """The struct array ``annotations``; raises DataError where it lacks one of the fields."""
    annotations = _load(file, "annotations")
    found = annotations.dtype.names or ()
    absent = [field for field in fields if field not in found]
    if absent:
        hint = f" The labelled file is called {WITH_LABELS}." if "class" in absent else ""
        raise DataError(
            f"{file}: found the fields {', '.join(found) or 'of no struct'}, expected also "
            f"{', '.join(absent)}.{hint} {ADVICE}"
        )
    return annotations


def _rows(
    annotations: np.ndarray, source: str, classes: int, problems: list[str], name_field: str = "fname"
) -> list[tuple[str, int]]:
    """(file name, class position) of every row; rows with a bad name or class go to ``problems``."""
    rows: list[tuple[str, int]] = []
    for number, (name, value) in enumerate(
        zip(annotations[name_field], annotations["class"], strict=True), 1
    ):
        if not isinstance(name, str) or not name.strip():
            problems.append(f"{source}, row {number}: {name_field!r} is {name!r}, expected a file name")
        class_id = _number(value)
        if class_id is None or not 1 <= class_id <= classes:
            problems.append(
                f"{source}, row {number}: class is {value!r}, expected 1 to {classes}, the number of class_names"
            )
        else:
            rows.append((str(name).strip(), class_id - 1))
    return rows


def _number(value: object) -> int | None:
    """A struct field's number as a Python int (the file's uint8 would wrap below 0), None if it is none."""
    import numpy as np

    values = np.asarray(value)
    if values.size != 1 or values.dtype.kind not in "uifb" or not float(values.item()).is_integer():
        return None
    return int(values.item())
