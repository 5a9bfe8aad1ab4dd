"""Locating, loading, fingerprint and coverage of datasets (no torch, no scipy)."""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Literal

from benchmark.config.datasets import DATASETS, DatasetRow
from benchmark.config.settings import DataSettings
from benchmark.data import splits
from benchmark.data.fgvc import FGVCDataset, first_classes
from benchmark.data.own import image_files
from benchmark.data.own.register import own_folder
from benchmark.data.reid import ReIDDataset, picture_names
from benchmark.data.splits import annotation_bytes, is_reachable
from benchmark.errors import DataError, SettingsError

logger = logging.getLogger("benchmark")
# Names of the registry's counts in texts.
COUNT_NAMES = {
    "classes": "classes",
    "train_ids": "train identities",
    "train": "train images",
    "val": "val images",
    "test": "test images",
    "query": "queries",
    "query_ids": "query identities",
    "gallery": "gallery images",
    "gallery_ids": "gallery identities",
    "cameras": "cameras",
}
_COVERAGE_TEXTS = {
    "fgvc": "{classes} classes, {train} train and {test} test images",
    "reid": "{train_ids} identities, {train} train images, {query} queries, {gallery} gallery images",
}


@dataclass(frozen=True)
class Coverage:
    """Share of the official dataset that is present. Only ``full`` may be compared with the paper's numbers."""

    kind: Literal["full", "subset", "generated", "own"]
    text: str


def dataset_row(key: str) -> DatasetRow:
    """Row of a dataset in the registry. Raises SettingsError for an unknown key."""
    if key not in DATASETS:
        raise SettingsError(f"unknown dataset {key!r}: expected one of {', '.join(DATASETS)}")
    return DATASETS[key]


def candidate_folders(key: str, data_root: Path | None) -> tuple[Path, ...]:
    """Folders in which a dataset is searched: its known names below the data folder, and the data folder itself."""
    row = dataset_row(key)
    if data_root is None:
        return ()
    if row.own:
        return (own_folder(key, data_root),)
    return (*(data_root / name for name in row.folders), data_root)


def locate(key: str, data_root: Path | None) -> Path | None:
    """Find the folder of a dataset; None if there is none.

    First choice is a folder with all annotation files, in the order of the names. Then a folder directly below one with
    the right name, as when an archive was unpacked into its own name. Last a folder with the right name: reading it
    then reports what is missing.
    Raises DataError if several folders one level down may be the dataset.
    """
    row, folders = dataset_row(key), candidate_folders(key, data_root)
    reader = _reader(row)

    def is_whole(folder: Path) -> bool:
        return all(map(os.path.exists, reader.annotation_files(folder))) and _is_recognised(reader, folder)

    def is_part(folder: Path) -> bool:
        return any(map(os.path.isfile, reader.annotation_files(folder)))

    for folder in folders:
        if is_whole(folder):
            return folder
    existing = [folder for folder in folders[:-1] if os.path.isdir(folder)]
    below = splits.folder_below(row.title, existing, is_whole)
    if below is None and not any(map(is_part, existing)):
        below = splits.folder_below(row.title, existing, is_part)
    return below or next(iter(existing), None)


def nested_note(key: str, data_root: Path, root: Path) -> str:
    """Message about a dataset that was found one folder down, or ""."""
    expected = candidate_folders(key, data_root)
    if dataset_row(key).own:
        expected = (data_root if data_root.name == key else data_root / key,)
    return "" if root in expected else f"found one folder down, in {root}: that folder is used"


def _is_recognised(reader: ModuleType, place: Path) -> bool:
    """Whether the annotation files are of this dataset, for readers whose file names another dataset also has."""
    try:
        return not hasattr(reader, "recognises") or reader.recognises(place)
    except OSError:  # not readable, which reading it explains
        return True


def load_fgvc(key: str, data_root: Path | None, class_limit: int = 0) -> FGVCDataset:
    """Load a fine-grained dataset, cut to the first ``class_limit`` classes (0: all of them).

    Raises SettingsError for a key of no fine-grained dataset or an impossible limit; DataError if the dataset is
    absent, incomplete or contradictory, or has fewer classes.
    """
    if class_limit < 0 or class_limit == 1:
        raise SettingsError(f"class limit is {class_limit}, expected 0 (all classes) or 2 and more")
    root = _require_root(key, "fgvc", data_root)
    dataset = replace(_reader(DATASETS[key]).read(root), key=key)
    return first_classes(dataset, class_limit) if class_limit else dataset


def load_dataset(key: str, data_root: Path | None, settings: DataSettings) -> FGVCDataset | ReIDDataset:
    """Load a dataset of either task with the settings of a run. Raises as ``load_fgvc`` and ``load_reid``."""
    if dataset_row(key).task == "reid":
        return load_reid(
            key, data_root, merge_val=settings.merge_val, skip_unparsable=settings.skip_unparsable
        )
    return load_fgvc(key, data_root, settings.class_limit)


def load_reid(
    key: str, data_root: Path | None, *, merge_val: bool = True, skip_unparsable: bool = False
) -> ReIDDataset:
    """Load a re-identification dataset.

    merge_val: whether MSMT17's validation list is part of the training set.
    skip_unparsable: whether to leave out pictures whose names do not parse.
    Raises SettingsError for a key of no re-identification dataset; DataError if the dataset is absent, incomplete or
    contradictory.
    """
    root = _require_root(key, "reid", data_root)
    dataset = _reader(DATASETS[key]).read(root, merge_val=merge_val, skip_unparsable=skip_unparsable)
    return replace(dataset, key=key)


