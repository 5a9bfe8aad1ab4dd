"""Comparisons (dataset × backbone × metric) as rows of a table that sorts: published, measured, gain, verdicts."""

from __future__ import annotations

from collections import Counter

from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS
from reports.page.html_table import HtmlCell, HtmlColumn, HtmlTable, number_cell, text_cell
from tables import states, verdicts
from tables.cells import CellSummary
from tables.formats import metric_word, p_value, percent, signed
from tables.gains import GainSummary
from tables.layout import TableLayout, measured_cell
from tables.side_tables import interval_text
from tables.states import TableSummary
from tables.table import Table

# Order of the verdicts when the column is sorted.
_ORDER = (verdicts.YES, verdicts.NO_DIFFERENCE, verdicts.HURTS, verdicts.OPEN)
_CLASSES = {verdicts.YES: "yes", verdicts.NO_DIFFERENCE: "no-difference", verdicts.HURTS: "hurts"}


def pair_page(dataset: str, backbone: str) -> str:
    """Return the path of a pair's page in the report's folder. dataset, backbone: keys of the grid."""
    return f"cells/{dataset}-{backbone}.html"


def pair_title(dataset: str, backbone: str) -> str:
    """Return a pair's title: ``CUB · DeiT-Tiny``."""
    return f"{DATASETS[dataset].column} · {BACKBONES[backbone].title}"


def comparisons_table(layout: TableLayout) -> HtmlTable:
    """Show all comparisons of a table, each linked to its page."""
    summary = layout.summary
    several = len({metric for *_, metric in summary.gains}) > 1
    rows = tuple(
        (
            HtmlCell(pair_title(gain.dataset, gain.backbone), href=pair_page(gain.dataset, gain.backbone)),
            *_cells(summary, gain, several),
        )
        for gain in summary.gains.values()
    )
    heading = (HtmlColumn("Dataset · backbone"),)
    caption = "Comparisons, values in %."
    return HtmlTable(f"{summary.key}-rows", caption, heading + columns(summary, several), rows)


def pair_table(layout: TableLayout, dataset: str, backbone: str) -> HtmlTable:
    """Show the comparisons of one pair, one row per metric."""
    gains = [
        gain for gain in layout.summary.gains.values() if (gain.dataset, gain.backbone) == (dataset, backbone)
    ]
    rows = tuple(
        (text_cell(metric_word(gain.metric)), *_cells(layout.summary, gain, False)) for gain in gains
    )
    heading = (HtmlColumn("Metric"),)
    caption = f"{pair_title(dataset, backbone)}, in %"
    return HtmlTable("comparison", caption, heading + columns(layout.summary, False), rows, sortable=False)


def columns(summary: TableSummary, several: bool) -> tuple[HtmlColumn, ...]:
    """Return the columns after the row's heading. several: whether the table has rows of more than one metric."""
    # Next to numbers that must not be compared, the paper's numbers say that they are of the full recipe.
    note = "" if summary.comparable else "full recipe"
    result = [HtmlColumn("Metric")] if several else []
    for group in ("Baseline", "+ DCAL", "Gain"):
        result += [HtmlColumn("paper", "number", group, note), HtmlColumn("measured", "number", group)]
    result += [HtmlColumn("95 % interval", "number", "Gain"), HtmlColumn("McNemar p", "number", "Gain")]
    result.append(HtmlColumn("DCAL helps", "rank", note="" if summary.comparable else "in these runs"))
    if summary.comparable:
        result.append(HtmlColumn("Paper's numbers"))
    return (*result, HtmlColumn("State", "rank"))


def _cells(summary: TableSummary, gain: GainSummary, several: bool) -> tuple[HtmlCell, ...]:
    baseline, dcal = (
        summary.cells[gain.dataset, gain.backbone, method, gain.metric] for method in ("baseline", "dcal")
    )
    cells = [text_cell(metric_word(gain.metric))] if several else []
    for cell in (baseline, dcal):
        cells += [number_cell(cell.published, percent), _measured(cell, summary.comparable)]
    cells += [number_cell(gain.published, signed), _measured(gain, summary.comparable)]
    cells += [_interval(gain), _p_values(gain), helps(summary, gain)]
    if summary.comparable:
        cells.append(_reached(baseline, dcal))
    return (*cells, _state(baseline, dcal))


