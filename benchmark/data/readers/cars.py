"""Reader of Stanford Cars from its official MATLAB files, in either of its two layouts (no torch).

(a) ``cars_train/``, ``cars_test/`` and ``devkit/``. The labels of the test images are in
    ``cars_test_annos_withlabels.mat``, a separate download, beside the folders or in ``devkit/``.
(b) ``car_ims/`` with all images and ``cars_annos.mat`` with all labels.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.data.fgvc import FGVCDataset, assemble
from benchmark.data.readers import matlab_files
from benchmark.data.readers.matlab_files import MatlabFile, Value, Variable
from benchmark.data.splits import control_character, refuse, require_files
from benchmark.errors import DataError

ADVICE = (
    "Fetch the official annotation files again; for a subset, keep whole rows of 'annotations' and all of "
    "'class_names'."
)
WITH_LABELS = "cars_test_annos_withlabels.mat"
_NAMES, _ROWS = "class_names", "annotations"  # names of variables


def annotation_files(root: Path) -> tuple[Path, ...]:
    """Files that determine lists and labels: those of layout (b) only if the training file of (a) is missing."""
    devkit = _devkit(root)
    names = devkit / "cars_meta.mat"
    train = devkit / "cars_train_annos.mat"
    places = (root / WITH_LABELS, devkit / WITH_LABELS)
    test = next((place for place in places if os.path.isfile(place)), places[0])
    joint = root / "cars_annos.mat"
    if os.path.isfile(joint) and not os.path.isfile(train):
        return (joint,)
    return names, train, test


def _devkit(root: Path) -> Path:
    """Folder of the annotation files, also if its archive was unpacked into a folder of its own."""
    default = root / "devkit"
    if os.path.isfile(default / "cars_meta.mat"):
        return default
    candidates = [root / "car_devkit" / "devkit", default / "devkit", root / "car_devkit"]
    matches = [folder for folder in candidates if os.path.isfile(folder / "cars_meta.mat")]
    if len(matches) > 1:
        raise DataError(
            f"Stanford Cars at {root}: found cars_meta.mat in {' and in '.join(map(str, matches))}, expected one of "
            "them; remove the others"
        )
    return matches[0] if matches else default


def read(root: Path) -> FGVCDataset:
    """Read the dataset at ``root``; classes in the order of ``class_names``, images in that of the annotations.

    Images are not opened (``splits.missing_files`` finds missing ones). Raises DataError for a missing or unreadable
    file, and Contradictions for annotations that are malformed or disagree.
    """
    files = annotation_files(root)
    if len(files) == 1:
        return _read_joint(root, files[0])
    names_file, train_file, test_file = files
    _require_test_labels(root, test_file)
    require_files("Stanford Cars", files, ADVICE)
    fields = ("fname", "class")
    variables = {names_file: [_NAMES], train_file: [_ROWS], test_file: [_ROWS]}
    contents = matlab_files.load(variables, fields, ADVICE)
    names = _class_names(names_file, contents[names_file])
    problems: list[str] = []
    train, test = (
        [
            (f"{folder}/{name}", position)
            for name, position in _rows(
                _annotations(file, fields, contents[file]), file.name, len(names), problems
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
    """Read layout (b): one file with all rows, in which ``test`` gives the split."""
    if os.path.isdir(root / "cars_train") and not os.path.isdir(root / "car_ims"):
        raise DataError(
            f"Stanford Cars at {root}: found cars_annos.mat, whose rows name images in car_ims, beside the "
            f"folders cars_train and cars_test, which number the images otherwise; expected "
            f"devkit/cars_meta.mat, devkit/cars_train_annos.mat and {WITH_LABELS}. Fetch these three files, "
            f"or the car_ims images"
        )
    fields = ("relative_im_path", "class", "test")
    content = matlab_files.load({file: [_NAMES, _ROWS]}, fields, ADVICE)[file]
    names = _class_names(file, content)
    problems: list[str] = []
    annotations = _annotations(file, fields, content)
    rows = _rows(annotations, file.name, len(names), problems, name_field="relative_im_path")
    test_flags = [_number(value) for value in annotations["test"]]
    problems += [
        f"{file.name}, row {number}: 'test' is {_value_text(annotations['test'][number - 1])}, expected 0 or 1"
        for number, value in enumerate(test_flags, 1)
        if value not in (0, 1)
    ]
    refuse(f"Stanford Cars at {root}", problems, ADVICE)
    train, test = (
        [row for row, flag in zip(rows, test_flags, strict=True) if flag == side] for side in (0, 1)
    )
    return assemble("cars", root, names, train, test, ADVICE)


def _require_test_labels(root: Path, test_file: Path) -> None:
    if os.path.isdir(devkit := _devkit(root)) and not os.path.exists(test_file):
        has_unlabelled = any(os.path.isfile(folder / "cars_test_annos.mat") for folder in (root, devkit))
        problem = "found cars_test_annos.mat, which has no labels, but no" if has_unlabelled else "found no"
        raise DataError(
            f"Stanford Cars at {root}: {problem} {WITH_LABELS}, so the test split has no labels. It is a "
            f"download of its own: put it beside the folders or in {devkit.relative_to(root)}/"
        )


def _folder(root: Path, name: str) -> str:
    """Folder of the images of a split; some copies nest it in a folder of the same name."""
    return f"{name}/{name}" if os.path.isdir(root / name / name) else name


def _variable(file: Path, content: MatlabFile, name: str) -> Variable:
    """A variable of a file with one dimension, one entry per row."""
    if name not in content.variables:
        existing = ", ".join(content.names) or "nothing"
        raise DataError(f"{file}: found {existing}, expected the variable {name!r}. {ADVICE}")
    variable = content.variables[name]
    if 0 in variable.shape:
        raise DataError(f"{file}: {name!r} is empty, expected one entry a row. {ADVICE}")
    if len(variable.shape) != 1:
        sizes = "×".join(map(str, variable.shape))
        raise DataError(f"{file}: {name!r} has {sizes} entries, expected one row or column. {ADVICE}")
    return variable


def _class_names(file: Path, content: MatlabFile) -> tuple[str, ...]:
    names = _variable(file, content, _NAMES).columns.get("")
    if names is None:
        raise DataError(f"{file}: {_NAMES!r} is a struct, expected texts. {ADVICE}")
    problems = [
        f"{file.name}, {_NAMES!r}, entry {number}: found {_value_text(name)}, expected the name of a class"
        for number, name in enumerate(names, 1)
        if not isinstance(name, str) or not name.strip() or control_character(name)
    ]
    refuse(str(file), problems, ADVICE)
    return tuple(names)


def _annotations(
    file: Path, fields: Sequence[str], content: MatlabFile | None = None
) -> Mapping[str, Sequence[Value]]:
    """Columns of the struct array ``annotations``. Raises DataError if it lacks one of the fields.

    content: of the file, if it was read with other files.
    """
    if content is None:
        content = matlab_files.load({file: [_ROWS]}, fields, ADVICE)[file]
    annotations = _variable(file, content, _ROWS)
    existing = annotations.fields
    missing = [field for field in fields if field not in existing]
    if missing:
        hint = f" The labelled file is called {WITH_LABELS}." if "class" in missing else ""
        raise DataError(
            f"{file}: found the fields {', '.join(existing) or 'of no struct'}, expected also "
            f"{', '.join(missing)}.{hint} {ADVICE}"
        )
    return annotations.columns


def _rows(
    annotations: Mapping[str, Sequence[Value]],
    source: str,
    classes: int,
    problems: list[str],
    name_field: str = "fname",
) -> list[tuple[str, int]]:
    """(file name, class position) of every row; problems of rows are added to ``problems``."""
    rows: list[tuple[str, int]] = []
    for number, (name, value) in enumerate(
        zip(annotations[name_field], annotations["class"], strict=True), 1
    ):
        if not isinstance(name, str) or not name.strip() or control_character(name):
            problems.append(
                f"{source}, row {number}: {name_field!r} is {_value_text(name)}, expected a file name"
            )
        class_id = _number(value)
        if class_id is None or not 1 <= class_id <= classes:
            problems.append(
                f"{source}, row {number}: class is {_value_text(value)}, expected 1 to {classes}, the number of "
                "class_names"
            )
        else:
            rows.append((str(name).strip(), class_id - 1))
    return rows


def _number(value: Value) -> int | None:
    """The whole number of a field; None for any other value."""
    if not isinstance(value, int | float) or not float(value).is_integer():
        return None
    return int(value)


def _value_text(value: Value) -> str:
    """A value as text for an error; one that is neither text nor number has its description."""
    return value[0] if isinstance(value, list) else repr(value)[:200]
