"""Where a run errs (re-identification): its hardest queries, and what it found instead (no torch)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.errors import RunError, SettingsError
from benchmark.records.status import RunView
from tables.records import fingerprint, is_done

RULE = (
    "The queries with the lowest average precision of {run}, lowest first, equal ones in the dataset's order; queries "
    "that have nothing to find are left out."
)


@dataclass(frozen=True)
class HardQuery:
    """A query. place: in the dataset's list, from 0. ap: average precision in percent; other_ap: that of the run
    compared with, None without one. first_hit: rank of the first right picture, from 1.

    wrong: places in the gallery of the pictures ranked before it, nearest first, as many as the record holds; None
    where it holds no ranked lists.
    """

    place: int
    identity: int
    camera: int
    ap: float
    other_ap: float | None
    first_hit: int
    wrong: tuple[int, ...] | None


@dataclass(frozen=True)
class HardQueries:
    """notes: what is missing, in words."""

    queries: tuple[HardQuery, ...]
    rule: str
    notes: tuple[str, ...]


def hardest(run: RunView, other: RunView | None = None, *, count: int = 10) -> HardQueries | None:
    """The ``count`` hardest queries of a run, None unless it is done; other: a run to compare with, e.g. the baseline.

    Raises SettingsError for a run of classification, RunError where the run's own predictions cannot be read.
    """
    if run.cell.task != "reid":
        raise SettingsError(f"{run.id} is fine-grained classification: expected a run of re-identification")
    if not is_done(run):
        return None
    found, notes = run.predictions, []
    ap, first = found["both_ap"], found["both_first_hit"]
    compared = _compared(run, other, notes)
    nearest = found["both_nearest"] if "both_nearest" in found else None
    if nearest is None:
        notes.append(f"the record of {run.id} holds no ranked lists")
    answerable = np.flatnonzero(first > 0)
    order = answerable[np.argsort(ap[answerable], kind="stable")][:count]
    queries = tuple(
        HardQuery(
            place,
            int(found["identities"][place]),
            int(found["cameras"][place]),
            100.0 * float(ap[place]),
            None if compared is None else 100.0 * float(compared[place]),
            int(first[place]),
            None if nearest is None else _before(nearest[place], int(first[place])),
        )
        for place in order.tolist()
    )
    return HardQueries(queries, RULE.format(run=run.id), tuple(notes))


def _before(nearest: np.ndarray, first_hit: int) -> tuple[int, ...]:
    """The gallery places ranked before the first right one; −1 fills lists that are shorter."""
    return tuple(place for place in nearest[: first_hit - 1].tolist() if place >= 0)


def _compared(run: RunView, other: RunView | None, notes: list[str]) -> np.ndarray | None:
    """The other run's average precisions, where they are of the same queries."""
    if other is None or not is_done(other):
        return None
    try:
        same = fingerprint(run) == fingerprint(other) and np.array_equal(
            run.predictions["identities"], other.predictions["identities"]
        )
        if same:
            return other.predictions["both_ap"]
        notes.append(f"{other.id} has other queries and is not compared with")
    except (RunError, KeyError) as error:
        notes.append(f"{other.id} is not compared with: {error}")
    return None
