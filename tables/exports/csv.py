"""CSV in long form (RFC 4180, UTF-8): one line a cell and metric, then the gains; nothing rounded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

from tables import records
from tables.cells import CellSummary, run_state
from tables.formats import one_line
from tables.gains import GainSummary
from tables.layout import Layout
from tables.notes import weights_of
from tables.states import TableSummary, counted

# The ends of lines and the wide forms, too: some programs skip or narrow them before they look.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
COLUMNS = (
    "table",
    "dataset",
    "backbone",
    "method",
    "metric",
    "published",
    "measured_mean",
    "measured_std",
    "n",
    "difference",
    "interval_low",
    "interval_high",
    "p",
    "verdict",
    "reached",
    "state",
    "reason",
    "coverage",
    "profile",
    "config_hashes",
    "commit",
    "data_version",
    "weights",
)


def render(layout: Layout) -> str:
    summary = layout.summary
    rows = [cell_line(summary, cell) for cell in summary.cells.values()]
    rows += [gain_line(summary, gain) for gain in summary.gains.values()]
    return written(rows, COLUMNS)


def written(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> str:
    """The lines as CSV; a value that a line lacks stays empty."""
    import pandas as pd

    safe = [{name: without_formula(value) for name, value in row.items()} for row in rows]
    # As objects: a count stays a whole number beside lines that have none.
    frame = pd.DataFrame(safe, columns=list(columns), dtype=object)
    return frame.to_csv(index=False, lineterminator="\r\n")


def without_formula(value: object) -> object:
    """A cell that a spreadsheet reads as what it is: text that would begin a formula gets an apostrophe before it."""
    if not isinstance(value, str) or not (value.startswith(_FORMULA) or value.lstrip().startswith(_FORMULA)):
        return value
    with contextlib.suppress(ValueError):
        float(value)
        return value  # -3.1 is a number
    return f"'{value}"


def cell_line(summary: TableSummary, found: CellSummary) -> dict[str, Any]:
    """A cell's values by column."""
    done = [run for run in found.runs if records.is_done(run)]
    states = list(found.states)
    return _numbers(summary, found) | {
        "dataset": found.cell.dataset,
        "backbone": found.cell.backbone,
        "method": found.cell.method,
        "reached": found.reached,
        "state": states[0] if len(states) == 1 else counted(found),
        "reason": _reasons(found),
        "config_hashes": _joined(records.config_hash(run) for run in done),
        "commit": _joined(records.commit(run) for run in done),
        "data_version": _joined(records.version(run) for run in done),
        "weights": _joined("@".join(filter(None, weights_of(run))) for run in done),
    }


def gain_line(summary: TableSummary, found: GainSummary) -> dict[str, Any]:
    """A gain's values by column."""
    return _numbers(summary, found) | {
        "dataset": found.dataset,
        "backbone": found.backbone,
        "method": "gain",
        "interval_low": found.interval.low if found.interval else None,
        "interval_high": found.interval.high if found.interval else None,
        "p": " ".join(map(repr, found.p_values.values())),  # one a seed, equal ones too
        "verdict": found.verdict.text,
        "reason": "; ".join(text for text in (found.note, one_line(found.no_interval)) if text),
    }


def _numbers(summary: TableSummary, found: CellSummary | GainSummary) -> dict[str, Any]:
    return {
        "table": summary.key,
        "metric": found.metric,
        "published": found.published,
        "measured_mean": found.measured.mean,
        "measured_std": found.measured.std,
        "n": found.measured.n,
        "difference": found.difference,
        "coverage": _joined(found.coverage),
        "profile": summary.profile,
    }


def _reasons(found: CellSummary) -> str:
    """``seeds 1, 2: …``: the prefix also keeps a spreadsheet from reading a reason as a formula."""
    if found.left_out:
        return f"left out: {one_line(found.left_out)}"
    seeds: dict[str, list[int]] = {}
    for run in found.runs:
        if run.reason and run_state(run, found.metric) != "done":
            seeds.setdefault(one_line(run.reason), []).append(run.seed)
    return "; ".join(f"{records.seeds_text(numbers)}: {reason}" for reason, numbers in seeds.items())


def _joined(texts: Iterable[str]) -> str:
    return " ".join(records.distinct(texts))
