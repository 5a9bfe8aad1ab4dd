"""Where a pair of methods errs (fine-grained classification), from the stored predictions alone (no torch).

Baseline and DCAL are compared over the seeds that both have, on the same test images. Names are foreign text: they pass
through as they are recorded, and the template escapes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.records.status import RunView
from reports.errors.comparable_runs import Classified, choose

CLASS_RULE = (
    "Classes in the order of their accuracy, lowest first: the mean of the two methods, of the one that has run where "
    "only one has; equal ones in the dataset's order, classes without test images last."
)
PAIR_RULE = (
    "Pairs of a true class and the class its images were taken for, most frequent first, both methods' mistakes "
    "added up over the runs counted; equal ones in the dataset's order."
)
CHOICE_RULE = (
    "The matrix holds the classes of the most frequent confusions: the list of pairs is gone down and both classes of "
    "a pair are taken until {count} are found. Rows are true classes, columns what they were taken for; all other "
    "classes are one column, so that a row adds up to the class's test images, times the runs counted."
)


@dataclass(frozen=True)
class Accuracy:
    """right, wrong: of images × runs; percent: right's share, None where there is no image."""

    right: int
    wrong: int

    @property
    def percent(self) -> float | None:
        every = self.right + self.wrong
        return 100.0 * self.right / every if every else None


@dataclass(frozen=True)
class ClassRow:
    """A class. images: of it in the test set. baseline, dcal: None where that method has no run.

    gain: DCAL minus baseline in percentage points; None without common seeds or images.
    """

    index: int
    name: str
    images: int
    baseline: Accuracy | None
    dcal: Accuracy | None
    gain: float | None

    @property
    def mean(self) -> float | None:
        """Mean accuracy in percent over the methods that have run; what the rows are sorted by."""
        found = [method.percent for method in (self.baseline, self.dcal) if method and self.images]
        return sum(found) / len(found) if found else None


@dataclass(frozen=True)
class Confusion:
    """Images of one class taken for another. baseline, dcal: how often, over the method's runs; None without runs.

    shares: in percent of the true class's images × runs.
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
class Matrix:
    """Counts over the method's runs, in the order of ``Mistakes.chosen``: rows[i][j] images of chosen class i taken for
    chosen class j; others[i] those taken for any other class; totals[i] all of class i.
    """

    rows: tuple[tuple[int, ...], ...]
    others: tuple[int, ...]
    totals: tuple[int, ...]


@dataclass(frozen=True)
class Mistakes:
    """Everything a page says about the errors of a pair.

    baseline_seeds, dcal_seeds: the seeds counted. paired: whether these are the same ones, without which there are no
    gains. chosen: (index, name) of the matrix's classes. notes: what was left out or is unknown, in words.
    """

    baseline_seeds: tuple[int, ...]
    dcal_seeds: tuple[int, ...]
    paired: bool
    classes: tuple[ClassRow, ...]
    pairs: tuple[Confusion, ...]
    chosen: tuple[tuple[int, str], ...]
    baseline_matrix: Matrix | None
    dcal_matrix: Matrix | None
    class_rule: str
    pair_rule: str
    choice_rule: str
    notes: tuple[str, ...]


def mistakes(
    baseline_runs: Sequence[RunView], dcal_runs: Sequence[RunView], *, pairs: int = 20, chosen: int = 10
) -> Mistakes | None:
    """The errors of one dataset and backbone; runs that are not done are passed over. None where no run is left.

    pairs: at most so many confused pairs. chosen: at most so many classes in the matrix. Raises SettingsError for runs
    of re-identification.
    """
    found = choose(baseline_runs, dcal_runs)
    if found is None:
        return None
    counts = [_counts(runs, len(found.names)) for runs in (found.baseline, found.dcal)]
    confused = _confused(counts)
    order = _chosen(confused, chosen)
    images = np.bincount(found.labels, minlength=len(found.names))
    rows = [
        _class_row(index, name, int(images[index]), counts, found.paired)
        for index, name in enumerate(found.names)
    ]
    return Mistakes(
        baseline_seeds=tuple(run.seed for run in found.baseline),
        dcal_seeds=tuple(run.seed for run in found.dcal),
        paired=found.paired,
        classes=tuple(sorted(rows, key=lambda row: (row.mean is None, row.mean or 0.0, row.index))),
        pairs=tuple(_confusion(pair, counts, found.names) for pair in confused[:pairs]),
        chosen=tuple((index, found.names[index]) for index in order),
        baseline_matrix=_matrix(counts[0], order),
        dcal_matrix=_matrix(counts[1], order),
        class_rule=CLASS_RULE,
        pair_rule=PAIR_RULE,
        choice_rule=CHOICE_RULE.format(count=chosen),
        notes=found.notes,
    )


def _counts(runs: Sequence[Classified], classes: int) -> np.ndarray | None:
    """(c, c) images of a true class (row) taken for a class (column), over all runs; None without runs."""
    if not runs:
        return None
    places = np.concatenate([run.labels.astype(np.int64) * classes + run.predicted for run in runs])
    return np.bincount(places, minlength=classes**2).reshape(classes, classes)


def _class_row(
    index: int, name: str, images: int, counts: Sequence[np.ndarray | None], paired: bool
) -> ClassRow:
    baseline, dcal = (_accuracy(count, index) for count in counts)
    gain = dcal.percent - baseline.percent if paired and images else None
    return ClassRow(index, name, images, baseline, dcal, gain)


def _accuracy(counts: np.ndarray | None, index: int) -> Accuracy | None:
    if counts is None:
        return None
    right = int(counts[index, index])
    return Accuracy(right, int(counts[index].sum()) - right)


def _confused(counts: Sequence[np.ndarray | None]) -> list[tuple[int, int]]:
    """All confused pairs, by PAIR_RULE."""
    both = sum(count for count in counts if count is not None)
    true, predicted = np.nonzero(both * ~np.eye(len(both), dtype=bool))
    found = zip(true.tolist(), predicted.tolist(), strict=True)
    return sorted(found, key=lambda pair: (-int(both[pair]), pair))


def _confusion(pair: tuple[int, int], counts: Sequence[np.ndarray | None], names: Sequence[str]) -> Confusion:
    true, predicted = pair
    numbers = [None if count is None else int(count[pair]) for count in counts]
    shares = [
        None if count is None else 100.0 * int(count[pair]) / int(count[true].sum()) for count in counts
    ]
    return Confusion(true, names[true], predicted, names[predicted], *numbers, *shares)


def _chosen(confused: Sequence[tuple[int, int]], most: int) -> list[int]:
    """Classes of the matrix, by CHOICE_RULE; in the order in which they are found, so that those confused are near."""
    return list(dict.fromkeys(index for pair in confused for index in pair))[:most]


def _matrix(counts: np.ndarray | None, order: Sequence[int]) -> Matrix | None:
    if counts is None or not order:
        return None
    inside = counts[np.ix_(order, order)]
    totals = counts[list(order)].sum(axis=1)
    return Matrix(
        tuple(map(tuple, inside.tolist())),
        tuple((totals - inside.sum(axis=1)).tolist()),
        tuple(totals.tolist()),
    )
