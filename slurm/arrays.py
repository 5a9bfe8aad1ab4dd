"""Job arrays: one for each resource class and time limit, cut to the size that the site accepts; time limits."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.config.compute_setup import Tuning, require_divisible
from benchmark.config.resolve import Config, Profile, load_profile
from benchmark.errors import SettingsError, SuiteError
from benchmark.records import estimate
from benchmark.records.estimate import ComputeSetup, Estimate, previous_seconds
from benchmark.records.forecasts import Forecast, read_forecasts
from benchmark.records.status import RunView
from benchmark.training.device import threads_of, workers_of
from slurm.cluster import AUTO, Cluster, ResourceClass, Resources


@dataclass(frozen=True)
class Array:
    """Job array of one sbatch call.

    class_name: of the resource class. minutes: time limit of a job. source: of the limit, in words. parallel: largest
    number of jobs at once. runs: one for each job.
    """

    class_name: str
    resources: Resources
    minutes: int
    source: str
    parallel: int
    runs: tuple[RunView, ...]


def plan_arrays(
    cluster: Cluster,
    views: Sequence[RunView],
    runs_dir: Path,
    device: str,
    tuning: Tuning = Tuning(),  # noqa: B008 - it cannot be changed
    workers: int | None = None,
) -> list[Array]:
    """Distribute runs over arrays.

    views: the runs.
    runs_dir: root of all run folders.
    device: auto, cpu or cuda, from the user or else from the profile.
    workers: decoding processes of a task; None: as its cores allow.

    Raises SettingsError where a class cannot train its runs: the class has no GPUs and the runs need one, or the number
    of ranks, or of accumulated parts, does not divide the batch.
    """
    groups: dict[tuple[str, int, str], list[RunView]] = {}
    limits = TimeLimits(cluster, runs_dir, device, tuning, workers)
    for view in views:
        resource_class = cluster.resource_class(view.cell)
        _check_class(resource_class, view, device, tuning.accumulate)
        minutes, source = limits.minutes(resource_class.resources, view.config)
        groups.setdefault((resource_class.name, minutes, source), []).append(view)
    resources = {resource_class.name: resource_class.resources for resource_class in cluster.classes}
    if device == "cpu":
        for name in sorted({name for name, *_ in groups if resources[name].gpus_per_node}):
            print(f"WARNING: class {name!r} asks for GPUs, and these runs train on CPUs", file=sys.stderr)
    size = cluster.array_size
    pieces = [
        (key, runs[start : start + size])
        for key, runs in groups.items()
        for start in range(0, len(runs), size)
    ]
    class_arrays = Counter(name for (name, *_), _ in pieces)
    return [
        # The arrays of a class share its limit of parallel jobs.
        Array(
            name,
            resources[name],
            minutes,
            source,
            max(1, resources[name].parallel // class_arrays[name]),
            tuple(piece),
        )
        for (name, minutes, source), piece in pieces
    ]


def _check_class(resource_class: ResourceClass, view: RunView, device: str, parts: int) -> None:
    resources = resource_class.resources
    if training_device(resources, device) == "cuda" and not resources.gpus_per_node:
        raise SettingsError(
            f"profile {view.config.profile} trains on GPUs, and class {resource_class.name!r} of the cluster file asks "
            f"for none: set gpus or gres there (first of all for {view.cell.id}), or DEVICE=cpu to train on CPUs all "
            "the same"
        )
    try:
        require_divisible(view.config, resources.ranks, parts)
    except SuiteError as error:
        raise SettingsError(
            f"class {resource_class.name!r}, {resources.nodes} nodes × {resources.tasks_per_node} tasks, "
            f"{view.cell.id}: {error}"
        ) from error


# --- Time limit of a job: from the cluster file, from earlier runs, or from a forecast ---


def training_device(resources: Resources, device: str) -> str:
    """``cpu`` or ``cuda``, decided at submission, so that no node falls back to another device."""
    if device == "auto":
        return "cuda" if resources.gpus_per_node else "cpu"
    return device


class TimeLimits:
    """Time limits of the jobs of one launch.

    runs: root of all run folders. device: auto, cpu or cuda. workers: decoding processes of a task; None: as its cores
    allow.
    """

    def __init__(
        self, cluster: Cluster, runs: Path, device: str, tuning: Tuning, workers: int | None = None
    ) -> None:
        self.cluster, self.runs, self.device, self.tuning = cluster, runs, device, tuning
        self.workers = workers
        self._forecasts: dict[str, tuple[Profile, list[Forecast]]] = {}

    def minutes(self, resources: Resources, config: Config) -> tuple[int, str]:
        """Time limit of a run with these resources, in minutes, and its source in words."""
        if resources.minutes != AUTO:
            return resources.minutes, "cluster file"
        times = f"× {self.cluster.margin:g}, rounded up"
        way = ComputeSetup(training_device(resources, self.device), str(self.tuning))
        if measured := previous_seconds(config, self.runs, resources.ranks, way):
            return self._rounded(measured), f"measured {times}"
        if forecast := self._forecast(resources, config):
            return self._rounded(forecast.run_seconds), f"{_source(forecast)} {times}"
        return self.cluster.longest, "longest: nothing measured of these cells yet, and no forecast"

    def _rounded(self, seconds: float) -> int:
        minutes = seconds * self.cluster.margin / 60 + self.cluster.notice_seconds / 60
        # 15 minutes times a power of two: with a limit of its own, each run would need an array of its own.
        steps = max(0, math.ceil(math.log2(max(minutes, 1) / 15)))
        return min(self.cluster.longest, 15 * 2**steps)

    def _forecast(self, resources: Resources, config: Config) -> Estimate | None:
        """Forecast of the slowest machine of the job's kind, of all machines with a forecast in this folder."""
        if config.profile not in self._forecasts:
            self._forecasts[config.profile] = (
                load_profile(config.profile),
                read_forecasts(self.runs, config.profile),
            )
        profile, forecasts = self._forecasts[config.profile]
        kind, workers = training_device(resources, self.device), self.workers
        if workers is None:
            workers = workers_of(profile, resources.cpus, on_gpu=kind == "cuda")
        return estimate.estimate_job(
            config,
            forecasts,
            kind,
            threads=threads_of(profile, resources.cpus),
            workers=workers,
            ranks=resources.ranks,
            tuning=str(self.tuning),
        )


def _source(forecast: Estimate) -> str:
    """``forecast``, with the differences between what it was measured on and the job."""
    ranks = "" if forecast.shared else "one process alone"
    code = "" if forecast.fresh else "other code or torch"
    return "forecast" + ",".join(f" of {text}" for text in (ranks, code) if text)
