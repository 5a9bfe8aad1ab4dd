"""The time limit of a job, and where it is from: the cluster file, earlier runs, or a forecast (no torch)."""

from __future__ import annotations

import math
from pathlib import Path

from benchmark.config.resolve import Config, Profile, load_profile
from benchmark.config.tuning import Tuning
from benchmark.records import expected
from benchmark.records.estimate import Estimate
from benchmark.records.forecasts import Forecast, read_all
from benchmark.timing import Way, measured_seconds
from benchmark.training.device import threads_of, workers_of
from slurm.cluster import AUTO, Cluster, Resources


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
        way = Way(device_of(resources, self.device), str(self.tuning))
        if measured := measured_seconds(config, self.runs, resources.ranks, way):
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
            self._known[config.profile] = load_profile(config.profile), read_all(self.runs, config.profile)
        profile, forecasts = self._known[config.profile]
        kind, workers = device_of(resources, self.device), self.workers
        if workers is None:
            workers = workers_of(profile, resources.cpus, on_gpu=kind == "cuda")
        return expected.of_job(
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
