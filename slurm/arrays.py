"""Runs into job arrays: one for each resource class and time limit, in pieces that the site takes (no torch)."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import SettingsError, SuiteError
from benchmark.forecast import measured_seconds
from benchmark.status import RunView
from benchmark.world import require_divisible
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


def plan(cluster: Cluster, views: Sequence[RunView], runs_dir: Path, device: str) -> list[Array]:
    """The arrays that take these runs.

    device: auto, cpu or cuda, as the user or else the profile says. Raises SettingsError where a class cannot train its
    runs: GPUs that nobody asked for, or a number of ranks that does not divide the batch.
    """
    groups: dict[tuple[str, int, str], list[RunView]] = {}
    for view in views:
        found = cluster.class_of(view.cell)
        _require_fit(found, view, device)
        minutes, source = _minutes(cluster, found.resources, view, runs_dir)
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


def device_of(resources: Resources, device: str) -> str:
    """``cpu`` or ``cuda``: what a job of these resources has to train on, so that no node falls back to another."""
    if device == "auto":
        return "cuda" if resources.gpus_per_node else "cpu"
    return device


def _require_fit(found: ResourceClass, view: RunView, device: str) -> None:
    if device_of(found.resources, device) == "cuda" and not found.resources.gpus_per_node:
        raise SettingsError(
            f"profile {view.config.profile} trains on GPUs, and class {found.name!r} of the cluster file asks for "
            f"none: set gpus or gres there (first of all for {view.cell.id}), or DEVICE=cpu to train on CPUs all "
            "the same"
        )
    try:
        require_divisible(view.config, found.resources.ranks)
    except SuiteError as error:
        raise SettingsError(
            f"class {found.name!r}, {found.resources.nodes} nodes × {found.resources.tasks_per_node} tasks, "
            f"{view.cell.id}: {error}"
        ) from error


def _minutes(cluster: Cluster, resources: Resources, view: RunView, runs_dir: Path) -> tuple[int, str]:
    if resources.minutes != AUTO:
        return resources.minutes, "cluster file"
    measured = measured_seconds(view.config, runs_dir, resources.ranks)
    if measured is None:
        return cluster.longest, "longest: nothing measured of these cells yet"
    wanted = measured * cluster.margin / 60 + cluster.notice_seconds / 60
    # To powers of two from a quarter of an hour on: a limit for each run would need an array for each.
    steps = max(0, math.ceil(math.log2(max(wanted, 1) / 15)))
    return min(cluster.longest, 15 * 2**steps), f"measured × {cluster.margin:g}, rounded up"
