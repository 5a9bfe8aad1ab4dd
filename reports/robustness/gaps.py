"""By how much a method differs from the baseline on the same pictures, and how sure that is (no torch)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reports.robustness.record import Robustness
from tables.bootstrap import Interval, mean_interval


@dataclass(frozen=True)
class Gap:
    """Method − baseline in points, mean over the seeds that both have; interval: over pictures, paired."""

    difference: float
    interval: Interval
    seeds: tuple[int, ...]


def gap(found: Robustness, method: str, metric: str, condition: int) -> Gap | None:
    """None where no seed has both. condition: its place among the record's."""
    before, after = found.of("baseline"), found.of(method)
    seeds = tuple(sorted(before.keys() & after.keys()))
    if not seeds:
        return None
    outcomes = found.outcomes[metric][:, condition]
    if outcomes.dtype == bool:
        outcomes = outcomes.astype(np.int16)  # whole numbers are drawn by level
    total = sum(outcomes[after[seed]] - outcomes[before[seed]] for seed in seeds)
    compared = f"{found.dataset}/{found.backbone}/{metric}"  # the same draws under every condition
    interval, point = mean_interval(total, compared), 100 / len(seeds)
    return Gap(float(point * total.mean()), Interval(point * interval.low, point * interval.high), seeds)
