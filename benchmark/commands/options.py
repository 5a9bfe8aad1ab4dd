"""The command-line options that several verbs share (no torch)."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from benchmark import reading
from benchmark.commands.command_line import PROCESSES, patterns, seconds, seeds, whole_number
from benchmark.config import applicability, resolve
from benchmark.config.datasets import DATASETS
from benchmark.config.grid import Cell, named, select
from benchmark.config.places import Places
from benchmark.data.own.register import register_own
from benchmark.errors import DataError, SettingsError
from benchmark.records import status
from benchmark.records.status import RunView


def add_common(parser: argparse.ArgumentParser) -> None:
    """Profile, places, seeds and overrides, as in `make help`."""
    parser.add_argument("--profile", default="mini", help="recipe: mini, quick, paper or another file's name")
    parser.add_argument("--runs", type=_runs, default=Path("runs"), help="folder of all run records")
    parser.add_argument("--data", type=_optional_path, default=None, help="folder that holds the datasets")
    parser.add_argument(
        "--weights", type=_optional_path, default=None, help="folder of weights; none: the hub"
    )
    parser.add_argument(
        "--set", dest="overrides", default="", help='settings, "train.epochs=3 model.glca_readout=mean"'
    )


def add_grid(parser: argparse.ArgumentParser) -> None:
    """Which runs: table, cell patterns, seeds."""
    parser.add_argument(
        "--table", default=None, help="table1, table2, extras or ablations; none: all three tables"
    )
    parser.add_argument("--cells", default="", help="patterns dataset/backbone/method, separated by spaces")
    parser.add_argument("--seeds", default="0", help="whole numbers separated by spaces or commas")


def add_machine(parser: argparse.ArgumentParser) -> None:
    """What the runs may use."""
    parser.add_argument("--device", default=None, help="auto, cpu or cuda; none: as the profile says")
    parser.add_argument(
        "--workers",
        type=whole_number(0, PROCESSES),
        default=None,
        help="decoding processes a run; none: as cores allow",
    )
    parser.add_argument("--tune", default="", help='how steps are computed, "accumulate=2 recompute=true"')
    parser.add_argument(
        "--checkpoint-seconds", type=seconds, default=60.0, help="least time between two checkpoints"
    )


def add_tracking(parser: argparse.ArgumentParser) -> None:
    """Where the runs' histories are shown beside their own files."""
    parser.add_argument("--track", default="", help='"tensorboard wandb", one of them, or none')


def add_rerun(parser: argparse.ArgumentParser) -> None:
    """What becomes of stale runs."""
    parser.add_argument(
        "--rerun", choices=("", "stale"), default="", help="set stale runs aside and run anew"
    )


def cells(arguments: argparse.Namespace) -> tuple[Cell, ...]:
    """The selected cells, by table and patterns. Raises SettingsError as ``grid.select``."""
    return select(patterns(arguments.cells), arguments.table)


def named_cell(name: str, data: Path | None) -> Cell:
    """The one cell of a name; a dataset of the user's own is looked for in DATA. Raises SettingsError for no cell."""
    if name.count("/") == 2:
        register_own(name.partition("/")[0], data)
    return named(name)


def require_startable(arguments: argparse.Namespace) -> None:
    """For verbs that start runs, before anything is written: raises SettingsError for SEEDS that are none, and for a
    SET that means nothing, makes no sense for a selected cell, or is fixed by a variant among them.
    """
    seeds(arguments.seeds)
    profile, overrides = resolve.load_profile(arguments.profile), resolve.parse_overrides(arguments.overrides)
    selected = cells(arguments)
    applicability.require_meaning(overrides, selected)
    applicability.require_free(overrides, selected)
    for cell in selected:
        resolve.resolve(cell, 0, profile, overrides)


