"""CSV in long form (RFC 4180, UTF-8): one line for each cell and metric, then the gains; nothing is rounded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

from tables import records
from tables.cells import CellSummary, run_state
from tables.formats import one_line
from tables.gains import GainSummary
from tables.layout import TableLayout
from tables.notes import weights_identity
from tables.states import TableSummary, state_counts

# Line ends and full-width forms are here because some programs skip or convert them before they look for a formula.
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


def render(layout: TableLayout) -> str:
    summary = layout.summary
    rows = [cell_line(summary, cell) for cell in summary.cells.values()]
    rows += [gain_line(summary, gain) for gain in summary.gains.values()]
    return csv_text(rows, COLUMNS)


def csv_text(rows: Iterable[dict[str, Any]], columns: Sequence[str]) -> str:
    """Rows (column → value) as CSV; a value that a row lacks stays empty."""
    import pandas as pd

    safe = [{name: escape_formula(value) for name, value in row.items()} for row in rows]
    # dtype=object: a count stays a whole number in a column that has empty values, too.
    frame = pd.DataFrame(safe, columns=list(columns), dtype=object)
    return frame.to_csv(index=False, lineterminator="\r\n")


def escape_formula(value: Any) -> Any:
    """Value that a spreadsheet does not read as a formula: text that would begin one gets an apostrophe in front."""
    if not isinstance(value, str) or not (value.startswith(_FORMULA) or value.lstrip().startswith(_FORMULA)):
        return value
    with contextlib.suppress(ValueError):
        float(value)
        return value  # -3.1 is a number
    return f"'{value}"


def cell_line(summary: TableSummary, number: CellSummary) -> dict[str, Any]:
    """Column → value for a cell."""
    done = [run for run in number.runs if records.is_done(run)]
    states = list(number.states)
    return _numbers(summary, number) | {
        "dataset": number.cell.dataset,
        "backbone": number.cell.backbone,
        "method": number.cell.method,
        "reached": number.reproduction,
        "state": states[0] if len(states) == 1 else state_counts(number),
        "reason": _reasons(number),
        "config_hashes": _joined(records.config_hash(run) for run in done),
        "commit": _joined(records.commit(run) for run in done),
        "data_version": _joined(records.version(run) for run in done),
        "weights": _joined("@".join(filter(None, weights_identity(run))) for run in done),
    }


def gain_line(summary: TableSummary, gain: GainSummary) -> dict[str, Any]:
    """Column → value for a gain."""
    return _numbers(summary, gain) | {
        "dataset": gain.dataset,
        "backbone": gain.backbone,
        "method": "gain",
        "interval_low": gain.interval.low if gain.interval else None,
        "interval_high": gain.interval.high if gain.interval else None,
        "p": " ".join(map(repr, gain.p_values.values())),  # one for each seed, equal values too
        "verdict": gain.verdict.text,
        "reason": "; ".join(text for text in (gain.note, one_line(gain.no_interval)) if text),
    }


def _numbers(summary: TableSummary, number: CellSummary | GainSummary) -> dict[str, Any]:
    return {
        "table": summary.key,
        "metric": number.metric,
        "published": number.published,
        "measured_mean": number.measured.mean,
        "measured_std": number.measured.std,
        "n": number.measured.n,
        "difference": number.difference,
        "coverage": _joined(number.coverage),
        "profile": summary.profile,
    }


def _reasons(cell: CellSummary) -> str:
    """Reasons by seeds: ``seeds 1, 2: …``. The prefix also keeps a spreadsheet from reading a reason as a formula."""
    if cell.left_out:
        return f"left out: {one_line(cell.left_out)}"
    seeds: dict[str, list[int]] = {}
    for run in cell.runs:
        if run.reason and run_state(run, cell.metric) != "done":
            seeds.setdefault(one_line(run.reason), []).append(run.seed)
    return "; ".join(f"{records.seeds_text(numbers)}: {reason}" for reason, numbers in seeds.items())


def _joined(texts: Iterable[str]) -> str:
    return " ".join(records.distinct(texts))
