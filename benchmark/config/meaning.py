"""Which settings have a meaning for which cells, and SETs that have none (no torch)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from benchmark.config.backbones import BACKBONES
from benchmark.config.grid import Cell
from benchmark.config.quantities import abridged
from benchmark.config.settings import GLCA_ONLY, ONE_TASK, TASK_NAMES
from benchmark.config.variants import fixed
from benchmark.errors import SettingsError

NAMED = 3  # cells in an error


def belongs_to_other(name: str, task: str) -> bool:
    """Whether a setting belongs to another task than ``task`` alone."""
    return any(name in names for other, names in ONE_TASK.items() if other != task)


def is_glca_without(name: str, backbone: str) -> bool:
    """Whether a setting is GLCA's and the backbone has none."""
    return name in GLCA_ONLY and not BACKBONES[backbone].glca


def _has_meaning(name: str, cell: Cell) -> bool:
    """Whether a setting is one of the cell's task and backbone."""
    return not belongs_to_other(name, cell.task) and not is_glca_without(name, cell.backbone)


def meant(values: Mapping[str, object], cell: Cell) -> dict[str, object]:
    """The settings among these that have a meaning for the cell."""
    return {name: value for name, value in values.items() if _has_meaning(name, cell)}


def require_meaning(overrides: Iterable[str], cells: Iterable[Cell]) -> None:
    """Raises SettingsError for an override that changes nothing in any of the cells."""
    cells = tuple(cells)
    for name in overrides:
        if not cells or any(_has_meaning(name, cell) for cell in cells):
            continue
        if name in GLCA_ONLY:
            backbones = ", ".join(dict.fromkeys(BACKBONES[cell.backbone].title for cell in cells))
            raise SettingsError(
                f"SET: {name} is a setting of GLCA, which {backbones} has not: DCAL is PWCA alone there; leave it out"
            )
        (owner,) = (task for task, names in ONE_TASK.items() if name in names)
        raise SettingsError(
            f"SET: {name} is a setting of {TASK_NAMES[owner]} alone and has no meaning for the cells asked for; "
            "leave it out"
        )


def require_free(overrides: Iterable[str], cells: Iterable[Cell]) -> None:
    """Raises SettingsError for an override of what a variant among the cells fixes. For verbs that start runs, which
    would start the variant without it; those that read show it as it is.
    """
    cells = tuple(cells)
    for name in overrides:
        if fixing := [cell.id for cell in cells if name in fixed(cell.method)]:
            raise SettingsError(
                f"SET: {name} is fixed by {abridged(fixing, NAMED)}: leave it out, or ask for other CELLS"
            )
