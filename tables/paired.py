"""What two runs found on the same test images, side by side: right or wrong, or the average precision (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmark.errors import RunError, SuiteError
from tables import records
from tables.formats import one_line

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
