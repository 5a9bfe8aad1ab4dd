"""A user's own dataset: a folder below DATA, which needs no code, only a name (no torch)."""

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
_SECTIONS = {*BACKBONES, *(row.task for row in DATASETS.values()), "profile"}  # of recipes


def register_own(name: str, data_root: Path | None) -> DatasetRow:
    """The row of dataset ``name`` in the registry, where it is put if it is a folder of the user's.

    An official name is the official dataset, whatever folders there are.
    Raises SettingsError for a name that is nothing, with the nearest official one and what an own folder would have to
    be, and for a folder whose name cannot be part of a cell's; DataError as ``own_folder``.
    """
    if not is_own(name):
        return DATASETS[name]
    if official := _OFFICIAL_FOLDERS.get(name.lower()):
        raise SettingsError(
            f"{name!r} is a folder of {official.title}, whose name in a cell is {official.key!r}"
        )
    folder = None if data_root is None or not name else own_folder(name, data_root)
    if folder is None or not os.path.isdir(folder):
        raise SettingsError(_unknown(name, folder))
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
    """Make the dataset of a run known that is a user's own, without its folder. identity: as config.json has it."""
    name = identity["run"].partition("/")[0]
    if identity["pictures"] == "own" and is_own(name):
        _register(name, "reid" if "train.instances" in identity["settings"] else "fgvc")


def _register(name: str, task: str) -> DatasetRow:
    reader = {"fgvc": class_folders, "reid": market_layout}[task]
    DATASETS[name] = DatasetRow(name, name, name, task, (name,), reader.__name__, {})
    return DATASETS[name]


def own_folder(name: str, data_root: Path) -> Path:
    """Where an own dataset lies or would lie: below DATA, or DATA itself if that is its name.

    Where it holds nothing but one folder with the pictures, or one in Market-1501's layout, that folder is meant.
    Raises DataError where both could be meant.
    """
    below = data_root / name
    if data_root.name != name:
        return _unnested(below)
    if _unnested(data_root) == below:
        return below
    if os.path.isdir(below):
        raise DataError(
            f"dataset {name!r}: {data_root} and {below} both have its name; set --data to {data_root.parent} for the "
            f"first, to {below} for the second"
        )
    return _unnested(data_root)


def _unnested(folder: Path) -> Path:
    """The folder itself, or the one below it that the pictures were unpacked into."""
    if not os.path.isdir(folder) or market_layout.recognises(folder):
        return folder
    people = splits.folder_below(folder.name, [folder], market_layout.is_whole)
    return people or class_folders.only_folder(folder) or folder


def _link_command(folder: Path) -> str:
    """A command that gives a folder a second name, as it can be pasted into a shell."""
    free = (folder.with_name(f"my_data{number}") for number in ("", *range(2, 100)))
    link = next(path for path in free if not os.path.lexists(path))
    return f"ln -s {shlex.quote(str(folder))} {shlex.quote(str(link))}"


def _unknown(name: str, folder: Path | None) -> str:
    keys = {key: key for key, row in DATASETS.items() if not row.own}
    named = keys | {folder: row.key for folder, row in _OFFICIAL_FOLDERS.items()}
    hint = nearest_hint(name.lower(), named, cutoff=0.5, shown=named)
    where = f"the folder {folder}" if folder else "a folder of this name below --data"
    return (
        f"unknown dataset {name!r}{hint}. The paper's are {', '.join(keys)}. One of your own would be {where} with\n"
        f"  {class_folders.EXPECTED}; or for re-identification\n  {market_layout.EXPECTED}"
    )
