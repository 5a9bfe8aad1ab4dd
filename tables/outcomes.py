"""Outcomes of single test images (right or wrong, or average precision), paired between two runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from benchmark.errors import RunError, SuiteError
from benchmark.records.status import RunView
from tables import records
from tables.formats import one_line
from tables.statistics import Interval, mcnemar_p, mean_interval

# Metric → name of its array in the predictions, without the branch. Other metrics have no predictions to compare.
OUTCOMES = {"top1": "correct", "mAP": "ap", "R1": "rank1_correct"}
KINDS = {"top1": "b", "mAP": "f", "R1": "b"}  # numpy's letters for bool and float
TOLERANCE = 1e-6  # points, between the record's metric and the one computed from the predictions

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
    """Outcomes of one run.

    images: arrays (n,) that identify the test images. counted: (n,) bool, whether an image counts.
    values: (n,) bool, or float in 0 to 1.
    """

    images: tuple[np.ndarray, ...]
    counted: np.ndarray
    values: np.ndarray


def paired_outcomes(
    before: RunView, after: RunView, metric: str, after_metric: str = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes of two runs on the images that count, each (n,) bool or float in 0 to 1.

    metric: of the first run. after_metric: of the second run where it is that of one branch, e.g. ``sa_top1`` beside
    ``top1``; "" for the same. As in the Re-ID metrics, queries without a matching image are left out.

    Raises PairError where predictions are missing, damaged or lack an array, do not give the record's metric, or are of
    other images than those of the other run.
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
    arrays = zip((*first.images, first.counted), (*second.images, second.counted), strict=True)
    if not all(np.array_equal(a, b) for a, b in arrays):
        raise PairError(OTHER_IMAGES, "the two methods' test images have different labels or another order")
    return first.values[first.counted], second.values[second.counted]


def outcomes(run: RunView, metric: str) -> Outcomes:
    """Read the outcomes of a run and check them against its record. Raises PairError."""
    name = f"{run.cell.method} seed {run.seed}"
    try:
        predictions = run.predictions
        if predictions is None:
            raise PairError(LACKING, f"{name}: it has none")
        result = _read(predictions, metric)
    except KeyError as error:
        raise PairError(LACKING, f"{name}: its predictions have no {error.args[0]}") from None
    except RunError as error:
        raise PairError(LACKING, f"{name}: {one_line(error)}") from None
    shapes = {array.shape for array in (*result.images, result.counted, result.values)}
    kind = result.values.dtype.kind
    if (
        len(shapes) > 1
        or result.values.ndim != 1
        or kind != KINDS[base_metric(metric)]
        or not result.counted.any()
    ):
        raise PairError(
            DIFFERING,
            f"{name}: its predictions are of shapes {sorted(shapes)} and dtype {result.values.dtype}",
        )
    recorded, computed = records.metric(run, metric), 100 * float(result.values[result.counted].mean())
    # Written so that a NaN does not pass.
    if recorded is None or not abs(computed - recorded) <= TOLERANCE:
        raise PairError(
            DIFFERING, f"{name}: its predictions give {metric} {computed:.4f}, its record says {recorded}"
        )
    return result


def base_metric(metric: str) -> str:
    """The metric without its branch: ``top1`` for ``sa_top1``."""
    return metric.rpartition("_")[2]


def _read(predictions: Mapping[str, np.ndarray], metric: str) -> Outcomes:
    branch, _, name = metric.rpartition("_")
    values = predictions[f"{branch or 'both'}_{OUTCOMES[name]}"]
    if name == "top1":
        labels = predictions["labels"]
        return Outcomes((labels,), np.ones(labels.shape, dtype=bool), values)
    images = (predictions["identities"], predictions["cameras"])
    return Outcomes(images, predictions["both_first_hit"] > 0, values)


# --- Evidence for a gain: its interval, and McNemar's p for each seed ---


@dataclass(frozen=True)
class Evidence:
    """Evidence for a gain.

    interval: of the gain over all pairs, in points.
    differing: number of images or queries on which the methods differ.
    p_values: seed → p, empty where outcomes are not yes or no.
    reason, detail: why there is no interval, in a few words and in full; "" where there is one, or nothing to pair.
    """

    interval: Interval | None = None
    differing: int = 0
    p_values: Mapping[int, float] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""


def evidence(
    comparison: str, metric: str, pairs: Mapping[int, tuple[RunView, RunView]], after_metric: str = ""
) -> Evidence:
    """Collect the evidence for a gain.

    comparison: ``dataset/backbone/metric``. pairs: seed → (baseline, DCAL). metric, after_metric: as in
    ``paired_outcomes``.

    One pair that cannot be compared leaves no interval at all: it would be of another gain than the one beside it.
    """
    if not pairs:
        return Evidence()
    try:
        if len({records.fingerprint(run) for pair in pairs.values() for run in pair}) > 1:
            raise PairError(OTHER_IMAGES, "the data of the seeds have different fingerprints")
        arrays = {seed: paired_outcomes(*pairs[seed], metric, after_metric) for seed in sorted(pairs)}
    except PairError as error:
        return Evidence(reason=error.reason, detail=str(error))
    # (n,) differences of each image, summed over the seeds: whole numbers where outcomes are yes or no.
    differences = [
        after.astype(np.int16) - before.astype(np.int16) if before.dtype == bool else after - before
        for before, after in arrays.values()
    ]
    total = np.sum(differences, axis=0)
    interval = mean_interval(total, comparison)
    point = 100 / len(arrays)
    p_values = {
        seed: mcnemar_p(before, after) for seed, (before, after) in arrays.items() if before.dtype == bool
    }
    return Evidence(
        Interval(point * interval.low, point * interval.high), int(np.count_nonzero(total)), p_values
    )
