"""A table as one row a comparison (dataset × backbone × metric), to be sorted: published, measured, gain, verdicts."""

from __future__ import annotations

from collections import Counter

from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS
from reports.page.html_table import Column, Entry, Sheet, number, word
from tables import states, verdicts
from tables.cells import CellSummary
from tables.formats import metric_word, p_value, percent, signed
from tables.gains import GainSummary
from tables.layout import TableLayout, measured_cell
from tables.side_tables import interval_text
from tables.states import TableSummary
from tables.table import Table

# What a reader looks for first comes first.
_ORDER = (verdicts.YES, verdicts.NO_DIFFERENCE, verdicts.HURTS, verdicts.OPEN)
_LOOKS = {verdicts.YES: "yes", verdicts.NO_DIFFERENCE: "no-difference", verdicts.HURTS: "hurts"}


def page_of(dataset: str, backbone: str) -> str:
    """The detail page of a pair, relative to the report's folder. Both keys are the grid's own."""
    return f"cells/{dataset}-{backbone}.html"


def pair_title(dataset: str, backbone: str) -> str:
    """``CUB · DeiT-Tiny``."""
    return f"{DATASETS[dataset].column} · {BACKBONES[backbone].title}"


def table_sheet(layout: TableLayout) -> Sheet:
    """All comparisons of a table, each linked to its page."""
    summary = layout.summary
    several = len({metric for *_, metric in summary.gains}) > 1
    rows = tuple(
        (Entry(pair_title(gain.dataset, gain.backbone), href=page_of(gain.dataset, gain.backbone)), *entries)
        for gain in summary.gains.values()
        for entries in [_entries(summary, gain, several)]
    )
    heading = (Column("Dataset · backbone"),)
    caption = "One row a comparison, in %"
    return Sheet(f"{summary.key}-rows", caption, heading + columns(summary, several), rows)


def pair_sheet(layout: TableLayout, dataset: str, backbone: str) -> Sheet:
    """The comparisons of one pair, one row a metric."""
    gains = [
        gain for gain in layout.summary.gains.values() if (gain.dataset, gain.backbone) == (dataset, backbone)
    ]
    rows = tuple((word(metric_word(gain.metric)), *_entries(layout.summary, gain, False)) for gain in gains)
    heading = (Column("Metric"),)
    caption = f"{pair_title(dataset, backbone)}, in %"
    return Sheet("comparison", caption, heading + columns(layout.summary, False), rows, sortable=False)


def columns(summary: TableSummary, several: bool) -> tuple[Column, ...]:
    """The columns after the row's heading. several: whether rows of more than one metric stand in the table."""
    # Beside numbers that must not be compared, the paper's own are labelled for what they are.
    of_paper = "" if summary.comparable else "full recipe"
    found = [Column("Metric")] if several else []
    for group in ("Baseline", "+ DCAL", "Gain"):
        found += [Column("paper", "number", group, of_paper), Column("measured", "number", group)]
    found += [Column("95 % interval", "number", "Gain"), Column("McNemar p", "number", "Gain")]
    found.append(Column("DCAL helps", "rank", note="" if summary.comparable else "in these runs"))
    if summary.comparable:
        found.append(Column("Paper's numbers"))
    return (*found, Column("State", "rank"))


def _entries(summary: TableSummary, gain: GainSummary, several: bool) -> tuple[Entry, ...]:
    pair = (gain.dataset, gain.backbone)
    before, after = (summary.cells[(*pair, method, gain.metric)] for method in ("baseline", "dcal"))
    entries = [word(metric_word(gain.metric))] if several else []
    for cell in (before, after):
        entries += [number(cell.published, percent), _measured(cell, summary.comparable)]
    entries += [number(gain.published, signed), _measured(gain, summary.comparable)]
    entries += [_interval(gain), _p_values(gain), helps(summary, gain)]
    if summary.comparable:
        entries.append(_reached(before, after))
    return (*entries, _state(before, after))