def _measured(summary: CellSummary | GainSummary, comparable: bool) -> HtmlCell:
    """Show the text of the table in the paper's layout."""
    text = measured_cell(summary, comparable).text
    if summary.measured.mean is None:
        return text_cell(text, "state several")
    # A narrow cell may break the line before the bracket only.
    unbroken = text.replace(" ± ", "\u00a0±\u00a0").replace("n = ", "n\u00a0=\u00a0")
    return number_cell(summary.measured.mean, lambda _: unbroken, "several")


def _interval(gain: GainSummary) -> HtmlCell:
    if gain.interval is None:
        return HtmlCell("")
    return HtmlCell(interval_text(gain.interval), (gain.interval.low + gain.interval.high) / 2)


def _p_values(gain: GainSummary) -> HtmlCell:
    """Show the p-values in the order of the seeds; the largest is the sort key."""
    values = [gain.p_values[seed] for seed in sorted(gain.p_values)]
    return HtmlCell(", ".join(map(p_value, values)), max(values, default=None), css_class="several")


def helps(summary: TableSummary, gain: GainSummary) -> HtmlCell:
    """Show the first verdict: does DCAL help in these runs."""
    rank = float(_ORDER.index(gain.verdict.outcome))
    # Runs on a subset in the paper's profile: the column is about the method, this number is not.
    if summary.comparable and gain.measured.n and not gain.comparable_data:
        return HtmlCell(f"{gain.verdict.text}, in these runs", rank, css_class="verdict")
    return HtmlCell(
        gain.verdict.text, rank, css_class=f"verdict {_CLASSES.get(gain.verdict.outcome, 'state')}"
    )


def _reached(baseline: CellSummary, dcal: CellSummary) -> HtmlCell:
    """Show the second verdict: are the published numbers reached."""
    texts = {
        name: cell.reproduction
        for name, cell in (("baseline", baseline), ("DCAL", dcal))
        if cell.reproduction
    }
    if len(texts) == 2 and baseline.reproduction == dcal.reproduction:
        classes = {verdicts.REPRODUCED: "verdict yes", verdicts.NOT_COMPARED: "state"}
        return text_cell(baseline.reproduction, classes.get(baseline.reproduction, "verdict"))
    css_class = "state" if set(texts.values()) <= {verdicts.NOT_COMPARED} else "verdict"
    return text_cell(", ".join(f"{name} {text}" for name, text in texts.items()), css_class)


def _state(baseline: CellSummary, dcal: CellSummary) -> HtmlCell:
    """Show the states of both methods' runs: ``done``, ``not run``, ``2 of 6 done, 1 failed, 1 damaged``."""
    counts = Counter(baseline.states) + Counter(dcal.states)
    if len(counts) == 1:
        (state,) = counts
        return HtmlCell(states.state_label(state), float(counts["done"]), css_class="state")
    parts = [f"{counts['done']} of {counts.total()} done"]
    parts += [f"{counts[state]} {state}" for state in ("failed", "damaged") if counts[state]]
    return HtmlCell(", ".join(parts), float(counts["done"]), css_class="state")


# --- The table in the paper's layout, and its side tables ---


def paper_table(layout: TableLayout) -> HtmlTable:
    """Show the table in the paper's layout: rows are backbones and methods, columns are datasets."""
    columns = tuple(HtmlColumn(column.heading, "number", column.group) for column in layout.main.columns)
    rows = tuple(
        (
            HtmlCell(" ".join(row.labels), css_class=row.kind),
            *(text_cell(cell.text, f"{row.kind} state" if cell.is_state else row.kind) for cell in row.cells),
        )
        for row in layout.main.rows
    )
    key = f"{layout.summary.key}-paper"
    heading = HtmlColumn("Backbone and method")
    return HtmlTable(key, layout.title, (heading, *columns), rows, sortable=False)


def side_table(layout: TableLayout, side: Table, name: str) -> HtmlTable:
    """Show a side table of the layout; its name columns become one column. name: part of the id on the page."""
    rows = tuple(
        (text_cell(" · ".join(row.labels)), *(text_cell(cell.text) for cell in row.cells))
        for row in side.rows
    )
    columns = (
        HtmlColumn(" · ".join(column.heading for column in side.labels)),
        *(HtmlColumn(column.heading, "number" if column.align == "r" else "text") for column in side.columns),
    )
    return HtmlTable(f"{layout.summary.key}-{name}", side.title, columns, rows, sortable=False)
