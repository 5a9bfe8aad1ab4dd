"""The grid: every backbone × dataset × method of the paper's tables and ablations, as cells with readable ids (no
torch).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmark.config import cell_pattern
from benchmark.config.backbones import BACKBONES
from benchmark.config.cell_pattern import matches
from benchmark.config.datasets import DATASETS
from benchmark.config.variants import VARIANTS, fixed_on
from benchmark.errors import SettingsError

METHODS = ("baseline", "dcal")
ABLATIONS = "ablations"


@dataclass(frozen=True, order=True)
class Cell:
    """One number's place in a table: what is trained, on what, how. ``id`` is ``cub/deit_tiny/dcal``.

    table: ``ablations`` where the method is a variant, ``own`` where the dataset is a user's own, which is in no table.
    """

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
class PaperTable:
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


TABLES: dict[str, PaperTable] = {
    table.key: table
    for table in (
        PaperTable(
            "table1",
            "Table 1: fine-grained visual categorization",
            _product(
                ("cub", "cars", "aircraft"),
                ("deit_tiny", "deit_small", "deit_base", "vit_base", "r50_vit_base"),
            ),
        ),
        PaperTable(
            "table2",
            "Table 2: object re-identification",
            _product(
                ("veri", "msmt17", "market", "duke"), ("deit_tiny", "deit_small", "deit_base", "vit_base")
            ),
        ),
        PaperTable(
            "extras",
            "More Transformer Baselines",
            (("cub", "cait_xs24"), ("cub", "swin_tiny"), ("msmt17", "swin_tiny")),
        ),
    )
}


def all_cells() -> tuple[Cell, ...]:
    """The 68 cells of the paper, in the order of its tables."""
    return tuple(cell for table in TABLES.values() for cell in table.cells)


def ablation_cells() -> tuple[Cell, ...]:
    """The ablations' cells: Table 1's and Table 2's own of two backbones, and all variants of the first one."""
    variants = (Cell(ABLATIONS, "cub", "deit_tiny", key) for key in VARIANTS)
    return (*select(["cub/deit_tiny"]), *variants, *select(["veri/vit_base"]))


def select(patterns: Iterable[str] = (), table: str | None = None) -> tuple[Cell, ...]:
    """Cells whose id matches one of the patterns, in grid order.

    patterns: shell patterns over ``dataset/backbone/method``; a missing tail means "all", so ``cub``
        is ``cub/*/*``. No pattern selects everything.
    table: keep only this table's cells. Without one, a variant is found by its exact id alone, on every pair of the
        grid: patterns and no pattern mean the tables' cells.

    Raises SettingsError for an unknown table, for a pattern that selects nothing, and for a variant of a branch that
    the backbone has not.
    """
    if table not in (None, ABLATIONS, *TABLES):
        raise SettingsError(f"unknown table {table!r}: expected one of {', '.join((*TABLES, ABLATIONS))}")
    patterns = tuple(patterns)
    cells = ablation_cells() if table == ABLATIONS else TABLES[table].cells if table else all_cells()
    if not patterns:
        return cells
    variants: list[Cell] = []
    chosen: set[str] = set()
    for pattern in patterns:
        parts = pattern.strip("/").split("/")
        if table is None and (variant := _variant(parts)):
            variants.append(variant)
            continue
        matched = {cell.id for cell in cells if matches(cell.id, pattern)}
        if not matched:
            raise SettingsError(_no_match(pattern, cells, table))
        chosen |= matched
    return (*(cell for cell in cells if cell.id in chosen), *dict.fromkeys(variants))


def named(cell_id: str) -> Cell:
    """The cell of exactly this id: one of the grid, or one of a user's own dataset that is registered.

    Raises SettingsError for an id that is none.
    """
    dataset, _, rest = cell_id.partition("/")
    backbone, _, method = rest.partition("/")
    if dataset not in DATASETS or not DATASETS[dataset].own:
        cells = select([cell_id]) if "/" in rest else ()
        if len(cells) == 1:
            return cells[0]
    elif backbone in BACKBONES and method in (*METHODS, *VARIANTS):
        _require_branch(cell_id, backbone, method)
        return Cell("own", dataset, backbone, method)
    raise SettingsError(
        f"{cell_id!r} is no cell: expected dataset/backbone/method, e.g. cub/deit_tiny/dcal; backbones are "
        f"{', '.join(BACKBONES)}, methods {', '.join(METHODS)} and those of the ablations"
    )


def _variant(parts: Sequence[str]) -> Cell | None:
    """The cell of a variant on a pair of the grid, named by its three parts; None for everything else."""
    pairs = {(cell.dataset, cell.backbone) for cell in all_cells()}
    if len(parts) != 3 or parts[2] not in VARIANTS or tuple(parts[:2]) not in pairs:
        return None
    cell = Cell(ABLATIONS, *parts)
    _require_branch(cell.id, cell.backbone, cell.method)
    return cell


def _require_branch(cell_id: str, backbone: str, method: str) -> None:
    """Raises SettingsError for a variant that is nothing, or nothing of its own, on a backbone without GLCA."""
    if method in VARIANTS and not fixed_on(method, backbone):
        raise SettingsError(
            f"{cell_id}: {BACKBONES[backbone].title} has no GLCA, DCAL is PWCA alone there: run "
            f"{cell_id.removesuffix(method)}dcal, or another backbone"
        )


def _no_match(pattern: str, cells: tuple[Cell, ...], table: str | None) -> str:
    ids = {key: [cell.id for cell in grid.cells] for key, grid in TABLES.items()}
    ids[ABLATIONS] = [cell.id for cell in ablation_cells()]
    titles = {key: grid.title.partition(":")[0] for key, grid in TABLES.items()} | {
        ABLATIONS: "the ablations"
    }
    why = cell_pattern.explain(pattern, table or "", titles, ids)
    within = ids[table] if table else [cell for several in ids.values() for cell in several]
    hint = f": {why}" if why else ""
    dataset = pattern.partition("/")[0]
    if "did you mean" not in why and not (table and "that is in" in why):
        hint += cell_pattern.nearest_cells(pattern, within)
    if "did you mean" not in why and dataset and dataset not in DATASETS and not set(dataset) & set("*?["):
        hint += f"; a dataset of your own is no part of it: `make run CELL={dataset}/deit_tiny/dcal` runs one"
    where = titles[table] if table else "the grid"
    return (
        f"pattern {pattern!r} matches none of the {len(cells)} cells of {where}{hint}. "
        f"A pattern is dataset/backbone/method with shell wildcards, e.g. 'cub/deit_*/dcal'; `make list` prints every "
        f"cell, `make list TABLE={ABLATIONS}` those of the ablations, which are found by their whole id or with TABLE"
    )
