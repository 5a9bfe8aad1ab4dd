"""What the predictions say of a gain: its interval, and McNemar's p of each seed (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tables import records
from tables.bootstrap import Interval, mean_interval
from tables.mcnemar import exact_p
from tables.paired import OTHER_IMAGES, PairError, paired
from tables.records import RunView


@dataclass(frozen=True)
class Evidence:
    """interval: of the gain over all the pairs, in points; differing: images or queries that tell the methods apart, of
    which it is made; p_values: by seed, empty where outcomes are not yes or no.

    reason and detail: why there is no interval, in a few words and in full; "" where there is one or nothing to pair.
    """

    interval: Interval | None = None
    differing: int = 0
    p_values: Mapping[int, float] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""


def evidence(
    compared: str, metric: str, pairs: Mapping[int, tuple[RunView, RunView]], after_metric: str = ""
) -> Evidence:
    """The evidence for a gain. pairs: by seed, baseline and DCAL; compared: ``dataset/backbone/metric``. after_metric:
    as in ``pairs.paired``.

    One unusable pair takes the interval away: it would be of another gain than the one shown beside it.
    """
    if not pairs:
        return Evidence()
    try:
        if len({records.fingerprint(run) for pair in pairs.values() for run in pair}) > 1:
            raise PairError(OTHER_IMAGES, "the data of the seeds have different fingerprints")
        found = {seed: paired(*pairs[seed], metric, after_metric) for seed in sorted(pairs)}
        total = _total(found)
    except PairError as error:
        return Evidence(reason=error.reason, detail=str(error))
    interval = mean_interval(total, compared)
    point = 100 / len(found)
    p_values = {
        seed: exact_p(before, after) for seed, (before, after) in found.items() if before.dtype == bool
    }
    differing = int(np.count_nonzero(total))
    return Evidence(Interval(point * interval.low, point * interval.high), differing, p_values)


def _total(found: Mapping[int, tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """(n,) differences of each image, summed over the seeds: whole numbers where outcomes are yes or no."""
    differences = [
        after.astype(np.int16) - before.astype(np.int16) if before.dtype == bool else after - before
        for before, after in found.values()
    ]
    return np.sum(differences, axis=0)
