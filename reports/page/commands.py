"""The command lines that would bring what a page lacks."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmark.options import absolute
from reports.page.material import Asked, Pair, table_of

FIRST_RUNS = "runs"  # where make looks without RUNS


# What runs in these states need besides: a folder that has to be named yet, or a decision.
_NEEDS = {"no-data": {"DATA": "/data"}, "no-weights": {"WEIGHTS": "/weights"}, "stale": {"RERUN": "stale"}}


def run(asked: Asked, pair: Pair, states: Iterable[str]) -> str:
    """``make table1 PROFILE=paper CELLS='cub/deit_tiny/*'``, with what runs in these states need besides."""
    needed: dict[str, str] = {}
    for state in states:
        needed |= _NEEDS.get(state, {})
    return _line([table_of(pair), *_variables(asked, "/".join((*pair, "*")), needed)])


def heatmaps(asked: Asked, pair: Pair) -> str:
    """``make heatmaps CELLS=cub/deit_tiny``."""
    return _line(["heatmaps", *_variables(asked, "/".join(pair), {})])


def attention(asked: Asked, pair: Pair) -> str:
    """``make attention CELLS=cub/deit_tiny``."""
    return _line(["attention", *_variables(asked, "/".join(pair), {})])


def _variables(asked: Asked, cells: str, needed: Mapping[str, str]) -> list[str]:
    """Only what differs from make's own defaults, CELLS, and what is needed besides."""
    given = {
        "PROFILE": asked.profile if asked.profile != "mini" else "",
        "RUNS": str(asked.folders[0]) if asked.folders[0] != absolute(Path(FIRST_RUNS)) else "",
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
