"""What two runs found on the same test images, side by side: right or wrong, or the average precision (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from benchmark.errors import RunError, SuiteError
from tables import records
from tables.formats import one_line
from tables.records import RunView
from tables.statistics import Interval, exact_p, mean_interval

if TYPE_CHECKING:
    from tables.records import RunView

# Of a metric: what its branch's array of outcomes is called. A metric that is not here has no predictions to compare.
OUTCOMES = {"top1": "correct", "mAP": "ap", "R1": "rank1_correct"}
KINDS = {"top1": "b", "mAP": "f", "R1": "b"}  # numpy's letters of bool and float
AGREEMENT = 1e-6  # points between the record's metric and the one recomputed from the predictions

LACKING, DIFFERING, OTHER_IMAGES = (
    "predictions lacking",
    "predictions differ from the record",
    "different test images",
)


class PairError(SuiteError):
    """Two runs' predictions cannot be compared. reason: in a few words, for a table."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Outcomes:
    """One run's outcomes. images: what tells the test images apart, each (n,); counted: (n,) bool, which of them count;
    values: (n,) bool, or float in 0 to 1.
    """

    images: tuple[np.ndarray, ...]
    counted: np.ndarray
    values: np.ndarray


def paired(
    before: RunView, after: RunView, metric: str, after_metric: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """The outcomes of two methods on the images that count, each (n,) bool or float in 0 to 1.

    after_metric: the second one's, where it is read from one branch alone: ``sa_top1`` beside ``top1``. Re-ID leaves
    out queries that have nothing to find, as its metrics do. Raises PairError where predictions are missing, torn or
    without an array, do not give the record's metric, or are of other images than their partner's.
    """
    if records.fingerprint(before) != records.fingerprint(after):
        raise PairError(OTHER_IMAGES, "the two methods' data have different fingerprints")
    first, second = outcomes(before, metric), outcomes(after, after_metric or metric)
    if first.counted.size != second.counted.size:
        raise PairError(
            OTHER_IMAGES,
            f"{before.cell.method} was tested on {first.counted.size:,} images and {after.cell.method} on "
            f"{second.counted.size:,}",
        )
    together = zip((*first.images, first.counted), (*second.images, second.counted), strict=True)
    if not all(np.array_equal(one, other) for one, other in together):
        raise PairError(OTHER_IMAGES, "the two methods' test images have different labels or another order")
    return first.values[first.counted], second.values[second.counted]


def outcomes(run: RunView, metric: str) -> Outcomes:
    """What a run found, in agreement with its record. Raises PairError."""
    who = f"{run.cell.method} seed {run.seed}"
    try:
        predictions = run.predictions
        if predictions is None:
            raise PairError(LACKING, f"{who}: it has none")
        found = _read(predictions, metric)
    except KeyError as error:
        raise PairError(LACKING, f"{who}: its predictions have no {error.args[0]}") from None
    except RunError as error:
        raise PairError(LACKING, f"{who}: {one_line(error)}") from None
    shapes = {array.shape for array in (*found.images, found.counted, found.values)}
    kind = found.values.dtype.kind
    if len(shapes) > 1 or found.values.ndim != 1 or kind != KINDS[plain(metric)] or not found.counted.any():
        raise PairError(
            DIFFERING, f"{who}: its predictions are of shapes {sorted(shapes)} and dtype {found.values.dtype}"
        )
    recorded, again = records.metric(run, metric), 100 * float(found.values[found.counted].mean())
    # Written so that a NaN does not pass.
    if recorded is None or not abs(again - recorded) <= AGREEMENT:
        raise PairError(
            DIFFERING, f"{who}: its predictions give {metric} {again:.4f}, its record says {recorded}"
        )
    return found


def plain(metric: str) -> str:
    """The metric whatever its branch: ``top1`` of ``sa_top1``."""
    return metric.rpartition("_")[2]


def _read(predictions: Mapping[str, np.ndarray], metric: str) -> Outcomes:
    branch, _, name = metric.rpartition("_")
    values = predictions[f"{branch or 'both'}_{OUTCOMES[name]}"]
    if name == "top1":
        labels = predictions["labels"]
        return Outcomes((labels,), np.ones(labels.shape, dtype=bool), values)
    images = (predictions["identities"], predictions["cameras"])
    return Outcomes(images, predictions["both_first_hit"] > 0, values)


# --- What the predictions say of a gain: its interval, and McNemar's p of each seed ---


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
