"""The ablations as small tables, one or two a group: what was measured, and what each row gains over what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tables import states, verdicts
from tables.ablations.rows import Ablations, RowSummary
from tables.bootstrap import LEVEL
from tables.cells import CellSummary
from tables.formats import metric_word, p_value, percent, signed
from tables.gains import GainSummary
from tables.layout import measured_text
from tables.paired import plain
from tables.side_table import SideTable
from tables.verdict_table import interval_text, told
from tables.verdicts import Verdict

# Where the paper's numbers are of another recipe than the ones beside them, they are marked.
STAR = "*"
STAR_NOTE = "paper*, gain*: the paper's, of full data and the full recipe"
_DIFFERS = {verdicts.YES: "higher", verdicts.HURTS: "lower"}
DIFFERS_RULE = (
    "higher, lower: the same rule for the row beside the one it is compared with; no difference shown is no proof that "
    "there is none"
)


def group_tables(found: Ablations) -> dict[str, list[SideTable]]:
    """The tables of each group, by its title."""
    return {
        title: [
            _measured_table(title, rows, found.table.comparable),
            *_compared_tables(title, rows, found.table.comparable),
        ]
        for title, rows in found.groups.items()
    }


def _measured_table(title: str, rows: Sequence[RowSummary], comparable: bool) -> SideTable:
    metrics = dict.fromkeys(plain(row.row.metric) for row in rows)
    words = " and ".join(metric_word(metric) for metric in metrics)
    star = "" if comparable else STAR
    texts = [_texts(row, comparable) for row in rows]
    columns = (
        (f"{words}, in %", "name", "l"),
        (f"paper{star}", "paper", "r"),
        ("measured", "measured", "r"),
        ("difference", "difference", "r"),
        ("paper's gain" if comparable else f"gain{STAR}", "paper's gain", "r"),
        ("gain", "gain", "r"),
        (f"{LEVEL} % interval", "interval", "r"),
        ("helps?" if comparable else "helps here?", "helps", "l"),
        ("reached?", "reached", "l"),
    )
    # A column of which the paper or the profile leaves nothing is left out.
    always = ("measured", "gain", "interval", "helps")
    kept = [column for column in columns if column[1] in always or any(row[column[1]] for row in texts)]
    headings, names, aligns = zip(*kept, strict=True)
    return SideTable(
        title, headings, tuple(tuple(row[name] for name in names) for row in texts), "".join(aligns), 1
    )


def _texts(row: RowSummary, comparable: bool) -> dict[str, str]:
    """The row's cells by column."""
    cell, given = row.cell, row.row.published is not None
    paper_gain, gain, interval, helps = gain_texts(row.gain, comparable) if row.gain else ("", "", "", "")
    difference = signed(cell.difference) if given and cell.difference is not None else ""
    return {
        "name": row.title,
        "paper": percent(row.row.published) if given else "",
        "measured": measured(cell, comparable),
        "difference": difference,
        "paper's gain": paper_gain if given else "",
        "gain": gain,
        "interval": interval,
        "helps": helps,
        "reached": cell.reached if given and comparable else "",
    }


def measured(cell: CellSummary, comparable: bool) -> str:
    """The number, or the state that stands in its place."""
    if cell.measured.mean is None:
        return states.in_table(cell).partition(":")[0]
    return measured_text(cell, comparable, percent)


def gain_texts(gain: GainSummary, comparable: bool) -> list[str]:
    """The paper's gain, ours, its interval, the verdict."""
    published = "" if gain.published is None else signed(gain.published)
    ours = "" if gain.measured.mean is None else measured_text(gain, comparable, signed)
    return [published, ours, interval_text(gain.interval), _said(gain, gain.verdict, comparable)]


def _said(gain: GainSummary, verdict: Verdict, comparable: bool) -> str:
    """The verdict; why it is open stands beside it already where a run is not done."""
    return told(gain, verdict, comparable) if gain.measured.n else verdict.helps


def _compared_tables(title: str, rows: Sequence[RowSummary], comparable: bool) -> list[SideTable]:
    """One for each reference of the group's rows that is not the baseline."""
    by_reference: dict[str, list[RowSummary]] = {}
    for row in rows:
        if row.against is not None:
            by_reference.setdefault(row.against_title, []).append(row)
    star = "" if comparable else STAR
    headings = ("in points", f"paper{star}", "measured", f"{LEVEL} % interval", "McNemar p", "differs?")
    tables = []
    for reference, compared in by_reference.items():
        texts = tuple(_compared(row, row.against, comparable) for row in compared)
        table = SideTable(f"{title}: compared with {reference}", headings, texts, "lrrrrl", 1)
        published = any(row[1] for row in texts)
        tables.append(table if published else table.only([0, 2, 3, 4, 5]))
    return tables


def _compared(row: RowSummary, gain: GainSummary, comparable: bool) -> tuple[str, ...]:
    published, ours, interval, _ = gain_texts(gain, comparable)
    p_values = ", ".join(map(p_value, gain.p_values.values()))
    return row.title, published, ours, interval, p_values, _said(gain, differs(gain.verdict), comparable)


def differs(verdict: Verdict) -> Verdict:
    """The verdict in the words for two alternatives, of which neither is there to help."""
    return replace(verdict, helps=_DIFFERS.get(verdict.helps, verdict.helps))
