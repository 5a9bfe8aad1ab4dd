"""Runs into job arrays: one for each resource class and time limit, in pieces that the site takes (no torch)."""

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
    """What one sbatch call sends. minutes: its jobs' limit, and where that is from; parallel: of it at once at most."""

    class_name: str
    resources: Resources
    minutes: int
    source: str
    parallel: int
    runs: tuple[RunView, ...]


def plan(
    cluster: Cluster,
    views: Sequence[RunView],
    runs_dir: Path,
    device: str,
    tuning: Tuning = Tuning(),  # noqa: B008 - it cannot be changed
    workers: int | None = None,
) -> list[Array]:
    """The arrays that take these runs.

    device: auto, cpu or cuda, as the user or else the profile says. workers: decoding processes of a task; None: as its
    cores allow. Raises SettingsError where a class cannot train its runs: GPUs that nobody asked for, or a number of
    ranks, or of parts of their shares, that does not divide the batch.
    """
    groups: dict[tuple[str, int, str], list[RunView]] = {}
    limits = Limits(cluster, runs_dir, device, tuning, workers)
    for view in views:
        found = cluster.class_of(view.cell)
        _require_fit(found, view, device, tuning.accumulate)
        minutes, source = limits.of(found.resources, view.config)
        groups.setdefault((found.name, minutes, source), []).append(view)
    resources = {found.name: found.resources for found in cluster.classes}
    if device == "cpu":
        for name in sorted({name for name, *_ in groups if resources[name].gpus_per_node}):
            print(f"WARNING: class {name!r} asks for GPUs, and these runs train on CPUs", file=sys.stderr)
    size = cluster.array_size
    pieces = [
        (key, runs[start : start + size])
        for key, runs in groups.items()
        for start in range(0, len(runs), size)
    ]
    of_class = Counter(name for (name, *_), _ in pieces)
    return [
        # The cap is the class's: arrays that it is cut into share it.
        Array(
            name,
            resources[name],
            minutes,
            source,
            max(1, resources[name].parallel // of_class[name]),
            tuple(piece),
        )
        for (name, minutes, source), piece in pieces
    ]


def _require_fit(found: ResourceClass, view: RunView, device: str, parts: int) -> None:
    if device_of(found.resources, device) == "cuda" and not found.resources.gpus_per_node:
        raise SettingsError(
            f"profile {view.config.profile} trains on GPUs, and class {found.name!r} of the cluster file asks for "
            f"none: set gpus or gres there (first of all for {view.cell.id}), or DEVICE=cpu to train on CPUs all "
            "the same"
        )
    try:
        require_divisible(view.config, found.resources.ranks, parts)
    except SuiteError as error:
        raise SettingsError(
            f"class {found.name!r}, {found.resources.nodes} nodes × {found.resources.tasks_per_node} tasks, "
            f"{view.cell.id}: {error}"
        ) from error


# --- The time limit of a job, and where it is from: the cluster file, earlier runs, or a forecast ---


def device_of(resources: Resources, device: str) -> str:
    """``cpu`` or ``cuda``: what a job of these resources has to train on, so that no node falls back to another."""
    if device == "auto":
        return "cuda" if resources.gpus_per_node else "cpu"
    return device


class Limits:
    """Of one launch's jobs. runs: root of all run folders. device: auto, cpu or cuda.

    workers: decoding processes of each job's task; None: as its cores allow.
    """

    def __init__(
        self, cluster: Cluster, runs: Path, device: str, tuning: Tuning, workers: int | None = None
    ) -> None:
        self.cluster, self.runs, self.device, self.tuning = cluster, runs, device, tuning
        self.workers = workers
        self._known: dict[str, tuple[Profile, list[Forecast]]] = {}

    def of(self, resources: Resources, config: Config) -> tuple[int, str]:
        """Minutes of a run with these resources, and the source of the number in words."""
        if resources.minutes != AUTO:
            return resources.minutes, "cluster file"
        times = f"× {self.cluster.margin:g}, rounded up"
        way = ComputeSetup(device_of(resources, self.device), str(self.tuning))
        if measured := previous_seconds(config, self.runs, resources.ranks, way):
            return self._rounded(measured), f"measured {times}"
        if forecast := self._forecast(resources, config):
            return self._rounded(forecast.run_seconds), f"{_named(forecast)} {times}"
        return self.cluster.longest, "longest: nothing measured of these cells yet, and no forecast"

    def _rounded(self, seconds: float) -> int:
        wanted = seconds * self.cluster.margin / 60 + self.cluster.notice_seconds / 60
        # To powers of two from a quarter of an hour on: a limit for each run would need an array for each.
        steps = max(0, math.ceil(math.log2(max(wanted, 1) / 15)))
        return min(self.cluster.longest, 15 * 2**steps)

    def _forecast(self, resources: Resources, config: Config) -> Estimate | None:
        """By the slowest machine of the job's kind that a forecast of this folder was made on."""
        if config.profile not in self._known:
            self._known[config.profile] = (
                load_profile(config.profile),
                read_forecasts(self.runs, config.profile),
            )
        profile, forecasts = self._known[config.profile]
        kind, workers = device_of(resources, self.device), self.workers
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


def _named(forecast: Estimate) -> str:
    """A forecast and what keeps it from being this job's own."""
    alone = "" if forecast.shared else "one process alone"
    other = "" if forecast.fresh else "other code or torch"
    return "forecast" + ",".join(f" of {doubt}" for doubt in (alone, other) if doubt)
