"""Command lines for what is missing on a page."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmark.commands.options import absolute
from benchmark.config.grid import METHODS
from benchmark.records.status import RunView
from reports.page.inputs import Pair, ReportRequest, table_key

DEFAULT_RUNS = "runs"  # RUNS of the Makefile
# State → variable that its runs also need: a folder to name, or a decision.
_NEEDS = {"no-data": {"DATA": "/data"}, "no-weights": {"WEIGHTS": "/weights"}, "stale": {"RERUN": "stale"}}


def run_commands(request: ReportRequest, pair: Pair, missing: Iterable[RunView]) -> list[str]:
    """Return the commands for missing runs of a pair: ``make table1 PROFILE=paper CELLS=cub/deit_tiny/dcal SEEDS=2``.

    They name exactly these runs: with several folders, runs that are done in another folder would run again. Variables
    that the states of the runs need are included.
    """

    def cells(methods: Sequence[str]) -> str:
        return "/".join((*pair, "*" if len(methods) == len(METHODS) else methods[0]))

    return _commands(request, table_key(pair), missing, lambda run: run.cell.method, cells)


def ablation_commands(request: ReportRequest, missing: Iterable[RunView], count: int) -> list[str]:
    """Return the commands for missing ablation runs: ``make ablations CELLS='cub/deit_tiny/glca cub/deit_tiny/pwca'``.

    count: number of all ablation cells; if all are missing, CELLS is left out.
    """

    def cells(ids: Sequence[str]) -> str:
        return " ".join(ids) if len(ids) < count else ""

    return _commands(request, "ablations", missing, lambda run: run.cell.id, cells)


def _commands(
    request: ReportRequest,
    verb: str,
    missing: Iterable[RunView],
    name: Callable[[RunView], str],
    cells: Callable[[Sequence[str]], str],
) -> list[str]:
    """Return one command for all cells that lack the same seeds.

    name: function from a run to the name of its method or cell.
    cells: function from such names to CELLS.
    """
    runs: dict[str, list[RunView]] = {}
    for run in missing:
        runs.setdefault(name(run), []).append(run)
    names: dict[tuple[int, ...], list[str]] = {}
    for key, key_runs in runs.items():
        names.setdefault(tuple(sorted(run.seed for run in key_runs)), []).append(key)
    lines = []
    for seeds, keys in names.items():
        needed: dict[str, str] = {}
        for run in (run for key in keys for run in runs[key]):
            needed |= _NEEDS.get(run.state, {})
        variables = _variables(replace(request, seeds=seeds), cells(keys), needed, request.folders[:1])
        lines.append(_make_line([verb, *variables]))
    return lines


def heatmaps_command(request: ReportRequest, pair: Pair) -> str:
    """Return ``make heatmaps CELLS=cub/deit_tiny``."""
    return _make_line(["heatmaps", *_variables(request, "/".join(pair), {}, request.folders)])


def attention_command(request: ReportRequest, pair: Pair) -> str:
    """Return ``make attention CELLS=cub/deit_tiny``."""
    return _make_line(["attention", *_variables(request, "/".join(pair), {}, request.folders)])


def _variables(
    request: ReportRequest, cells: str, needed: Mapping[str, str], folders: tuple[Path, ...]
) -> list[str]:
    """Return make's variables: those that differ from the defaults, CELLS, and the needed ones.

    folders: RUNS; commands that only read take all folders of the report, because a run may be in any of them.
    """
    runs = " ".join(shlex.quote(str(folder)) for folder in folders) if len(folders) > 1 else str(folders[0])
    values = {
        "PROFILE": request.profile if request.profile != "mini" else "",
        "RUNS": runs if folders != (absolute(Path(DEFAULT_RUNS)),) else "",
        "DATA": str(request.data or ""),
        "WEIGHTS": str(request.weights or ""),
        "CELLS": cells,
        "SEEDS": " ".join(map(str, request.seeds)) if request.seeds != (0,) else "",
        "SET": request.overrides,
    }
    variables = dict(needed) | {name: value for name, value in values.items() if value}
    order = (*values, *(needed.keys() - values.keys()))
    return [f"{name}={variables[name]}" for name in order if name in variables]


def _make_line(words: list[str]) -> str:
    """Return a command line of make, quoted for a shell."""
    parts = (word.partition("=") for word in words)
    return " ".join(
        [
            "make",
            *(f"{name}{equals}{shlex.quote(value)}" if equals else name for name, equals, value in parts),
        ]
    )
