"""Inputs of the ablations' page: the merged runs of all rows, with table, curves and costs."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import cached_property

from benchmark.config.grid import ABLATIONS
from benchmark.config.resolve import parse_overrides
from benchmark.records import merge
from benchmark.records.merge import MergedRuns
from reports.page.costs import Costs, collect_costs
from reports.page.inputs import ReportRequest
from tables.ablations import layout, tables
from tables.ablations.layout import AblationLayout
from tables.ablations.rows import has_ablation_runs
from tables.side_tables import read_overheads

PAGE_PATH = (ABLATIONS, "report", "index.html")  # below the profile's folder


@dataclass(frozen=True)
class AblationInputs:
    """Everything that the ablations' page shows. merged: runs of all ablation cells, also those of the tables."""

    request: ReportRequest
    merged: MergedRuns
    ablation_layout: AblationLayout

    @property
    def started(self) -> bool:
        """Return whether any run belongs to the ablations only."""
        return has_ablation_runs(self.merged.runs)

    @cached_property
    def curves(self) -> tuple[tables.Curve, ...]:
        return tables.curves(self.ablation_layout.ablations)

    @cached_property
    def costs(self) -> Costs:
        return collect_costs(self.merged.runs)


def read_ablations(request: ReportRequest) -> AblationInputs:
    """Read the records. Raises the errors of ``benchmark.records.merge.collect``."""
    merged = merge.collect(
        request.folders,
        table=ABLATIONS,
        profile=request.profile,
        seeds=request.seeds,
        overrides=parse_overrides(request.overrides),
        data_dir=request.data,
        weights_dir=request.weights,
    )
    ablation_layout = layout.build(
        request.profile,
        merged.runs,
        shlex.split(request.overrides),
        overheads=read_overheads(request.folders, request.profile),
        conflicts=merged.conflicts,
        folders=map(str, request.folders),
        refused=merged.refused,
    )
    return AblationInputs(request, merged, ablation_layout)
