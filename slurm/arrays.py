"""Runs into job arrays: one for each resource class and time limit, in pieces that the site takes (no torch)."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.config.tuning import Tuning
from benchmark.config.world import require_divisible
from benchmark.errors import SettingsError, SuiteError
from benchmark.records.status import RunView
from slurm.cluster import Cluster, ResourceClass, Resources
from slurm.limits import Limits, device_of


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
