"""Select the runs of two methods that can be compared class by class: done, same test images, same seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.errors import RunError, SettingsError
from benchmark.records.status import RunView
from tables.records import fingerprint, is_done, section, seeds_text


@dataclass(frozen=True)
class ClassifiedRun:
    """Predictions of one run.

    labels, predicted: (n,) class indices of the test images.
    names: class names; None if the record has none.
    """

    run: RunView
    labels: np.ndarray
    predicted: np.ndarray
    names: tuple[str, ...] | None

    @property
    def seed(self) -> int:
        return self.run.seed


@dataclass(frozen=True)
class ComparableRuns:
    """Runs of two methods on the same test images.

    names: names of all classes.
    labels: (n,) class indices, the same for all runs.
    baseline, dcal: runs sorted by seed; one of them may be empty.
    paired: whether both methods have runs, with the same seeds.
    notes: what was left out or is unknown.
    """

    names: tuple[str, ...]
    labels: np.ndarray
    baseline: tuple[ClassifiedRun, ...]
    dcal: tuple[ClassifiedRun, ...]
    paired: bool
    notes: tuple[str, ...]


def select_comparable(
    baseline_runs: Sequence[RunView], dcal_runs: Sequence[RunView]
) -> ComparableRuns | None:
    """Select the runs to compare; None if no run is done and readable.

    Of several sets of test images, take the one with most common seeds, then the one with most runs. Seeds that one
    method lacks are left out, unless no seed is common. Raises SettingsError for runs of re-identification.
    """
    notes: list[str] = []
    baseline, dcal = (
        [run for run in (_read(view, notes) for view in views) if run] for views in (baseline_runs, dcal_runs)
    )
    if not (baseline or dcal):
        return None
    images = _largest_group(baseline, dcal)
    for other in (run for run in (*baseline, *dcal) if _test_images(run) != images):
        notes.append(f"{other.run.id} has other test images than the rest and is left out")
    baseline, dcal = (
        sorted((run for run in runs if _test_images(run) == images), key=lambda run: run.seed)
        for runs in (baseline, dcal)
    )
    common = {run.seed for run in baseline} & {run.seed for run in dcal}
    if common:
        unpaired = sorted({run.seed for run in (*baseline, *dcal)} - common)
        if unpaired:
            notes.append(f"{seeds_text(unpaired)} left out: only one of the two methods has a run")
        baseline, dcal = ([run for run in runs if run.seed in common] for runs in (baseline, dcal))
    elif baseline and dcal:
        notes.append(
            "the two methods have no seed in common: their numbers stand side by side, without gains"
        )
    names = _names([*baseline, *dcal], notes)
    labels = (baseline or dcal)[0].labels
    return ComparableRuns(names, labels, tuple(baseline), tuple(dcal), bool(common), tuple(notes))


def _read(view: RunView, notes: list[str]) -> ClassifiedRun | None:
    """Read a run's predictions; None if it is not done, and None with a note if they cannot be used."""
    if view.cell.task != "fgvc":
        raise SettingsError(f"{view.id} is re-identification: expected runs of fine-grained classification")
    if not is_done(view):
        return None
    try:
        arrays = view.predictions
        labels, predicted = np.asarray(arrays["labels"]), np.asarray(arrays["both_predicted"])
        names = tuple(map(str, arrays["classes"])) if "classes" in arrays else None
    except RunError as error:
        notes.append(f"{view.id} is left out: {error}")
        return None
    except KeyError as error:
        notes.append(f"{view.id} is left out: its predictions hold no {error.args[0]}")
        return None
    valid = all(array.ndim == 1 and np.issubdtype(array.dtype, np.integer) for array in (labels, predicted))
    if not valid or len(labels) != len(predicted) or not len(labels):
        notes.append(f"{view.id} is left out: expected a label and a prediction for every test image")
        return None
    count = len(names) if names is not None else np.inf
    if min(labels.min(), predicted.min()) < 0 or max(labels.max(), predicted.max()) >= count:
        notes.append(f"{view.id} is left out: it has labels or predictions that are none of its classes")
        return None
    return ClassifiedRun(view, labels, predicted, names)


def _test_images(run: ClassifiedRun) -> tuple[str, bytes]:
    """Return a key that identifies a run's test images."""
    return fingerprint(run.run), run.labels.astype(np.int64).tobytes()


def _largest_group(baseline: Sequence[ClassifiedRun], dcal: Sequence[ClassifiedRun]) -> tuple[str, bytes]:
    """Return the test images with most common seeds, then with most runs."""

    def size(images: tuple[str, bytes]) -> tuple[int, int]:
        first, second = (
            [run.seed for run in runs if _test_images(run) == images] for runs in (baseline, dcal)
        )
        return len(set(first) & set(second)), len(first) + len(second)

    return max((_test_images(run) for run in (*baseline, *dcal)), key=size)


def _names(runs: Sequence[ClassifiedRun], notes: list[str]) -> tuple[str, ...]:
    """Return the class names of the first record that has them, else numbered names and a note."""
    for run in runs:
        if run.names is not None:
            return run.names
    notes.append("the records do not name the classes: they are numbered in the dataset's order, from 0")
    recorded = section(runs[0].run, "data").get("classes")
    highest = max(int(max(run.labels.max(), run.predicted.max())) for run in runs)
    count = max(recorded if type(recorded) is int else 0, highest + 1)
    return tuple(f"class {index}" for index in range(count))
