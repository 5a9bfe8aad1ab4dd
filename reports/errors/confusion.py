"""Errors of baseline and DCAL in fine-grained classification, from the stored predictions.

The methods are compared over their common seeds, on the same test images. Class names are foreign text and stay
unchanged here; the template escapes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.records.status import RunView
from reports.errors.comparable_runs import ClassifiedRun, select_comparable

CLASS_RULE = (
    "Classes are sorted by their accuracy, lowest first: the mean of both methods, or the accuracy of the only method "
    "that has run; equal ones in the dataset's order, classes without test images last."
)
PAIR_RULE = (
    "Pairs of a true class and a predicted class, most frequent first; the mistakes of both methods are added up over "
    "the counted runs; equal ones in the dataset's order."
)
CHOICE_RULE = (
    "The matrix has the classes of the most frequent confusions: both classes of each pair, from the top of the list, "
    "until there are {count}. Rows are true classes, columns predicted classes; all other classes are one column, so "
    "that a row adds up to the class's test images times the counted runs."
)


@dataclass(frozen=True)
class Accuracy:
    """Correct and wrong predictions, counted over images × runs."""

    correct: int
    wrong: int

    @property
    def percent(self) -> float | None:
        """Return the accuracy in percent; None without images."""
        total = self.correct + self.wrong
        return 100.0 * self.correct / total if total else None


@dataclass(frozen=True)
class ClassRow:
    """Accuracy of one class.

    images: number of test images.
    baseline, dcal: None if the method has no run.
    gain: DCAL − baseline in percentage points; None without common seeds or images.
    """

    index: int
    name: str
    images: int
    baseline: Accuracy | None
    dcal: Accuracy | None
    gain: float | None

    @property
    def mean(self) -> float | None:
        """Average the accuracy in percent over the methods that have run; the sort key of the rows."""
        values = [method.percent for method in (self.baseline, self.dcal) if method and self.images]
        return sum(values) / len(values) if values else None


@dataclass(frozen=True)
class Confusion:
    """Images of one class that were predicted as another.

    baseline, dcal: count over the method's runs; None without runs.
    baseline_share, dcal_share: in percent of the true class's images × runs.
    """

    true: int
    true_name: str
    predicted: int
    predicted_name: str
    baseline: int | None
    dcal: int | None
    baseline_share: float | None
    dcal_share: float | None


@dataclass(frozen=True)
class ConfusionMatrix:
    """Counts over a method's runs for the classes of ``Mistakes.matrix_classes``, in their order.

    rows: rows[i][j] is the number of images of class i predicted as class j.
    others: others[i] is the number predicted as any class outside the matrix.
    totals: totals[i] is the number of all images of class i.
    """

    rows: tuple[tuple[int, ...], ...]
    others: tuple[int, ...]
    totals: tuple[int, ...]


@dataclass(frozen=True)
class Mistakes:
    """All results about the errors of a pair.

    baseline_seeds, dcal_seeds: counted seeds.
    paired: whether both methods have the same seeds; without it there are no gains.
    matrix_classes: (index, name) of the classes in the matrices.
    notes: what was left out or is unknown.
    """

    baseline_seeds: tuple[int, ...]
    dcal_seeds: tuple[int, ...]
    paired: bool
    classes: tuple[ClassRow, ...]
    pairs: tuple[Confusion, ...]
    matrix_classes: tuple[tuple[int, str], ...]
    baseline_matrix: ConfusionMatrix | None
    dcal_matrix: ConfusionMatrix | None
    class_rule: str
    pair_rule: str
    choice_rule: str
    notes: tuple[str, ...]


def count_mistakes(
    baseline_runs: Sequence[RunView],
    dcal_runs: Sequence[RunView],
    *,
    max_pairs: int = 20,
    max_classes: int = 10,
) -> Mistakes | None:
    """Count the errors of one dataset and backbone over its finished runs; None if there are none.

    max_pairs: limit of the confused pairs.
    max_classes: limit of the classes in the matrix.
    Raises SettingsError for runs of re-identification.
    """
    runs = select_comparable(baseline_runs, dcal_runs)
    if runs is None:
        return None
    counts = [_counts(method_runs, len(runs.names)) for method_runs in (runs.baseline, runs.dcal)]
    confused = _confused_pairs(counts)
    # In the order of their confusions, so that confused classes are neighbours (CHOICE_RULE).
    order = list(dict.fromkeys(index for pair in confused for index in pair))[:max_classes]
    images = np.bincount(runs.labels, minlength=len(runs.names))
    rows = [
        _class_row(index, name, int(images[index]), counts, runs.paired)
        for index, name in enumerate(runs.names)
    ]
    return Mistakes(
        baseline_seeds=tuple(run.seed for run in runs.baseline),
        dcal_seeds=tuple(run.seed for run in runs.dcal),
        paired=runs.paired,
        classes=tuple(sorted(rows, key=lambda row: (row.mean is None, row.mean or 0.0, row.index))),
        pairs=tuple(_confusion(pair, counts, runs.names) for pair in confused[:max_pairs]),
        matrix_classes=tuple((index, runs.names[index]) for index in order),
        baseline_matrix=_matrix(counts[0], order),
        dcal_matrix=_matrix(counts[1], order),
        class_rule=CLASS_RULE,
        pair_rule=PAIR_RULE,
        choice_rule=CHOICE_RULE.format(count=max_classes),
        notes=runs.notes,
    )


def _counts(runs: Sequence[ClassifiedRun], classes: int) -> np.ndarray | None:
    """Count images by true class (row) and predicted class (column) over all runs: (c, c); None without runs."""
    if not runs:
        return None
    flat = np.concatenate([run.labels.astype(np.int64) * classes + run.predicted for run in runs])
    return np.bincount(flat, minlength=classes**2).reshape(classes, classes)


def _class_row(
    index: int, name: str, images: int, counts: Sequence[np.ndarray | None], paired: bool
) -> ClassRow:
    baseline, dcal = (_accuracy(count, index) for count in counts)
    gain = dcal.percent - baseline.percent if paired and images else None
    return ClassRow(index, name, images, baseline, dcal, gain)


def _accuracy(counts: np.ndarray | None, index: int) -> Accuracy | None:
    if counts is None:
        return None
    correct = int(counts[index, index])
    return Accuracy(correct, int(counts[index].sum()) - correct)


def _confused_pairs(counts: Sequence[np.ndarray | None]) -> list[tuple[int, int]]:
    """List all confused pairs in the order of PAIR_RULE."""
    both = sum(count for count in counts if count is not None)
    true, predicted = np.nonzero(both * ~np.eye(len(both), dtype=bool))
    pairs = zip(true.tolist(), predicted.tolist(), strict=True)
    return sorted(pairs, key=lambda pair: (-int(both[pair]), pair))


def _confusion(pair: tuple[int, int], counts: Sequence[np.ndarray | None], names: Sequence[str]) -> Confusion:
    true, predicted = pair
    numbers = [None if count is None else int(count[pair]) for count in counts]
    shares = [
        None if count is None else 100.0 * int(count[pair]) / int(count[true].sum()) for count in counts
    ]
    return Confusion(true, names[true], predicted, names[predicted], *numbers, *shares)


def _matrix(counts: np.ndarray | None, order: Sequence[int]) -> ConfusionMatrix | None:
    if counts is None or not order:
        return None
    inside = counts[np.ix_(order, order)]
    totals = counts[list(order)].sum(axis=1)
    return ConfusionMatrix(
        tuple(map(tuple, inside.tolist())),
        tuple((totals - inside.sum(axis=1)).tolist()),
        tuple(totals.tolist()),
    )
