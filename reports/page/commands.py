"""The command lines that would bring what a page lacks."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from benchmark.grid import METHODS
from benchmark.options import absolute
from benchmark.status import RunView
from reports.page.material import Asked, Pair, table_of

FIRST_RUNS = "runs"  # where make looks without RUNS


# What runs in these states need besides: a folder that has to be named yet, or a decision.
_NEEDS = {"no-data": {"DATA": "/data"}, "no-weights": {"WEIGHTS": "/weights"}, "stale": {"RERUN": "stale"}}


def run(asked: Asked, pair: Pair, lacking: Iterable[RunView]) -> list[str]:
    """``make table1 PROFILE=paper CELLS=cub/deit_tiny/dcal SEEDS=2``: lines that run these and no others, with what
    their states need besides. With several folders, what is done in another one would else be run again.
    """
    by_method: dict[str, list[RunView]] = {}
    for lacks in lacking:
        by_method.setdefault(lacks.cell.method, []).append(lacks)
    by_seeds: dict[tuple[int, ...], list[str]] = {}
    for method, runs in by_method.items():
        by_seeds.setdefault(tuple(sorted(lacks.seed for lacks in runs)), []).append(method)
    lines = []
    for seeds, methods in by_seeds.items():
        needed: dict[str, str] = {}
        for lacks in (lacks for method in methods for lacks in by_method[method]):
            needed |= _NEEDS.get(lacks.state, {})
        cells = "/".join((*pair, "*" if len(methods) == len(METHODS) else methods[0]))
        variables = _variables(replace(asked, seeds=seeds), cells, needed, asked.folders[:1])
        lines.append(_line([table_of(pair), *variables]))
    return lines


def heatmaps(asked: Asked, pair: Pair) -> str:
    """``make heatmaps CELLS=cub/deit_tiny``."""
    return _line(["heatmaps", *_variables(asked, "/".join(pair), {}, asked.folders)])


def attention(asked: Asked, pair: Pair) -> str:
    """``make attention CELLS=cub/deit_tiny``."""
    return _line(["attention", *_variables(asked, "/".join(pair), {}, asked.folders)])


def _variables(asked: Asked, cells: str, needed: Mapping[str, str], folders: tuple[Path, ...]) -> list[str]:
    """Only what differs from make's own defaults, CELLS, and what is needed besides.

    folders: of RUNS; verbs that only read take all that the report was made of, for a run may lie in any of them.
    """
    runs = " ".join(shlex.quote(str(folder)) for folder in folders) if len(folders) > 1 else str(folders[0])
    given = {
        "PROFILE": asked.profile if asked.profile != "mini" else "",
        "RUNS": runs if folders != (absolute(Path(FIRST_RUNS)),) else "",
        "DATA": str(asked.data or ""),
        "WEIGHTS": str(asked.weights or ""),
        "CELLS": cells,
        "SEEDS": " ".join(map(str, asked.seeds)) if asked.seeds != (0,) else "",
        "SET": asked.overrides,
    }
    filled = dict(needed) | {name: value for name, value in given.items() if value}
    return [f"{name}={filled[name]}" for name in (*given, *(needed.keys() - given.keys())) if name in filled]


def _line(words: list[str]) -> str:
    """One line for a shell, and for make behind it, whose sign for a variable is doubled."""
    parted = (word.replace("$", "$$").partition("=") for word in words)
    return " ".join(
        [
            "make",
            *(f"{name}{equals}{shlex.quote(value)}" if equals else name for name, equals, value in parted),
        ]
    )
