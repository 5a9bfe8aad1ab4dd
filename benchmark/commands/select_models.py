"""Which trained models a command line names: run folders, saved files, run ids and patterns (no torch)."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmark.commands import options
from benchmark.config.cell_pattern import matches, nearest_cells
from benchmark.config.grid import Cell, select
from benchmark.config.parse import abridged
from benchmark.config.resolve import load_profile
from benchmark.config.variants import VARIANTS
from benchmark.data.own.register import register_recorded
from benchmark.errors import RunError, SettingsError
from benchmark.reading import explained, require_folder, require_listable
from benchmark.records import run_settings
from benchmark.records.run_folder import RunFolder, read_json, read_result

SHOWN = 6  # runs in an error
RUN_OR_FILE = (
    "a run's folder, a saved .safetensors file, or a run of --runs and --profile like cub/deit_tiny/dcal"
)


def models(arguments: argparse.Namespace, named: Sequence[str]) -> tuple[list[Path], int]:
    """Folders of finished runs, and files; and how many runs that were asked for by name are left out as unfinished.

    named: as the user wrote them; none: by --cells, --table and --seeds.

    A finished run is read as it was made, so no --set is needed. Raises RunError for what is not there or not finished,
    SettingsError for what is named twice and for a --set that contradicts a run.
    """
    if named:
        selected = [path for text in named for path in _named_paths(text, arguments)]
        finished = _finished(selected)
        if twice := [path for path in finished if finished.count(path) > 1]:
            raise SettingsError(f"{twice[0]} is named twice")
    else:
        selected = _grid_paths(arguments)
        finished = _finished(selected)
    if arguments.overrides:
        _require_agreement(arguments.overrides, finished)
    return finished, len(selected) - len(finished) if named or arguments.cells else 0


def one_model(arguments: argparse.Namespace, named: str) -> Path:
    """The same for a command that takes one. Raises SettingsError, too, where several are meant."""
    finished, _ = models(arguments, [named])
    if len(finished) > 1:
        raise SettingsError(
            f"{named!r} is {len(finished)} models, first {finished[0]} and {finished[1]}: expected one, {RUN_OR_FILE}"
        )
    return finished[0]


def _require_agreement(overrides: str, paths: Sequence[Path]) -> None:
    for path in paths:
        if not path.is_dir():
            raise SettingsError(
                f"SET={overrides!r}: {path} keeps the settings that its model was trained with; leave SET out"
            )
        started = read_json(RunFolder(path).config) or {}
        config = run_settings.config_from_record(started, str(RunFolder(path).config))
        run_settings.require_agreement(overrides, [(RunFolder(path), config)])


def _grid_paths(arguments: argparse.Namespace) -> list[Path]:
    """Of --cells, --table and --seeds. Raises RunError for a pattern of which no run is there, or none is finished."""
    ids = {cell.id for cell in select((), arguments.table)} if arguments.table else None
    paths: dict[Path, None] = {}
    for pattern in options.patterns(arguments.cells) or ("*",):
        candidates = [
            path for path in _candidates(pattern, arguments) if ids is None or _id(path.parent) in ids
        ]
        if not candidates:
            raise RunError(_nothing_finished(pattern, arguments))
        paths.update(dict.fromkeys(candidates))
    return list(paths)


def _nothing_finished(pattern: str, arguments: argparse.Namespace) -> str:
    """That no run of a pattern has begun. Raises SettingsError where no cell of the grid is called so."""
    seeds = options.seeds(arguments.seeds)
    commands = _commands(pattern, select([pattern], arguments.table), seeds, arguments)
    selection = f" of {arguments.table}" if arguments.table else ""
    selection += f" of CELLS={shlex.quote(pattern)}" if pattern != "*" else ""
    return f"no finished run{selection} with seed {' or '.join(map(str, seeds))} in {_root(arguments)}; {commands}"


def _commands(
    pattern: str, cells: Sequence[Cell], seeds: Iterable[int], arguments: argparse.Namespace
) -> str:
    """What makes the runs of these cells, in words."""
    values = {
        "PROFILE": arguments.profile,
        "RUNS": str(arguments.runs),
        "CELLS": pattern,
        "SEEDS": " ".join(map(str, seeds)),
    }
    usual = {"PROFILE": "mini", "RUNS": "runs", "CELLS": "*", "SEEDS": "0"}
    variables = "".join(
        f" {name}={shlex.quote(value)}" for name, value in values.items() if value != usual[name]
    )
    table = getattr(arguments, "table", None)  # predict and export have none
    verbs = [table] if table else list(dict.fromkeys(cell.table for cell in cells))
    commands = " and ".join(f"`make {verb}{variables}`" for verb in verbs)
    return f"{commands} {'makes' if len(verbs) == 1 else 'make'} {'them' if len(cells) > 1 else 'it'}"


def _named_paths(text: str, arguments: argparse.Namespace) -> list[Path]:
    path = options.absolute(Path(text))
    with explained(path):
        exists = path.exists()
    if exists:
        return [_in_folder(path) if path.is_dir() else path]
    if path.suffix == ".safetensors" or text.startswith(("/", "~", ".")):
        raise RunError(f"{path}: no such run folder or file; expected {RUN_OR_FILE}")
    return _runs(text, arguments)


def _in_folder(path: Path) -> Path:
    """A run's folder, or the one finished run below the folder of a cell, a backbone, a dataset or a profile."""
    why = _unfinished(path)
    if not why:
        return path
    below = [
        run
        for depth in ("", "*/", "*/*/", "*/*/*/")
        for run in sorted(path.glob(f"{depth}seed*"))
        if _seed(run) >= 0
    ]
    if not below:
        raise RunError(why)
    finished = _finished(below)
    if len(finished) > 1:
        names = abridged([run.relative_to(path).as_posix() for run in finished], SHOWN)
        raise SettingsError(f"{path} holds {len(finished)} finished runs, {names}: name one, {finished[0]}")
    return finished[0]


