"""The command lines that would bring what a page lacks."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmark.commands.options import absolute
from benchmark.config.grid import METHODS
from benchmark.records.status import RunView
from reports.page.inputs import Asked, Pair, table_of

FIRST_RUNS = "runs"  # where make looks without RUNS


# What runs in these states need besides: a folder that has to be named yet, or a decision.
_NEEDS = {"no-data": {"DATA": "/data"}, "no-weights": {"WEIGHTS": "/weights"}, "stale": {"RERUN": "stale"}}


def run(asked: Asked, pair: Pair, lacking: Iterable[RunView]) -> list[str]:
    """``make table1 PROFILE=paper CELLS=cub/deit_tiny/dcal SEEDS=2``: lines that run these and no others, with what
    their states need besides. With several folders, what is done in another one would else be run again.
    """

    def cells(methods: Sequence[str]) -> str:
        return "/".join((*pair, "*" if len(methods) == len(METHODS) else methods[0]))

    return _lines(asked, table_of(pair), lacking, lambda lacks: lacks.cell.method, cells)


def ablations(asked: Asked, lacking: Iterable[RunView], count: int) -> list[str]:
    """``make ablations CELLS='cub/deit_tiny/glca cub/deit_tiny/pwca'``, as ``run``.

    count: of the ablations' cells; where all of them lack, none is named.
    """

    def cells(ids: Sequence[str]) -> str:
        return " ".join(ids) if len(ids) < count else ""

    return _lines(asked, "ablations", lacking, lambda lacks: lacks.cell.id, cells)


def _lines(
    asked: Asked,
    verb: str,
    lacking: Iterable[RunView],
    name: Callable[[RunView], str],
    cells: Callable[[Sequence[str]], str],
) -> list[str]:
    """A line for what lacks the same seeds. name: of what a run belongs to; cells: CELLS from such names."""
    by_name: dict[str, list[RunView]] = {}
    for lacks in lacking:
        by_name.setdefault(name(lacks), []).append(lacks)
    by_seeds: dict[tuple[int, ...], list[str]] = {}
    for named, runs in by_name.items():
        by_seeds.setdefault(tuple(sorted(lacks.seed for lacks in runs)), []).append(named)
    lines = []
    for seeds, names in by_seeds.items():
        needed: dict[str, str] = {}
        for lacks in (lacks for named in names for lacks in by_name[named]):
            needed |= _NEEDS.get(lacks.state, {})
        variables = _variables(replace(asked, seeds=seeds), cells(names), needed, asked.folders[:1])
        lines.append(_line([verb, *variables]))
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
    """One line for a shell; make behind it takes values as they are."""
    parted = (word.partition("=") for word in words)
    return " ".join(
        [
            "make",
            *(f"{name}{equals}{shlex.quote(value)}" if equals else name for name, equals, value in parted),
        ]
    )
