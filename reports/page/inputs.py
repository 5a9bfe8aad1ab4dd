"""Inputs of the pages: the request of the command line, and the merged runs with tables and costs."""

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
from reports.page.costs import Costs, collect_costs
from tables import layout
from tables.layout import TableLayout

Pair = tuple[str, str]  # dataset, backbone


@dataclass(frozen=True)
class ReportRequest:
    """Options of a command that writes pages.

    folders: folders of runs, to be merged; the first one holds figures and the report.
    seeds: seeds to show.
    overrides: SET as typed.
    data, weights: folders as given; None for those of the profile.
    """

    profile: str
    folders: tuple[Path, ...]
    seeds: tuple[int, ...]
    overrides: str = ""
    data: Path | None = None
    weights: Path | None = None

    @property
    def root(self) -> Path:
        """Return the profile's folder in the first folder of runs."""
        return self.folders[0] / self.profile

    def figures(self, pair: Pair) -> Path:
        """Return the folder of a pair's figures."""
        return self.root / "figures" / pair[0] / pair[1]


@dataclass(frozen=True)
class ReportInputs:
    """Everything that the pages show. layouts: the three tables, by key."""

    request: ReportRequest
    merged: MergedRuns
    layouts: Mapping[str, TableLayout]

    @cached_property
    def pairs(self) -> Mapping[Pair, tuple[RunView, ...]]:
        """Return the 34 comparisons in the paper's order with their runs; no runs where SET does not apply."""
        runs: dict[Pair, list[RunView]] = {pair: [] for table in TABLES.values() for pair in table.pairs}
        for run in self.merged.runs:
            runs[run.cell.dataset, run.cell.backbone].append(run)
        return {pair: tuple(pair_runs) for pair, pair_runs in runs.items()}

    def left_out(self, pair: Pair) -> Mapping[str, str]:
        """Return method → why SET does not apply to it; empty if it applies to both methods."""
        reasons = {method: self.merged.refused.get("/".join((*pair, method)), "") for method in METHODS}
        return {method: reason for method, reason in reasons.items() if reason}

    @cached_property
    def costs(self) -> Costs:
        return collect_costs(self.merged.runs)


def read_inputs(request: ReportRequest) -> ReportInputs:
    """Read the records of all tables. Raises the errors of ``benchmark.records.merge.collect``."""
    merged = merge.collect(
        request.folders,
        profile=request.profile,
        seeds=request.seeds,
        overrides=parse_overrides(request.overrides),
        data_dir=request.data,
        weights_dir=request.weights,
    )
    changed = shlex.split(request.overrides)
    layouts = {
        key: layout.build(
            key,
            request.profile,
            merged.runs,
            changed,
            folders=map(str, request.folders),
            refused=merged.refused,
        )
        for key in TABLES
    }
    return ReportInputs(request, merged, layouts)


def seeds_on_disk(
    folders: tuple[Path, ...], profile: str, methods: Container[str] | None = None
) -> tuple[int, ...]:
    """List the seeds of all run folders of a profile; (0,) if there are none.

    methods: only run folders of these methods; None for all.
    Raises RunError for a folder that cannot be read.
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


def table_key(pair: Pair) -> str:
    """Return the key of the table that holds a pair."""
    return next(key for key, table in TABLES.items() if pair in table.pairs)


# --- Options of the commands that write pages ---


def add_page_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for profile, folders and seeds."""
    options.add_common(parser)
    parser.add_argument("--seeds", default="", help="whole numbers; none: every seed that has a run folder")


def parse_request(arguments: argparse.Namespace, methods: Container[str] | None = None) -> ReportRequest:
    """Parse the options. methods: whose seeds are shown if none are given; None for all.

    Raises SettingsError for folders and seeds that are not valid.
    """
    folders = options.folders(str(arguments.runs))
    seeds = arguments.seeds.strip()
    return ReportRequest(
        profile=arguments.profile,
        folders=folders,
        seeds=options.seeds(seeds) if seeds else seeds_on_disk(folders, arguments.profile, methods),
        overrides=arguments.overrides,
        data=options.absolute(arguments.data),
        weights=options.absolute(arguments.weights),
    )
