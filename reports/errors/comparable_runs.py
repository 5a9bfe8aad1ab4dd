"""The runs of two methods that may be compared class by class: done, on the same test images, with the same seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.errors import RunError, SettingsError
from benchmark.records.status import RunView
from tables.records import fingerprint, is_done, section, seeds_text


@dataclass(frozen=True)
class Classified:
    """One run. labels, predicted: (n,) class indices of the test images; names: None in records without."""

    run: RunView
    labels: np.ndarray
    predicted: np.ndarray
    names: tuple[str, ...] | None

    @property
    def seed(self) -> int:
        return self.run.seed


@dataclass(frozen=True)
class Chosen:
    """names: of all classes. labels: (n,), those of every run. baseline, dcal: by seed, one of them may be empty.

    paired: whether both have runs, of the same seeds. notes: what was left out, and what is not known.
    """

    names: tuple[str, ...]
    labels: np.ndarray
    baseline: tuple[Classified, ...]
    dcal: tuple[Classified, ...]
    paired: bool
    notes: tuple[str, ...]


def choose(baseline_runs: Sequence[RunView], dcal_runs: Sequence[RunView]) -> Chosen | None:
    """The runs to compare, or None where none is done and readable.

    Of several sets of test images the one with most seeds in common counts, then the one with most runs. Seeds that one
    method lacks are left out, unless they have none in common. Raises SettingsError for runs of re-identification.
    """
    notes: list[str] = []
    baseline, dcal = (
        [run for run in (_read(view, notes) for view in views) if run] for views in (baseline_runs, dcal_runs)
    )
    if not (baseline or dcal):
        return None
    same = _largest_group(baseline, dcal)
    for other in (run for run in (*baseline, *dcal) if _images(run) != same):
        notes.append(f"{other.run.id} has other test images than the rest and is left out")
    baseline, dcal = (
        sorted((run for run in runs if _images(run) == same), key=lambda run: run.seed)
        for runs in (baseline, dcal)
    )
    common = {run.seed for run in baseline} & {run.seed for run in dcal}
    if common:
        alone = sorted({run.seed for run in (*baseline, *dcal)} - common)
        if alone:
            notes.append(f"{seeds_text(alone)} left out: only one of the two methods has a run")
        baseline, dcal = ([run for run in runs if run.seed in common] for runs in (baseline, dcal))
    elif baseline and dcal:
        notes.append(
            "the two methods have no seed in common: their numbers stand side by side, without gains"
        )
    names = _names([*baseline, *dcal], notes)
    labels = (baseline or dcal)[0].labels
    return Chosen(names, labels, tuple(baseline), tuple(dcal), bool(common), tuple(notes))


def _read(view: RunView, notes: list[str]) -> Classified | None:
    """None for a run that is not done or whose predictions cannot be used, which is noted."""
    if view.cell.task != "fgvc":
        raise SettingsError(f"{view.id} is re-identification: expected runs of fine-grained classification")
    if not is_done(view):
        return None
    try:
        found = view.predictions
        labels, predicted = np.asarray(found["labels"]), np.asarray(found["both_predicted"])
        names = tuple(map(str, found["classes"])) if "classes" in found else None
    except RunError as error:
        notes.append(f"{view.id} is left out: {error}")
        return None
    except KeyError as error:
        notes.append(f"{view.id} is left out: its predictions hold no {error.args[0]}")
        return None
    whole = all(array.ndim == 1 and np.issubdtype(array.dtype, np.integer) for array in (labels, predicted))
    if not whole or len(labels) != len(predicted) or not len(labels):
        notes.append(f"{view.id} is left out: expected a label and a prediction for every test image")
        return None
    most = len(names) if names is not None else np.inf
    if min(labels.min(), predicted.min()) < 0 or max(labels.max(), predicted.max()) >= most:
        notes.append(f"{view.id} is left out: it has labels or predictions that are none of its classes")
        return None
    return Classified(view, labels, predicted, names)


def _images(run: Classified) -> tuple[str, bytes]:
    """What tells a run's test images from others'."""
    return fingerprint(run.run), run.labels.astype(np.int64).tobytes()


def _largest_group(baseline: Sequence[Classified], dcal: Sequence[Classified]) -> tuple[str, bytes]:
    def size(images: tuple[str, bytes]) -> tuple[int, int]:
        first, second = ([run.seed for run in runs if _images(run) == images] for runs in (baseline, dcal))
        return len(set(first) & set(second)), len(first) + len(second)

    return max((_images(run) for run in (*baseline, *dcal)), key=size)


def _names(runs: Sequence[Classified], notes: list[str]) -> tuple[str, ...]:
    for run in runs:
        if run.names is not None:
            return run.names
    notes.append("the records do not name the classes: they are numbered in the dataset's order, from 0")
    recorded = section(runs[0].run, "data").get("classes")
    highest = max(int(max(run.labels.max(), run.predicted.max())) for run in runs)
    count = max(recorded if type(recorded) is int else 0, highest + 1)
    return tuple(f"class {index}" for index in range(count))
