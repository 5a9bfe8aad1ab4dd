"""The ablations' sweeps as points with intervals: accuracy against R, M and T, and the baseline's (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmark.config.ablations import SWEEPS, Sweep
from tables import records
from tables.ablations.rows import Ablations
from tables.bootstrap import LEVEL, Interval, mean_interval
from tables.cells import CellSummary
from tables.formats import one_line
from tables.paired import PairError, outcomes

INTERVAL_RULE = (
    f"{LEVEL} % intervals of an accuracy: bootstrap over the test images (percentiles), an image's outcomes first "
    "averaged over the seeds. They cover the choice of test images, not that of seeds. Runs share their images, so "
    "intervals that overlap do not mean that there is no difference: the paired intervals of gains stand in the table"
)


@dataclass(frozen=True)
class Point:
    """x: what the runs really have. mean: over seeds, in percent; interval: None where predictions are lacking, and
    reason why. published: the paper's, None where it gives none or must not stand beside these runs.
    """

    x: float
    mean: float
    by_seed: Mapping[int, float]
    interval: Interval | None
    reason: str
    published: float | None


@dataclass(frozen=True)
class Curve:
    """One sweep. points: of cells with a number, ascending in x. baseline: its x means nothing, None where not done.

    lacking: ids of the cells without a number.
    """

    sweep: Sweep
    points: tuple[Point, ...]
    baseline: Point | None
    lacking: tuple[str, ...]


def curves(found: Ablations) -> tuple[Curve, ...]:
    """R, M and T, in the registry's order."""
    return tuple(_curve(sweep, found) for sweep in SWEEPS)


def _curve(sweep: Sweep, found: Ablations) -> Curve:
    points, lacking = [], []
    for x, cell_id in sweep.points:
        cell = _cell(found, cell_id, sweep.metric)
        if cell.measured.n:
            points.append(_point(cell, sweep.x(cell.runs[0].config)))
        else:
            lacking.append(f"{sweep.name} = {x:g}")
    baseline = _cell(found, sweep.baseline, sweep.metric)
    points.sort(key=lambda point: point.x)
    return Curve(sweep, tuple(points), _point(baseline, 0.0) if baseline.measured.n else None, tuple(lacking))


def _cell(found: Ablations, cell_id: str, metric: str) -> CellSummary:
    return found.table.cells[(*cell_id.split("/"), metric)]


def _point(cell: CellSummary, x: float) -> Point:
    interval, reason = accuracy_interval(cell)
    # Beside a number that may not be held against it, the paper's would be.
    published = cell.published if cell.difference is not None else None
    return Point(x, cell.measured.mean, cell.measured.by_seed, interval, reason, published)


def accuracy_interval(cell: CellSummary) -> tuple[Interval | None, str]:
    """The interval of a cell's mean metric over its seeds, in percent, and "", or None and why there is none."""
    runs = [run for run in cell.runs if run.seed in cell.measured.by_seed]
    try:
        if len({records.fingerprint(run) for run in runs}) > 1:
            raise PairError("", "the data of the seeds have different fingerprints")
        found = [outcomes(run, cell.metric) for run in runs]
        if any(not np.array_equal(one.counted, found[0].counted) for one in found):
            raise PairError("", "the seeds count different images")
    except PairError as error:
        return None, one_line(error, 200)
    values = [one.values[one.counted] for one in found]
    total = np.sum([one.astype(np.int16) if one.dtype == bool else one for one in values], axis=0)
    # One draw for all points: equal outcomes get equal intervals.
    interval = mean_interval(total, cell.metric)
    point = 100 / len(found)
    return Interval(point * interval.low, point * interval.high), ""
