"""Cells without a number, in words: for the table itself and for the list below it."""

from __future__ import annotations

from benchmark.config.quantities import abridged
from tables.cells import CellSummary, run_state
from tables.formats import one_line
from tables.records import seeds_text
from tables.summary import TableSummary

WORDS = {
    "missing": "not run",
    "no-data": "no data",
    "no-weights": "no weights",
    "no-number": "no number in record",
    "left-out": "left out",
}
IN_TABLE = 40  # characters of a state and its reason inside the table
IN_LIST = 160  # characters of a line of the list


def word(state: str) -> str:
    return WORDS.get(state, state)


def in_table(summary: CellSummary) -> str:
    """What stands instead of a number: ``no data``, ``failed: out of memory``, ``2 queued, 1 running``."""
    states = list(summary.states)
    if len(states) > 1:
        return counted(summary)
    if states[0] in ("failed", "damaged"):
        reason = next((run.reason for run in summary.runs if run.reason), "")
        return one_line(f"{states[0]}: {reason}" if reason else states[0], IN_TABLE)
    return word(states[0])


def counted(summary: CellSummary) -> str:
    """``2 done, 1 failed``."""
    return ", ".join(f"{count} {word(state)}" for state, count in sorted(summary.states.items()))


def partial(table: TableSummary) -> list[str]:
    """One line for each cell of which some seeds are done and some are not."""
    lines = {
        f"{summary.cell.id}: {counted(summary)}": None
        for summary in table.cells.values()
        if summary.measured.n and not summary.complete
    }
    return list(lines)


def listed(table: TableSummary) -> list[str]:
    """``cell — state: reason``, one line each, cells with the same state and reason together."""
    groups: dict[tuple[str, str], dict[str, None]] = {}
    for summary in table.cells.values():
        cell_groups: dict[tuple[str, str], list[int]] = {}
        for run in summary.runs:
            state = run_state(run, summary.metric)
            reason = f"its record has no {summary.metric}" if state == "no-number" else one_line(run.reason)
            # "not run — not run" says nothing twice.
            reason = "" if reason == word(state) else reason
            if state != "done":
                cell_groups.setdefault((state, reason), []).append(run.seed)
        if not summary.runs:
            cell_groups[next(iter(summary.states)), one_line(summary.left_out)] = []
        for key, seeds in cell_groups.items():
            some = "" if len(seeds) == len(summary.runs) else f" {seeds_text(seeds)}"
            groups.setdefault(key, {})[summary.cell.id + some] = None
    return [
        one_line(f"{abridged(list(names))} — {word(state)}" + (f": {reason}" if reason else ""), IN_LIST)
        for (state, reason), names in groups.items()
    ]
