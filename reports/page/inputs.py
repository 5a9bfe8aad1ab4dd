"""What the pages are made from: the runs of all tables, merged, with their states, tables and costs (no torch)."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmark.commands import options
from benchmark.config.grid import METHODS, TABLES
from benchmark.config.resolve import parse_overrides
from benchmark.reading import explained, require_listable
from benchmark.records import merge
from benchmark.records.merge import MergedRuns
from benchmark.records.status import RunView
from reports.page import costs
from tables import layout
from tables.layout import TableLayout

Pair = tuple[str, str]  # dataset, backbone


@dataclass(frozen=True)
class Asked:
    """What the command line asks for. folders: of runs, merged; the first one holds figures and the report.

    overrides: SET as it was given. seeds: those shown. data, weights: as given, None where the profile's own are meant.
    """

    profile: str
    folders: tuple[Path, ...]
    seeds: tuple[int, ...]
    overrides: str = ""
    data: Path | None = None
    weights: Path | None = None

    @property
    def root(self) -> Path:
        """The profile's folder in the first runs folder."""
        return self.folders[0] / self.profile

    def figures(self, pair: Pair) -> Path:
        """Where the figures of a pair lie."""
        return self.root / "figures" / pair[0] / pair[1]


@dataclass(frozen=True)
class Material:
    """layouts: the three tables, by key."""

    asked: Asked
    merged: MergedRuns
    layouts: Mapping[str, TableLayout]

    @cached_property
    def pairs(self) -> Mapping[Pair, tuple[RunView, ...]]:
        """The 34 comparisons in the paper's order, each with all of its runs; none where SET makes no sense for it."""
        found: dict[Pair, list[RunView]] = {pair: [] for table in TABLES.values() for pair in table.pairs}
        for run in self.merged.runs:
            found[run.cell.dataset, run.cell.backbone].append(run)
        return {pair: tuple(runs) for pair, runs in found.items()}

    def left_out(self, pair: Pair) -> Mapping[str, str]:
        """Method → why the settings asked for make no sense for it; empty where they do for both."""
        found = {method: self.merged.refused.get("/".join((*pair, method)), "") for method in METHODS}
        return {method: why for method, why in found.items() if why}

    @cached_property
    def costs(self) -> costs.Costs:
        return costs.of_runs(self.merged.runs)


def gather(asked: Asked) -> Material:
    """Read the records of all tables. Raises as ``benchmark.records.merge.collect``."""
    merged = merge.collect(
        asked.folders,
        profile=asked.profile,
        seeds=asked.seeds,
        overrides=parse_overrides(asked.overrides),
        data_dir=asked.data,
        weights_dir=asked.weights,
    )
    changed = shlex.split(asked.overrides)
    layouts = {
        key: layout.build(
            key,
            asked.profile,
            merged.runs,
            changed,
            folders=map(str, asked.folders),
            refused=merged.refused,
        )
        for key in TABLES
    }
    return Material(asked, merged, layouts)


def seeds_on_disk(
    folders: tuple[Path, ...], profile: str, methods: Container[str] | None = None
) -> tuple[int, ...]:
    """Every seed that a run folder of the profile, of these methods or of any, has; (0,) where there is none.

    Raises RunError for a folder that may not be read.
    """
    for folder in folders:
        with explained(folder):
            require_listable(folder / profile)
    names = (
        path.name
        for folder in folders
        for path in (folder / profile).glob("*/*/*/seed*")
        if re.fullmatch(r"seed\d+", path.name) and (methods is None or path.parent.name in methods)
    )
    return tuple(sorted({int(name.removeprefix("seed")) for name in names})) or (0,)


def table_of(pair: Pair) -> str:
    """The key of the table that a pair stands in."""
    return next(key for key, table in TABLES.items() if pair in table.pairs)


# --- What the verbs that write pages are asked: profile, places, seeds ---


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Profile, places and seeds."""
    options.add_common(parser)
    parser.add_argument("--seeds", default="", help="whole numbers; none: every seed that has a run folder")


def asked_for(arguments: argparse.Namespace, methods: Container[str] | None = None) -> Asked:
    """The same as the pages take it. methods: whose seeds are shown where none are given; None for all.

    Raises SettingsError for folders and seeds that make no sense.
    """
    folders = options.folders(str(arguments.runs))
    given = arguments.seeds.strip()
    return Asked(
        profile=arguments.profile,
        folders=folders,
        seeds=options.seeds(given) if given else seeds_on_disk(folders, arguments.profile, methods),
        overrides=arguments.overrides,
        data=options.absolute(arguments.data),
        weights=options.absolute(arguments.weights),
    )
