"""Which trained models a command line names: run folders, saved files, run ids and patterns (no torch)."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import fnmatch
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark import options
from benchmark.config import load_profile
from benchmark.data.own import register_recorded
from benchmark.errors import RunError, SettingsError
from benchmark.grid import select
from benchmark.records import RunFolder, read_json, read_result
from benchmark.variants import VARIANTS

RUN_OR_FILE = (
    "a run's folder, a saved .safetensors file, or a run of --runs and --profile like cub/deit_tiny/dcal"
)


def models(arguments: argparse.Namespace, named: Sequence[str]) -> list[Path]:
    """Folders of finished runs, and files. named: as the user wrote them; none: by --cells, --table and --seeds.

    Raises RunError for what is not there or not finished, SettingsError for what is named twice and for --set.
    """
    if arguments.overrides:
        raise SettingsError(
            f"SET={arguments.overrides!r}: a finished model keeps the settings that it was trained with; leave it out, "
            "and name the RUNS folder of runs with other settings"
        )
    if named:
        found = [path for text in named for path in _of(text, arguments)]
        if twice := [path for path in found if found.count(path) > 1]:
            raise SettingsError(f"{twice[0]} is named twice")
        return found
    patterns = options.patterns(arguments.cells) or ("*",)
    found = list(dict.fromkeys(path for pattern in patterns for path in _runs(pattern, arguments)))
    if arguments.table:
        ids = {cell.id for cell in select((), arguments.table)}
        found = [path for path in found if _id(path.parent) in ids]
    if not found:
        raise RunError(f"no run of {arguments.table} is finished in {_root(arguments)}")
    return found


def one_model(arguments: argparse.Namespace, named: str) -> Path:
    """The same for a command that takes one. Raises SettingsError, too, where several are meant."""
    found = models(arguments, [named])
    if len(found) > 1:
        raise SettingsError(
            f"{named!r} is {len(found)} models, first {found[0]} and {found[1]}: expected one, {RUN_OR_FILE}"
        )
    return found[0]


def _of(text: str, arguments: argparse.Namespace) -> list[Path]:
    path = options.absolute(Path(text))
    if path.exists():
        if path.is_dir() and (why := _unfinished(path)):
            raise RunError(why)
        return [path]
    if path.suffix == ".safetensors" or text.startswith(("/", "~", ".")):
        raise RunError(f"{path}: no such run folder or file; expected {RUN_OR_FILE}")
    return _runs(text, arguments)


def _runs(text: str, arguments: argparse.Namespace) -> list[Path]:
    """The finished runs of a pattern like ``cub/deit_*/dcal``, or of an id, with or without its seed."""
    root = _root(arguments)
    pattern, seed = re.fullmatch(r"(.*?)(?:/seed(\d+))?/?", text).groups()
    seeds = {int(seed)} if seed else set(options.seeds(arguments.seeds))
    parts = pattern.split("/")
    full = "/".join(parts + ["*"] * (3 - len(parts)))
    there = {
        path: _id(path.parent)
        for path in sorted(root.glob("*/*/*/seed*"))
        if (path / "config.json").is_file()
    }
    found = [
        path
        for path, cell in there.items()
        if fnmatch.fnmatchcase(cell, full) and _seed(path) in seeds and _meant(cell, pattern, full, arguments)
    ]
    if not found:
        near = difflib.get_close_matches(pattern, sorted(set(there.values())), n=3, cutoff=0.4)
        hint = f"; nearest: {', '.join(near)}" if near else ""
        raise RunError(
            f"{text!r} is no folder and no file, and {root} has no run of this name with seed "
            f"{' or '.join(map(str, sorted(seeds)))}{hint}; expected {RUN_OR_FILE}"
        )
    unfinished = {path: why for path in found if (why := _unfinished(path))}
    if len(unfinished) == len(found):
        raise RunError(next(iter(unfinished.values())))
    if unfinished:
        print(
            f"{len(unfinished)} of {len(found)} runs are left out, first {next(iter(unfinished.values()))}",
            file=sys.stderr,
        )
    return [path for path in found if path not in unfinished]


def _meant(cell: str, pattern: str, full: str, arguments: argparse.Namespace) -> bool:
    """As everywhere, a pattern means a variant of the ablations only where --table says so; ``*`` is every run."""
    is_variant = cell.rpartition("/")[2] in VARIANTS
    return not is_variant or bool(arguments.table) or pattern == "*" or cell == full


def _root(arguments: argparse.Namespace) -> Path:
    return options.one_folder(arguments.runs) / load_profile(arguments.profile).name


def _id(path: Path) -> str:
    """``cub/deit_tiny/dcal`` of a folder that ends so."""
    return "/".join(path.parts[-3:])


def _seed(path: Path) -> int:
    number = path.name.removeprefix("seed")
    return int(number) if number.isdecimal() else -1


def _unfinished(path: Path) -> str:
    """Why a folder is none of a finished run, or ""."""
    folder = RunFolder(path)
    with contextlib.suppress(KeyError, TypeError, AttributeError):  # read_result says what is wrong
        register_recorded(read_json(folder.config)["identity"])
    result, damage = read_result(folder)
    if result is not None:
        return ""
    if damage and read_json(folder.config) is None:  # a result of a user's own data cannot be read without it
        return f"{path}: {folder.config.name} is missing or no JSON; copy the run folder again"
    if damage:
        return f"{path}: {damage}"
    if folder.has_checkpoint:
        return f"{path}: not finished, it has a checkpoint and no result; the command that began it goes on with it"
    return f"{path}: no finished run, it has no {folder.result.name}; expected {RUN_OR_FILE}"
