"""What `benchmark evaluate --corrupt` left in a folder: models, conditions, outcomes by picture (no torch)."""

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

NAME = "robustness"
SCHEMA = 1
# By task, the metrics that tables show, and the array that each is the mean of.
METRICS = {"fgvc": {"top1": "both_correct"}, "reid": {"mAP": "both_ap", "R1": "both_rank1_correct"}}
AGREEMENT = 1e-6  # points between a metric and the one recomputed from the pictures
AGAIN = "run `python -m benchmark evaluate … --corrupt …` again"


@dataclass(frozen=True)
class Condition:
    """kind: of the corruption, "" for pictures as they are."""

    kind: str
    level: float
    unit: str


@dataclass(frozen=True)
class Robustness:
    """Models of one profile, dataset and backbone under the same conditions, the first of which is "as they are".

    runs: method and seed of each model. metrics: name → (models, conditions) in percent. outcomes: name → (models,
    conditions, n), of the pictures or queries that count: bool, or float in 0 to 1.
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
        """Each once, the baseline first."""
        return tuple(
            sorted(dict.fromkeys(method for method, _ in self.runs), key=lambda name: name != "baseline")
        )

    def of(self, method: str) -> dict[int, int]:
        """Seed → place among the models."""
        return {seed: place for place, (name, seed) in enumerate(self.runs) if name == method}


def read(folder: Path) -> Robustness:
    """Raises RunError where files are missing, torn, of another kind, or do not belong together."""
    file = folder / f"{NAME}.json"
    record = read_json(file)
    if record is None or record.get("schema") != SCHEMA:
        raise RunError(f"{file} is missing or no record of this version; {AGAIN}")
    try:
        archive = Archive(read_bytes(folder / f"{NAME}.npz", FILE_BYTES))
        return _robustness(record, {name: archive.read(name) for name in archive.names})
    except (*ARCHIVE_ERRORS, AttributeError, IndexError, AssertionError) as error:
        raise RunError(f"{folder}: {NAME}.json and .npz cannot be read together ({error}); {AGAIN}") from None


def _robustness(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Robustness:
    conditions = tuple(Condition(**entry) for entry in record["conditions"])
    runs = tuple((str(run["method"]), int(run["seed"])) for run in record["runs"])
    names = METRICS[record["task"]]
    counts = slice(None)
    if record["task"] == "reid":  # queries that have nothing to find are left out, as the metrics do
        counts = arrays["both_first_hit"][0, 0] > 0
    metrics = {
        name: np.array([[metrics[name] for metrics in run["metrics"]] for run in record["runs"]])
        for name in names
    }
    outcomes = {name: arrays[array][:, :, counts] for name, array in names.items()}
    for name, found in outcomes.items():
        expected = (len(runs), len(conditions))
        if found.shape[:2] != expected or metrics[name].shape != expected:
            raise ValueError(
                f"{name} of shape {found.shape} for {expected[0]} models under {expected[1]} conditions"
            )
        if not np.abs(100 * found.mean(axis=2) - metrics[name]).max() <= AGREEMENT:  # not for NaN
            raise ValueError(f"the pictures do not give the metric {name}")
    height, width = record["input"]
    return Robustness(
        str(record["profile"]), str(record["dataset"]), str(record["backbone"]), str(record["pictures"]),
        (int(height), int(width)), conditions, runs, metrics, outcomes,
    )  # fmt: skip


# --- By how much a method differs from the baseline on the same pictures, and how sure that is ---


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