def _runs(text: str, arguments: argparse.Namespace) -> list[Path]:
    """The finished runs of a pattern like ``cub/deit_*/dcal``, or of an id, with or without its seed."""
    candidates = _candidates(text, arguments)
    if not candidates:
        pattern, seeds = _parts(text, arguments)
        hint = nearest_cells(pattern, _all_runs(arguments).values())
        with contextlib.suppress(SettingsError):
            hint = f"; {_commands(pattern, select([pattern]), sorted(seeds), arguments)}"
        raise RunError(
            f"{text!r} is no folder and no file, and {_root(arguments)} has no run of this name with seed "
            f"{' or '.join(map(str, sorted(seeds)))}{hint}; expected {RUN_OR_FILE}"
        )
    return candidates


def _finished(paths: Sequence[Path]) -> list[Path]:
    """Those that are finished; the others are counted. Raises RunError where none is."""
    unfinished = {path: why for path in paths if path.is_dir() and (why := _unfinished(path))}
    if len(unfinished) == len(paths):
        raise RunError(next(iter(unfinished.values())))
    if unfinished:
        print(
            f"{len(unfinished)} of {len(paths)} runs are left out, first {next(iter(unfinished.values()))}",
            file=sys.stderr,
        )
    return [path for path in paths if path not in unfinished]


def _candidates(text: str, arguments: argparse.Namespace) -> list[Path]:
    """Folders of runs that a pattern or an id means, in any state."""
    pattern, seeds = _parts(text, arguments)
    return [
        path
        for path, cell in _all_runs(arguments).items()
        if matches(cell, pattern) and _seed(path) in seeds and _is_selected(cell, pattern, arguments)
    ]


def _parts(text: str, arguments: argparse.Namespace) -> tuple[str, set[int]]:
    """The pattern, and the seeds that it or else --seeds names."""
    pattern, seed = re.fullmatch(r"(.*?)(?:/seed(\d+))?/?", text).groups()
    return pattern, {int(seed)} if seed else set(options.seeds(arguments.seeds))


def _all_runs(arguments: argparse.Namespace) -> dict[Path, str]:
    """Every run folder of the profile with its cell's id. Raises RunError where RUNS cannot be looked at."""
    root = _root(arguments)
    with explained(root):
        require_folder(root.parent)
        require_listable(root)
    return {
        path: _id(path.parent)
        for path in sorted(root.glob("*/*/*/seed*"))
        if os.path.isfile(path / "config.json") or not os.access(path, os.R_OK | os.X_OK)
    }


def _is_selected(cell: str, pattern: str, arguments: argparse.Namespace) -> bool:
    """As everywhere, a pattern means a variant of the ablations only where --table says so; ``*`` is every run."""
    is_variant = cell.rpartition("/")[2] in VARIANTS
    return not is_variant or bool(getattr(arguments, "table", None)) or pattern in ("*", cell)


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
    try:
        result, damage = read_result(folder)
    except RunError as error:
        return str(error)
    if result is not None:
        return ""
    if damage and read_json(folder.config) is None:  # a result of a user's own data cannot be read without it
        return f"{path}: {folder.config.name} is missing or no JSON; copy the run folder again"
    if damage:
        return f"{path}: {damage}"
    if folder.has_checkpoint:
        return f"{path}: not finished, it has a checkpoint and no result; the command that began it goes on with it"
    return f"{path}: no finished run, it has no {folder.result.name}; expected {RUN_OR_FILE}"