def _measured(found: CellSummary | GainSummary, comparable: bool) -> Entry:
    """The text of the table in the paper's layout."""
    text = measured_cell(found, comparable).text
    if found.measured.mean is None:
        return word(text, "state several")
    # Where the cell is narrow, the line breaks before the bracket and nowhere else.
    whole = text.replace(" ± ", "\u00a0±\u00a0").replace("n = ", "n\u00a0=\u00a0")
    return number(found.measured.mean, lambda _: whole, "several")


def _interval(gain: GainSummary) -> Entry:
    if gain.interval is None:
        return Entry("")
    return Entry(interval_text(gain.interval), (gain.interval.low + gain.interval.high) / 2)


def _p_values(gain: GainSummary) -> Entry:
    """One a seed, in their order; sorted by the largest."""
    values = [gain.p_values[seed] for seed in sorted(gain.p_values)]
    return Entry(", ".join(map(p_value, values)), max(values, default=None), look="several")


def helps(summary: TableSummary, gain: GainSummary) -> Entry:
    """The first verdict: does DCAL help in these runs."""
    found = gain.verdict.outcome
    place = float(_ORDER.index(found))
    # Of a subset in the paper's profile: the column speaks of the method, this number does not.
    if summary.comparable and gain.measured.n and not gain.comparable_data:
        return Entry(f"{gain.verdict.text}, in these runs", place, look="verdict")
    return Entry(gain.verdict.text, place, look=f"verdict {_LOOKS.get(found, 'state')}")


def _reached(before: CellSummary, after: CellSummary) -> Entry:
    """The second: are the published numbers reached."""
    told = {
        who: cell.reproduction for who, cell in (("baseline", before), ("DCAL", after)) if cell.reproduction
    }
    if len(told) == 2 and before.reproduction == after.reproduction:
        return word(before.reproduction, _reached_look(before.reproduction))
    look = "state" if set(told.values()) <= {verdicts.NOT_COMPARED} else "verdict"
    return word(", ".join(f"{who} {text}" for who, text in told.items()), look)


def _reached_look(text: str) -> str:
    return {verdicts.REPRODUCED: "verdict yes", verdicts.NOT_COMPARED: "state"}.get(text, "verdict")


def _state(before: CellSummary, after: CellSummary) -> Entry:
    """``done``, ``not run``, ``2 of 6 done, 1 failed, 1 damaged``: of both methods; each method's own stand beside its
    numbers.
    """
    counts = Counter(before.states) + Counter(after.states)
    if len(counts) == 1:
        (only,) = counts
        return Entry(states.state_label(only), float(counts["done"]), look="state")
    shown = [f"{counts['done']} of {counts.total()} done"]
    shown += [f"{counts[state]} {state}" for state in ("failed", "damaged") if counts[state]]
    return Entry(", ".join(shown), float(counts["done"]), look="state")


# --- A table in the paper's layout, and the small tables beside it, as sheets ---


def main_sheet(layout: TableLayout) -> Sheet:
    """Backbones and methods are the rows, datasets the columns."""
    columns = tuple(Column(column.heading, "number", column.group) for column in layout.main.columns)
    rows = tuple(
        (
            Entry(" ".join(row.labels), look=row.kind),
            *(word(cell.text, f"{row.kind} state" if cell.is_state else row.kind) for cell in row.cells),
        )
        for row in layout.main.rows
    )
    key = f"{layout.summary.key}-paper"
    heading = Column("Backbone and method")
    return Sheet(key, layout.title, (heading, *columns), rows, sortable=False)


def side_sheet(layout: TableLayout, side: Table, name: str) -> Sheet:
    """A small table of the layout; the columns that say what a row is about become one. name: part of its id."""
    rows = tuple(
        (word(" · ".join(row.labels)), *(word(cell.text) for cell in row.cells)) for row in side.rows
    )
    columns = (
        Column(" · ".join(column.heading for column in side.labels)),
        *(Column(column.heading, "number" if column.align == "r" else "text") for column in side.columns),
    )
    return Sheet(f"{layout.summary.key}-{name}", side.title, columns, rows, sortable=False)
