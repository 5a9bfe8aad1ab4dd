"""Where a dataset is, which data it holds, and how much of the official one that is (no torch, no scipy)."""

from __future__ import annotations

import hashlib
import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

from benchmark.data.fgvc import FGVCDataset, first_classes
from benchmark.data.registry import DATASETS, DatasetRow
from benchmark.errors import DataError, SettingsError


@dataclass(frozen=True)
class Coverage:
    """How much of the official dataset is there; only ``full`` may be compared with the paper's numbers."""

    kind: Literal["full", "subset"]
    text: str


def row_of(key: str) -> DatasetRow:
    """The registry's row; raises SettingsError for an unknown key."""
    if key not in DATASETS:
        raise SettingsError(f"unknown dataset {key!r}: expected one of {', '.join(DATASETS)}")
    return DATASETS[key]


def places(key: str, data_root: Path | None) -> tuple[Path, ...]:
    """The folders a dataset is looked for in: its known names below the data folder, and that itself."""
    row = row_of(key)
    return () if data_root is None else (*(data_root / name for name in row.folders), data_root)


def locate(key: str, data_root: Path | None) -> Path | None:
    """The dataset's folder, None where there is none.

    A folder with all annotation files comes first; without one, a folder that has the right name is
    returned as it is, so that reading it can name what it lacks.
    """
    row, looked = row_of(key), places(key, data_root)
    reader = _reader(row)
    if reader is not None:
        for place in looked:
            files = reader.annotation_files(place)
            if files and all(file.is_file() for file in files):
                return place
    return next((place for place in looked[:-1] if place.is_dir()), None)


def load(key: str, data_root: Path | None, class_limit: int = 0) -> FGVCDataset:
    """The dataset below ``data_root``, cut to the first ``class_limit`` classes (0: all of them).

    Raises SettingsError for an unknown key or an impossible limit, DataError where the dataset is absent,
    incomplete, contradictory, or has fewer classes than asked for.
    """
    row = row_of(key)
    if class_limit < 0 or class_limit == 1:
        raise SettingsError(f"class limit is {class_limit}, expected 0 (all classes) or 2 and more")
    reader = _need_reader(row)
    root = locate(key, data_root)
    if root is None:
        raise DataError(absent_text(row, data_root))
    dataset = reader.read(root)
    return first_classes(dataset, class_limit) if class_limit else dataset


def absent_text(row: DatasetRow, data_root: Path | None) -> str:
    """Why a dataset was not found and what to do about it, with every path looked for."""
    if data_root is None:
        return f"{row.title}: no data folder is set; set it to the folder that holds {row.folders[0]}"
    *folders, itself = places(row.key, data_root)
    return (
        f"{row.title}: not found; looked for {', '.join(map(str, folders))}, and for its annotation files in "
        f"{itself}. Unpack the official archive into one of these folders, or set another data folder"
    )


def fingerprint(root: Path, key: str) -> str:
    """sha256 over the names and bytes of the annotation files: equal if and only if these are.

    Raises DataError where an annotation file is missing.
    """
    row = row_of(key)
    files = _need_reader(row).annotation_files(root)
    absent = [str(file) for file in files if not file.is_file()]
    if absent or not files:
        raise DataError(
            f"{row.title} at {root}: missing {', '.join(absent) or 'annotation files'}, expected the official "
            f"ones; unpack the official archive again"
        )
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def coverage(dataset: FGVCDataset, row: DatasetRow) -> Coverage:
    """How much of the official dataset this is, by its numbers of classes and images."""
    found = {"classes": len(dataset.classes), "train": len(dataset.train), "test": len(dataset.test)}
    if found == row.official:
        text = "full: {classes:,} classes, {train:,} train and {test:,} test images".format(**found)
        return Coverage("full", text)
    share = {name: f"{count:,} of {row.official[name]:,}" for name, count in found.items()}
    return Coverage(
        "subset", "subset: {classes} classes, {train} train and {test} test images".format(**share)
    )


def _reader(row: DatasetRow) -> ModuleType | None:
    """The module that reads a dataset, None while there is none."""
    try:
        return importlib.import_module(row.module)
    except ModuleNotFoundError as error:
        if error.name != row.module:  # the reader is there, something it needs is not
            raise
        return None


def _need_reader(row: DatasetRow) -> ModuleType:
    reader = _reader(row)
    if reader is None:
        raise DataError(
            f"{row.title}: re-identification datasets are not built yet; choose one of "
            f"{', '.join(other.key for other in DATASETS.values() if other.task == 'fgvc')}"
        )
    return reader