def _require_root(key: str, task: str, data_root: Path | None) -> Path:
    row = dataset_row(key)
    if row.task != task:
        others = ", ".join(other.key for other in DATASETS.values() if other.task == task)
        raise SettingsError(f"{key} is a dataset of task {row.task}, expected one of {task}: {others}")
    root = locate(key, data_root)
    if root is None:
        raise DataError(missing_text(row, data_root))
    if note := nested_note(key, data_root, root):
        logger.info("%s: %s", row.title, note)
    return root


def missing_text(row: DatasetRow, data_root: Path | None) -> str:
    """Message that a dataset was not found, with all searched paths and what to do."""
    if data_root is None:
        return (
            f"{row.title}: no data folder is set; set DATA (--data) to the folder that holds {row.folders[0]}"
        )
    if row.own:
        folder = own_folder(row.key, data_root)
        missing = [file.name for file in _reader(row).annotation_files(folder) if not os.path.exists(file)]
        if os.path.isdir(folder):
            return f"{row.title}: {folder} lacks {', '.join(missing)}"
        return f"{row.title}: not found; looked for {folder}"
    *folders, data_folder = candidate_folders(row.key, data_root)
    unpack = "Unpack the official archive into one of these folders, or set another data folder"
    return (
        f"{row.title}: not found; looked for {', '.join(map(str, folders))}, in them one folder down, and for its "
        f"contents in {data_folder}. "
        f"{getattr(_reader(row), 'WHEN_ABSENT', unpack)}"
    )


def fingerprint(root: Path, key: str) -> str:
    """sha256 over the names and contents of the annotation files: equal if and only if these are.

    A folder among them counts by the names of its pictures; for a user's own dataset also by their sizes.
    Raises DataError if an annotation file is missing.
    """
    row = dataset_row(key)
    files = _reader(row).annotation_files(root)
    missing = [str(file) for file in files if not is_reachable(file)]
    if missing:
        raise DataError(
            f"{row.title} at {root}: missing {', '.join(missing)}, expected the official ones; unpack the official "
            f"archive again"
        )
    if row.own:
        return image_files.fingerprint(root, files)
    digest = hashlib.sha256()
    for file in files:
        is_list = file.suffix  # folders of pictures have no suffix
        content = annotation_bytes(file) if is_list else os.fsencode("\0".join(picture_names(file)))
        digest.update(f"{file.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def coverage(dataset: FGVCDataset | ReIDDataset, row: DatasetRow) -> Coverage:
    """Share of the official dataset, by all counts of the registry.

    If the dataset has versions, the text names the version and the training lists. A validation list only counts if it
    is part of the training set.
    """
    if row.own:
        counts = {name: f"{count:,}" for name, count in dataset.counts.items()}
        return Coverage("own", f"own data, not the paper's: {_COVERAGE_TEXTS[row.task].format(**counts)}")
    counts_here, official, prefix = dict(dataset.counts), dict(row.official), ""
    if isinstance(dataset, ReIDDataset):
        if not dataset.val_merged:
            counts_here.pop("val", None)
            official.pop("val", None)
        if dataset.version:
            prefix = f"{row.title} {dataset.edition}: "
    text_counts, official_counts = (_with_val(counts) for counts in (counts_here, official))
    if counts_here == official:
        numbers = {name: f"{count:,}" for name, count in text_counts.items()}
        return Coverage("full", f"{prefix}full: {_COVERAGE_TEXTS[row.task].format(**numbers)}")
    shares = {
        name: f"{count:,} of {official_counts[name]:,}"
        for name, count in text_counts.items()
        if name in official_counts
    }
    text = _COVERAGE_TEXTS[row.task].format(**shares) + _other_counts(counts_here, official, row.task)
    return Coverage("subset", f"{prefix}subset: {text}")


def generated_coverage(dataset: FGVCDataset | ReIDDataset) -> Coverage:
    """Coverage of a generated set: whatever its counts, it never counts as the official one."""
    merged = isinstance(dataset, ReIDDataset) and dataset.val_merged
    counts = _with_val(dataset.counts) if merged else dataset.counts
    task = dataset_row(dataset.key).task
    return Coverage("generated", f"generated: {_COVERAGE_TEXTS[task].format(**counts)}")


def _with_val(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts with the validation pictures added to the training pictures."""
    return {**counts, "train": counts["train"] + counts.get("val", 0)}


def _other_counts(counts: dict[str, int], official: dict[str, int], task: str) -> str:
    """Text of the counts that differ from the official ones, if none of those in the coverage text does."""
    differing = [name for name, count in official.items() if counts.get(name, 0) != count]
    if any(f"{{{name}}}" in _COVERAGE_TEXTS[task] for name in differing):
        return ""
    return "".join(
        f", {counts.get(name, 0):,} of {official[name]:,} {COUNT_NAMES[name]}" for name in differing
    )


def _reader(row: DatasetRow) -> ModuleType:
    """Reader module of a dataset."""
    return importlib.import_module(row.module)
