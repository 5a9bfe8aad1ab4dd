"""What the ablations' page is made from: the runs of all rows, merged, with table, curves and costs (no torch)."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import cached_property

from benchmark.config.grid import ABLATIONS
from benchmark.config.resolve import parse_overrides
from benchmark.records import merge
from benchmark.records.merge import MergedRuns
from reports.page import costs
from reports.page.inputs import Asked
from tables.ablations import layout, tables
from tables.ablations.layout import AblationLayout
from tables.ablations.rows import has_ablation_runs
from tables.side_tables import read_overheads

PLACE = (
    ABLATIONS,
    "report",
    "index.html",
)  # of the page, below the profile's folder, where the counted overhead lies


@dataclass(frozen=True)
class Gathered:
    """merged: the runs of the ablations' cells, those that they share with the tables included."""

    asked: Asked
    merged: MergedRuns
    laid_out: AblationLayout

    @property
    def started(self) -> bool:
        """Whether there is anything of the ablations but the tables' own runs."""
        return has_ablation_runs(self.merged.runs)

    @cached_property
    def curves(self) -> tuple[tables.Curve, ...]:
        return tables.curves(self.laid_out.ablations)

    @cached_property
    def costs(self) -> costs.Costs:
        return costs.of_runs(self.merged.runs)


def gather(asked: Asked) -> Gathered:
    """Read the records. Raises as ``benchmark.records.merge.collect``."""
    merged = merge.collect(
        asked.folders,
        table=ABLATIONS,
        profile=asked.profile,
        seeds=asked.seeds,
        overrides=parse_overrides(asked.overrides),
        data_dir=asked.data,
        weights_dir=asked.weights,
    )
    laid_out = layout.build(
        asked.profile,
        merged.runs,
        shlex.split(asked.overrides),
        overheads=read_overheads(asked.folders, asked.profile),
        conflicts=merged.conflicts,
        folders=map(str, asked.folders),
        refused=merged.refused,
    )
    return Gathered(asked, merged, laid_out)
