"""Patterns over the ids of cells, as CELLS takes them."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable, Mapping, Sequence

from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS
from benchmark.config.variants import VARIANTS


def full_pattern(pattern: str) -> str:
    """``cub`` as ``cub/*/*``."""
    parts = pattern.strip("/").split("/")
    return "/".join(parts + ["*"] * (3 - len(parts)))


def matches(cell_id: str, pattern: str) -> bool:
    """Whether a pattern, full or without its tail, selects a cell; capital letters count."""
    return fnmatch.fnmatchcase(cell_id, full_pattern(pattern))


# --- The known name that somebody who misspelt one probably meant ---

LIKELY, POSSIBLE = 0.6, 0.3  # least likeness, from 0 to 1


def nearest_hint(
    name: str,
    known: Iterable[str],
    *,
    count: int = 1,
    cutoff: float = POSSIBLE,
    shown: Mapping[str, str] | None = None,
) -> str:
    """``; nearest: deit_tiny``: the end of an error's text; "" where no known name is near.

    count: the most names. cutoff: the least likeness. shown: known name → what stands for it in the text.
    """
    near = difflib.get_close_matches(name, list(known), n=count, cutoff=cutoff)
    return f"; nearest: {', '.join(shown[name] if shown else name for name in near)}" if near else ""


# --- Why a pattern of CELLS selects no cell, and what was probably meant ---

METHODS = ("baseline", "dcal", *VARIANTS)
PARTS = ("dataset", "backbone", "method")
_WILD = set("*?[")


def explain(pattern: str, table: str, titles: Mapping[str, str], cells: Mapping[str, Sequence[str]]) -> str:
    """What a pattern looks like instead of one of the cells that it was to select from; "" for no guess.

    table: the one asked for, "" for all of the grid. titles: of the tables, by key; cells: ids of each table's.
    """
    parts = pattern.strip("/").split("/")
    if len(parts) > 3:
        meant = "/".join(parts[:3])
        return f"it has {len(parts)} parts, a cell has three; did you mean {meant!r}, with SEEDS for the seed"
    meant = _as_they_are_written(parts)
    moved = _in_their_places(meant)
    if moved != parts:
        suggested = "/".join(moved)
        elsewhere = _elsewhere(suggested, table, titles, cells)
        return f"did you mean {suggested!r}" + (f", {elsewhere}" if elsewhere else "")
    if elsewhere := _elsewhere(pattern, table, titles, cells):
        return elsewhere
    return _lone_pair(parts, cells) or _unknown_part(parts)


def nearest_cells(pattern: str, ids: Iterable[str]) -> str:
    """``; nearest: cub/deit_tiny/dcal``, up to three ids; "" where none is near."""
    return nearest_hint(full_pattern(pattern), sorted(set(ids)), count=3, cutoff=0.4)


def _as_they_are_written(parts: Sequence[str]) -> list[str]:
    """Parts in the spelling that cells have: ``CUB``, ``CUB_200_2011``, ``DeiT-Tiny``, a timm tag."""
    spelt = {}
    for row in BACKBONES.values():
        spelt |= dict.fromkeys((row.title, row.tag, row.tag.partition(".")[0]), row.key)
    for row in DATASETS.values():
        spelt |= dict.fromkeys((row.title, row.column, *row.folders), row.key)
    spelt |= {name: name for name in (*DATASETS, *BACKBONES, *METHODS)}
    spelt = {_folded(name): key for name, key in spelt.items()}
    return [part if set(part) & _WILD else spelt.get(_folded(part), part) for part in parts]


def _folded(name: str) -> str:
    return name.lower().replace("-", "_").replace(" ", "_")


def _in_their_places(parts: Sequence[str]) -> list[str]:
    """``deit_tiny`` as ``*/deit_tiny``, ``deit_tiny/dcal`` as ``*/deit_tiny/dcal``, ``dcal`` as ``*/*/dcal``."""
    if parts[0] in DATASETS:
        return list(parts)
    if len(parts) < 3 and _fits(parts[0], BACKBONES) and all(_fits(part, METHODS) for part in parts[1:]):
        return ["*", *parts]
    if len(parts) == 1 and _fits(parts[0], METHODS):
        return ["*", "*", *parts]
    return list(parts)


def _fits(pattern: str, names: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)


def _elsewhere(
    pattern: str, table: str, titles: Mapping[str, str], cells: Mapping[str, Sequence[str]]
) -> str:
    """``that is in Table 2: make table2`` for a pattern that another table has; "" if none has it, or this one."""
    having = [key for key, ids in cells.items() if any(matches(cell_id, pattern) for cell_id in ids)]
    if not having or table in having or (not table and having != ["ablations"]):
        return ""
    # The ablations take cells of the tables along.
    places = [key for key in having if key != "ablations"] or having
    return "that is in " + " and ".join(f"{titles[key]}: make {key} (TABLE={key})" for key in places)


def _lone_pair(parts: Sequence[str], cells: Mapping[str, Sequence[str]]) -> str:
    """Why a known dataset with a known backbone is no cell: no table pairs them."""
    if len(parts) < 2 or parts[1] not in BACKBONES or parts[0] not in DATASETS:
        return ""
    pairs = dict.fromkeys(cell.rpartition("/")[0] for ids in cells.values() for cell in ids)
    if "/".join(parts[:2]) in pairs:
        return ""
    having = [pair for pair in pairs if pair.endswith(f"/{parts[1]}")]
    return (
        f"no table has {BACKBONES[parts[1]].title} on {DATASETS[parts[0]].title}; it has {', '.join(having)}"
    )


def _unknown_part(parts: Sequence[str]) -> str:
    """The first part that names nothing, with all names that there are."""
    known = (DATASETS, BACKBONES, METHODS)
    if len(parts) == 1 and not any(_fits(parts[0], names) for names in known):
        return (
            f"no dataset, backbone or method is called {parts[0]!r}; datasets are {', '.join(DATASETS)}, backbones "
            f"{', '.join(BACKBONES)}"
        )
    for part, what, names in zip(parts, PARTS, known, strict=False):
        if not _fits(part, names):
            every = "baseline, dcal and those of the ablations" if names is METHODS else ", ".join(names)
            return f"there is no {what} {part!r}, there are {every}"
    return ""
