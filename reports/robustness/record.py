"""Read the results of `benchmark evaluate --corrupt`: models, conditions, outcomes by picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.errors import RunError
from benchmark.reading import read_bytes
from benchmark.records.predictions import ARCHIVE_ERRORS, FILE_BYTES, Archive
from benchmark.records.run_folder import read_json
from tables.statistics import Interval, mean_interval

FILE_STEM = "robustness"
SCHEMA = 1
# Task → metric of the tables → array of which it is the mean.
METRICS = {"fgvc": {"top1": "both_correct"}, "reid": {"mAP": "both_ap", "R1": "both_rank1_correct"}}
TOLERANCE = 1e-6  # largest difference in points between a metric and the one recomputed from the pictures
RERUN_HINT = "run `python -m benchmark evaluate … --corrupt …` again"


@dataclass(frozen=True)
class Condition:
    """A corruption of the pictures at one level. kind: "" for unchanged pictures."""

    kind: str
    level: float
    unit: str


@dataclass(frozen=True)
class Robustness:
    """Results of models of one profile, dataset and backbone under the same conditions.

    conditions: the first one is unchanged pictures.
    runs: method and seed of each model.
    metrics: name → (models, conditions) in percent.
    outcomes: name → (models, conditions, n) for the n pictures or queries that count: bool, or float in 0 to 1.
    """

    profile: str
    dataset: str
    backbone: str
    pictures: str
    input: tuple[int, int]
    conditions: tuple[Condition, ...]
    runs: tuple[tuple[str, int], ...]
    metrics: Mapping[str, np.ndarray]
    outcomes: Mapping[str, np.ndarray]

    @property
    def methods(self) -> tuple[str, ...]:
        """Return each method once, the baseline first."""
        return tuple(
            sorted(dict.fromkeys(method for method, _ in self.runs), key=lambda name: name != "baseline")
        )

    def model_indices(self, method: str) -> dict[int, int]:
        """Return the index of each model of a method, by seed."""
        return {seed: index for index, (name, seed) in enumerate(self.runs) if name == method}


def read(folder: Path) -> Robustness:
    """Read a folder. Raises RunError for files that are missing, torn, of another kind or of different runs."""
    file = folder / f"{FILE_STEM}.json"
    record = read_json(file)
    if record is None or record.get("schema") != SCHEMA:
        raise RunError(f"{file} is missing or no record of this version; {RERUN_HINT}")
    try:
        archive = Archive(read_bytes(folder / f"{FILE_STEM}.npz", FILE_BYTES))
        return _robustness(record, {name: archive.read(name) for name in archive.names})
    except (*ARCHIVE_ERRORS, AttributeError, IndexError, AssertionError) as error:
        raise RunError(
            f"{folder}: {FILE_STEM}.json and .npz cannot be read together ({error}); {RERUN_HINT}"
        ) from None


def _robustness(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Robustness:
    conditions = tuple(Condition(**entry) for entry in record["conditions"])
    runs = tuple((str(run["method"]), int(run["seed"])) for run in record["runs"])
    names = METRICS[record["task"]]
    counts = slice(None)
    if record["task"] == "reid":  # queries without a true match are left out, as in the metrics
        counts = arrays["both_first_hit"][0, 0] > 0
    metrics = {
        name: np.array([[metrics[name] for metrics in run["metrics"]] for run in record["runs"]])
        for name in names
    }
    outcomes = {name: arrays[array][:, :, counts] for name, array in names.items()}
    for name, values in outcomes.items():
        expected = (len(runs), len(conditions))
        if values.shape[:2] != expected or metrics[name].shape != expected:
            raise ValueError(
                f"{name} of shape {values.shape} for {expected[0]} models under {expected[1]} conditions"
            )
        if not np.abs(100 * values.mean(axis=2) - metrics[name]).max() <= TOLERANCE:  # also for NaN
            raise ValueError(f"the pictures do not give the metric {name}")
    height, width = record["input"]
    return Robustness(
        str(record["profile"]), str(record["dataset"]), str(record["backbone"]), str(record["pictures"]),
        (int(height), int(width)), conditions, runs, metrics, outcomes,
    )  # fmt: skip


# --- Differences from the baseline on the same pictures, with intervals ---


@dataclass(frozen=True)
class PairedDifference:
    """Method − baseline in points, mean over the seeds that both have. interval: paired, over pictures."""

    difference: float
    interval: Interval
    seeds: tuple[int, ...]


def paired_difference(
    results: Robustness, method: str, metric: str, condition: int
) -> PairedDifference | None:
    """Compute a method's difference from the baseline; None where they have no common seed.

    condition: index of the condition.
    """
    baseline, other = results.model_indices("baseline"), results.model_indices(method)
    seeds = tuple(sorted(baseline.keys() & other.keys()))
    if not seeds:
        return None
    outcomes = results.outcomes[metric][:, condition]
    if outcomes.dtype == bool:
        outcomes = outcomes.astype(np.int16)  # mean_interval is fast for whole numbers
    total = sum(outcomes[other[seed]] - outcomes[baseline[seed]] for seed in seeds)
    name = f"{results.dataset}/{results.backbone}/{metric}"  # the same bootstrap samples for every condition
    interval, point = mean_interval(total, name), 100 / len(seeds)
    return PairedDifference(
        float(point * total.mean()), Interval(point * interval.low, point * interval.high), seeds
    )
