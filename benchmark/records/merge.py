"""The runs of several people's folders as one sweep: for each run the newest valid record (no torch)."""

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
class Merged:
    """runs: one view a run, in grid order. conflicts: where two valid records of a run differ, in words.

    places: run id → where the folder that its view comes from has its data and weights. refused: cell id → why the
    settings asked for make no sense for it; such a cell has no runs.
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
) -> Merged:
    """As ``status.collect``, over several folders of runs.

    A valid record of the settings asked for beats every other state, the one finished last beats older ones, and of
    copies of one record the most complete folder counts. Cells that the overrides make no sense for are left out, with
    a warning. as_recorded: finished runs count as done whatever their settings, for verbs that read them as they are.
    Raises as ``status.collect``.
    """
    refused: dict[str, str] = {}
    places = [Places.of(profile, folder, data_dir, weights_dir) for folder in folders]
    found = [
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
        found = [[view_as_recorded(view) for view in views] for views in found]
    for why in dict.fromkeys(refused.values()):
        cells = [cell for cell, reason in refused.items() if reason == why]
        logger.warning("left out, as these settings make no sense for it: %s: %s", ", ".join(cells), why)
    runs, conflicts, chosen_places = [], [], {}
    for views in zip(*found, strict=True):
        order = sorted(range(len(views)), key=lambda place: _rank(views[place]), reverse=True)
        chosen, others = views[order[0]], [views[place] for place in order[1:]]
        runs.append(chosen)
        chosen_places[chosen.id] = places[order[0]]
        conflicts += [text for other in others if (text := _conflict(chosen, other))]
    return Merged(tuple(runs), tuple(conflicts), chosen_places, refused)


def _rank(view: RunView) -> tuple[int, datetime, tuple[bool, ...], str]:
    """What says more ranks higher: of records of one moment, copies mostly, the one that kept its predictions, then its
    checkpoint. The path decides between the rest, so that the order in which the folders are named never does.
    """
    known = STATES.index(view.state)  # in the order of how much they tell
    files = view.folder.predictions, view.folder.checkpoint
    kept = tuple(os.path.isfile(file) for file in files)  # not of a folder that may not be looked into
    return -known, _finished(view) or datetime.min.replace(tzinfo=UTC), kept, str(view.folder.path)


def _finished(view: RunView) -> datetime | None:
    """When a record says its run ended, or None where it does not say."""
    text = view.result["provenance"].get("finished") if view.result else None
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _conflict(chosen: RunView, other: RunView) -> str:
    """In words, where a record is passed over that says something else than the chosen one; else ""."""
    if other.result is None or chosen.result is None:
        return ""
    taken, left = chosen.result["metrics"], other.result["metrics"]
    differing = [
        f"{name} {taken.get(name, 'none')} and {left.get(name, 'none')}"
        for name in dict.fromkeys((*taken, *left))
        if taken.get(name) != left.get(name)
    ]
    if chosen.result["data"]["fingerprint"] != other.result["data"]["fingerprint"]:
        differing.insert(0, "other data")
    if not differing:
        return ""
    return (
        f"{chosen.id}: two valid records differ ({', '.join(differing[:2])}): taken is {chosen.folder.path}, finished "
        f"{_finished(chosen) or 'at an unknown time'}, not {other.folder.path}, finished "
        f"{_finished(other) or 'at an unknown time'}"
    )
