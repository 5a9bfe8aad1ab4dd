"""Registration of a user's own dataset: a folder below DATA, which needs no code (no torch)."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.config.backbones import BACKBONES
from benchmark.config.cell_pattern import nearest_hint
from benchmark.config.datasets import DATASETS, DatasetRow, is_own
from benchmark.data import splits
from benchmark.data.own import class_folders, market_layout
from benchmark.errors import DataError, SettingsError

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_OFFICIAL_FOLDERS = {folder.lower(): row for row in DATASETS.values() for folder in row.folders}
_SECTIONS = {*BACKBONES, *(row.task for row in DATASETS.values()), "profile"}  # names of sections in recipes


def register_own(name: str, data_root: Path | None) -> DatasetRow:
    """Row of a dataset in the registry; a folder of the user's is added to it.

    An official name always means the official dataset.
    Raises SettingsError for an unknown name, with the nearest official one and the expected content of an own folder,
    and for a folder whose name cannot be part of a cell's; DataError as ``own_folder``.
    """
    if not is_own(name):
        return DATASETS[name]
    if official := _OFFICIAL_FOLDERS.get(name.lower()):
        raise SettingsError(
            f"{name!r} is a folder of {official.title}, whose name in a cell is {official.key!r}"
        )
    folder = None if data_root is None or not name else own_folder(name, data_root)
    if folder is None or not os.path.isdir(folder):
        raise SettingsError(_unknown_text(name, folder))
    if not NAME.fullmatch(name):
        folder = data_root if data_root.name == name else data_root / name
        raise SettingsError(
            f"dataset {name!r}: {folder} is there, but its name cannot be part of a cell's: expected letters a to z, "
            f"digits, '_', '-' and '.', a letter or digit first, 100 at most. Rename it, or make a link to it, whose "
            f"name is then the dataset's: {_link_command(folder)}"
        )
    if name in _SECTIONS:
        raise SettingsError(f"dataset {name!r}: recipes call something else by this name; rename {folder}")
    return _register(name, "reid" if market_layout.recognises(folder) else "fgvc")


def register_recorded(identity: Mapping[str, Any]) -> None:
    """Register the own dataset of a recorded run, without its folder. identity: of config.json."""
    name = identity["run"].partition("/")[0]
    if identity["pictures"] == "own" and is_own(name):
        _register(name, "reid" if "train.instances" in identity["settings"] else "fgvc")


def _register(name: str, task: str) -> DatasetRow:
    reader = {"fgvc": class_folders, "reid": market_layout}[task]
    DATASETS[name] = DatasetRow(name, name, name, task, (name,), reader.__name__, {})
    return DATASETS[name]


def own_folder(name: str, data_root: Path) -> Path:
    """Folder of an own dataset, existing or not: below DATA, or DATA itself if that is its name.

    If the folder only contains one folder with the pictures, or one in Market-1501's layout, that is returned.
    Raises DataError if both are possible.
    """
    subfolder = data_root / name
    if data_root.name != name:
        return _dataset_folder(subfolder)
    if _dataset_folder(data_root) == subfolder:
        return subfolder
    if os.path.isdir(subfolder):
        raise DataError(
            f"dataset {name!r}: {data_root} and {subfolder} both have its name; set --data to {data_root.parent} for "
            f"the first, to {subfolder} for the second"
        )
    return _dataset_folder(data_root)


def _dataset_folder(folder: Path) -> Path:
    """The folder itself, or the one in it into which the pictures were unpacked."""
    if not os.path.isdir(folder) or market_layout.recognises(folder):
        return folder
    reid_folder = splits.folder_below(folder.name, [folder], market_layout.has_all_folders)
    return reid_folder or class_folders.single_class_root(folder) or folder


def _link_command(folder: Path) -> str:
    """Shell command that links a folder under a second name."""
    candidates = (folder.with_name(f"my_data{number}") for number in ("", *range(2, 100)))
    link = next(path for path in candidates if not os.path.lexists(path))
    return f"ln -s {shlex.quote(str(folder))} {shlex.quote(str(link))}"


def _unknown_text(name: str, folder: Path | None) -> str:
    keys = {key: key for key, row in DATASETS.items() if not row.own}
    names = keys | {folder: row.key for folder, row in _OFFICIAL_FOLDERS.items()}
    hint = nearest_hint(name.lower(), names, cutoff=0.5, shown=names)
    place = f"the folder {folder}" if folder else "a folder of this name below --data"
    return (
        f"unknown dataset {name!r}{hint}. The paper's are {', '.join(keys)}. One of your own would be {place} with\n"
        f"  {class_folders.EXPECTED}; or for re-identification\n  {market_layout.EXPECTED}"
    )
