"""The grid: every backbone × dataset × method of the paper's tables, as cells with readable ids (no torch)."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass

from benchmark.data.registry import DATASETS
from benchmark.errors import SettingsError

METHODS = ("baseline", "dcal")


@dataclass(frozen=True, order=True)
class Cell:
    """One number's place in a table: what is trained, on what, how. ``id`` is ``cub/deit_tiny/dcal``."""

    table: str
    dataset: str
    backbone: str
    method: str

    @property
    def id(self) -> str:
        return f"{self.dataset}/{self.backbone}/{self.method}"

    @property
    def task(self) -> str:
        return DATASETS[self.dataset].task


@dataclass(frozen=True)
class Table:
    """A published table: its backbones are the rows, its datasets the columns."""

    key: str
    title: str
    pairs: tuple[tuple[str, str], ...]  # (dataset, backbone)

    @property
    def datasets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(dataset for dataset, _ in self.pairs))

    @property
    def backbones(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(backbone for _, backbone in self.pairs))

    @property
    def cells(self) -> tuple[Cell, ...]:
        return tuple(
            Cell(self.key, dataset, backbone, method)
            for dataset, backbone in self.pairs
            for method in METHODS
        )


def _product(datasets: Iterable[str], backbones: Iterable[str]) -> tuple[tuple[str, str], ...]:
    backbones = tuple(backbones)
    return tuple((dataset, backbone) for dataset in datasets for backbone in backbones)


TABLES: dict[str, Table] = {
    table.key: table
    for table in (
        Table(
            "table1",
            "Table 1: fine-grained visual categorization",
            _product(
                ("cub", "cars", "aircraft"),
                ("deit_tiny", "deit_small", "deit_base", "vit_base", "r50_vit_base"),
            ),
        ),
        Table(
            "table2",
            "Table 2: object re-identification",
            _product(
                ("veri", "msmt17", "market", "duke"), ("deit_tiny", "deit_small", "deit_base", "vit_base")
            ),
        ),
        Table(
            "extras",
            "More Transformer Baselines",
            (("cub", "cait_xs24"), ("cub", "swin_tiny"), ("msmt17", "swin_tiny")),
        ),
    )
}


def all_cells() -> tuple[Cell, ...]:
    """The 68 cells of the paper, in the order of its tables."""
    return tuple(cell for table in TABLES.values() for cell in table.cells)


def select(patterns: Iterable[str] = (), table: str | None = None) -> tuple[Cell, ...]:
    """Cells whose id matches one of the patterns, in grid order.

    patterns: shell patterns over ``dataset/backbone/method``; a missing tail means "all", so ``cub``
        is ``cub/*/*``. No pattern selects everything.
    table: keep only this table's cells.

    Raises SettingsError for an unknown table and for a pattern that selects nothing.
    """
    if table is not None and table not in TABLES:
        raise SettingsError(f"unknown table {table!r}: expected one of {', '.join(TABLES)}")
    cells = TABLES[table].cells if table else all_cells()
    patterns = tuple(patterns)
    if not patterns:
        return cells
    chosen: set[str] = set()
    for pattern in patterns:
        parts = pattern.strip("/").split("/")
        full = "/".join(parts + ["*"] * (3 - len(parts)))
        matched = {cell.id for cell in cells if fnmatch.fnmatchcase(cell.id, full)}
        if not matched:
            raise SettingsError(_no_match(pattern, full, cells, table))
        chosen |= matched
    return tuple(cell for cell in cells if cell.id in chosen)


def _no_match(pattern: str, full: str, cells: tuple[Cell, ...], table: str | None) -> str:
    near = difflib.get_close_matches(full, sorted({cell.id for cell in cells}), n=3, cutoff=0.4)
    where = f"{TABLES[table].title}" if table else "the grid"
    hint = f"; nearest: {', '.join(near)}" if near else ""
    return (
        f"pattern {pattern!r} matches none of the {len(cells)} cells of {where}{hint}. "
        f"A pattern is dataset/backbone/method with shell wildcards, e.g. 'cub/deit_*/dcal'; "
        f"`make list` prints every cell"
    )
