"""What GLCA costs, counted, beside the paper's percentages."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS
from benchmark.config.paper_ablations import OVERHEADS, PublishedOverhead
from benchmark.records.glca_cost import GLCACost, Overheads, path_of, read
from tables.side_table import SideTable

TITLE = "What GLCA adds to a baseline, in % of it, counted at the paper's sizes"
HEADINGS = ("Dataset and backbone", "of its", "paper", "counted", "rollout besides")
NOTE = (
    "GLCA's overhead is counted, not timed, at the paper's image sizes whatever the profile: block, norm and "
    "classifier (VeRi-776: no classifier), multiply-adds of one image. The rollout, which computes the scores of the "
    "blocks before GLCA's once more, is not in the paper's figure and stands beside it"
)


def counted_in(folders: Iterable[Path], profile: str) -> Overheads | None:
    """What the first of several folders of runs that has any holds; None where nothing was counted."""
    return next(filter(None, (read(path_of(folder, profile)) for folder in folders)), None)


def overhead_table(found: Overheads | None) -> SideTable | None:
    """Two rows a published model; None where nothing was counted."""
    if found is None:
        return None
    rows = [row for told in OVERHEADS for row in _rows(told, found.costs[told.dataset, told.backbone])]
    return SideTable(TITLE, HEADINGS, tuple(rows), "llrrr", 2)


def _rows(told: PublishedOverhead, cost: GLCACost) -> list[tuple[str, ...]]:
    name = f"{DATASETS[told.dataset].column}, {BACKBONES[told.backbone].title}"
    return [
        (name, "parameters", f"{told.parameters}", f"{cost.parameters_percent:.2f}", ""),
        (
            name,
            "multiply-adds",
            f"{told.multiply_adds}",
            f"{cost.multiply_adds_percent:.2f}",
            f"{cost.rollout_percent:.1f}",
        ),
    ]