def require_data(views: Sequence[RunView], places: Places) -> None:
    """For verbs that start runs: raises SettingsError where none of the selected runs has its data, a job or a result,
    so that there is nothing to start and nothing to show.
    """
    if not views or any(view.state != "no-data" for view in views):
        return
    reasons = "; ".join(dict.fromkeys(view.reason for view in views))
    folders = ", ".join(dict.fromkeys(DATASETS[view.cell.dataset].folders[0] for view in views))
    profile = views[0].config.profile
    if places.data is None:
        why = f"PROFILE={profile} needs DATA=folder, the folder that holds {folders}"
    elif not places.data.is_dir():
        problem = "is no folder" if places.data.exists() else "does not exist"
        why = f"DATA={places.data} {problem}: expected the folder that holds {folders}"
    else:
        why = f"DATA={places.data} has none of the data asked for: {reasons}"
    raise SettingsError(f"{why}. Nothing was started")


def collect(arguments: argparse.Namespace) -> list[RunView]:
    """The selected runs, each with its state."""
    return status.collect(
        table=arguments.table,
        profile=arguments.profile,
        runs_dir=one_folder(arguments.runs),
        seeds=seeds(arguments.seeds),
        patterns=patterns(arguments.cells),
        overrides=resolve.parse_overrides(arguments.overrides),
        data_dir=absolute(arguments.data),
        weights_dir=absolute(arguments.weights),
    )


def places(arguments: argparse.Namespace) -> Places:
    """Where everything lies, as absolute paths."""
    return Places.of(
        arguments.profile, one_folder(arguments.runs), absolute(arguments.data), absolute(arguments.weights)
    )


def folders(text: str) -> tuple[Path, ...]:
    """RUNS of a verb that only reads: one folder, or several separated by spaces.

    A folder whose name has spaces is taken as one if it exists; among several it is quoted. Raises SettingsError for an
    empty text and for one of several that does not exist.
    """
    single, parts = absolute(Path(text)), _parts(text)
    if not all(parts) or not parts:
        raise SettingsError("RUNS is empty: expected a folder of runs, or several separated by spaces")
    several = tuple(absolute(Path(part)) for part in parts)
    absent = [str(folder) for folder in several if not os.path.isdir(folder)]
    # A new folder's name may have spaces, too: several are meant where at least one of them is there.
    if os.path.isdir(single) or (len(parts) > 1 and len(absent) == len(parts)):
        return (single,)
    if absent and len(parts) > 1:
        raise SettingsError(
            f"RUNS={text!r} names {len(several)} folders, of which {', '.join(absent)} does not exist: expected "
            "folders of runs separated by spaces; quote one whose name has spaces"
        )
    return tuple(dict.fromkeys(several))


def one_folder(path: Path) -> Path:
    """RUNS of a verb that runs, submits or asks for states, spaces included. Raises SettingsError for several folders
    that are all there, which only a verb that reads can mean.
    """
    single, parts = absolute(path), _parts(str(path))
    # Not Path.is_dir, which raises for a name that is too long or may not be looked at: that is explained later.
    if (
        not os.path.isdir(single)
        and len(parts) > 1
        and all(os.path.isdir(absolute(Path(part))) for part in parts)
    ):
        raise SettingsError(
            f"RUNS={str(path)!r} names {len(parts)} folders: runs are written to one; make tables and make report "
            "read several"
        )
    return single


def _parts(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quote that does not end is part of a name
        return [text]


def absolute(path: Path | None) -> Path | None:
    """A path with ~ and relative parts resolved against the working directory, links kept."""
    return None if path is None else Path(os.path.abspath(os.path.expanduser(path)))


def picture(text: str) -> Path:
    """The path of a picture that a user names. Raises DataError for what is no file that can be read."""
    path = absolute(Path(text))
    try:
        reading.open_file(path).close()
    except OSError as error:
        raise DataError(f"no picture: {reading.explanation(path, error)}") from error
    return path


def _runs(text: str) -> Path:
    # Path("") is the working directory, which nobody means by an empty RUNS.
    if not text.strip():
        raise argparse.ArgumentTypeError(
            "is empty: expected a folder of runs, or several separated by spaces"
        )
    return Path(text)


def _optional_path(text: str) -> Path | None:
    return Path(text) if text else None
