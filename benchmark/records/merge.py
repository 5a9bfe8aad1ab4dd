"""Runs of several folders merged into one sweep: for each run, the newest valid record."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmark.config.places import Places
from benchmark.records import status
from benchmark.records.run_settings import view_as_recorded
from benchmark.records.status import STATES, RunView

logger = logging.getLogger("benchmark")


@dataclass(frozen=True)
class MergedRuns:
    """Result of merging.

    runs: one view for each run, in grid order.
    conflicts: messages about runs with two valid records that differ.
    places: run id → data and weights of the folder of its view.
    refused: cell id → why the requested settings make no sense for it; such a cell has no runs.
    """

    runs: tuple[RunView, ...]
    conflicts: tuple[str, ...]
    places: Mapping[str, Places]
    refused: Mapping[str, str] = field(default_factory=dict)


def collect(
    folders: Sequence[Path],
    *,
    profile: str,
    data_dir: Path | None = None,
    weights_dir: Path | None = None,
    as_recorded: bool = False,
    **selection: object,
) -> MergedRuns:
    """Read the runs of several folders, as ``status.collect`` does for one.

    A valid record of the requested settings is preferred to any other state, then the record that finished last, then
    the most complete copy. Cells for which the settings make no sense are left out, with a warning.

    as_recorded: finished runs count as done with their own settings.
    selection: further arguments of ``status.collect``.
    Raises as ``status.collect``.
    """
    refused: dict[str, str] = {}
    places = [Places.of(profile, folder, data_dir, weights_dir) for folder in folders]
    views_by_folder = [
        status.collect(
            profile=profile,
            runs_dir=folder,
            data_dir=data_dir,
            weights_dir=weights_dir,
            refused=refused,
            **selection,
        )
        for folder in folders
    ]
    if as_recorded:
        views_by_folder = [[view_as_recorded(view) for view in views] for views in views_by_folder]
    for reason in dict.fromkeys(refused.values()):
        cells = [cell for cell, cell_reason in refused.items() if cell_reason == reason]
        logger.warning("left out, as these settings make no sense for it: %s: %s", ", ".join(cells), reason)
    runs, conflicts, places_by_run = [], [], {}
    for views in zip(*views_by_folder, strict=True):
        order = sorted(range(len(views)), key=lambda place: _rank(views[place]), reverse=True)
        best, others = views[order[0]], [views[place] for place in order[1:]]
        runs.append(best)
        places_by_run[best.id] = places[order[0]]
        conflicts += [text for other in others if (text := _conflict(best, other))]
    return MergedRuns(tuple(runs), tuple(conflicts), places_by_run, refused)


def _rank(view: RunView) -> tuple[int, datetime, tuple[bool, ...], str]:
    """Sort key of a view: state, time of finishing, existing predictions and checkpoint, path.

    Copies of a record differ in the files that they still have. The path makes the choice independent of the order of
    the folders.
    """
    state_rank = STATES.index(view.state)  # ordered by how much they tell
    files = view.folder.predictions, view.folder.checkpoint
    existing = tuple(os.path.isfile(file) for file in files)  # False in a folder that may not be read
    return (
        -state_rank,
        _finish_time(view) or datetime.min.replace(tzinfo=UTC),
        existing,
        str(view.folder.path),
    )


def _finish_time(view: RunView) -> datetime | None:
    """Time at which a run finished, according to its record; None if it does not tell."""
    text = view.result["provenance"].get("finished") if view.result else None
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _conflict(chosen: RunView, other: RunView) -> str:
    """Message if another valid record differs from the chosen one, else ""."""
    if other.result is None or chosen.result is None:
        return ""
    chosen_metrics, other_metrics = chosen.result["metrics"], other.result["metrics"]
    differences = [
        f"{name} {chosen_metrics.get(name, 'none')} and {other_metrics.get(name, 'none')}"
        for name in dict.fromkeys((*chosen_metrics, *other_metrics))
        if chosen_metrics.get(name) != other_metrics.get(name)
    ]
    if chosen.result["data"]["fingerprint"] != other.result["data"]["fingerprint"]:
        differences.insert(0, "other data")
    if not differences:
        return ""
    return (
        f"{chosen.id}: two valid records differ ({', '.join(differences[:2])}): taken is {chosen.folder.path}, "
        f"finished {_finish_time(chosen) or 'at an unknown time'}, not {other.folder.path}, finished "
        f"{_finish_time(other) or 'at an unknown time'}"
    )
