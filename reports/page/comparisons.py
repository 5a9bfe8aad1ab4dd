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
from tables.layout import MEASURED, Layout
from tables.side_tables import SideTable, interval_text
from tables.states import TableSummary

# Order of the verdicts when the column is sorted.
_ORDER = (verdicts.YES, verdicts.NO_DIFFERENCE, verdicts.HURTS, verdicts.OPEN)
_CLASSES = {verdicts.YES: "yes", verdicts.NO_DIFFERENCE: "no-difference", verdicts.HURTS: "hurts"}


def pair_page(dataset: str, backbone: str) -> str:
    """Return the path of a pair's page in the report's folder. dataset, backbone: keys of the grid."""
    return f"cells/{dataset}-{backbone}.html"


def pair_title(dataset: str, backbone: str) -> str:
    """Return a pair's title: ``CUB · DeiT-Tiny``."""
    return f"{DATASETS[dataset].column} · {BACKBONES[backbone].title}"


def comparisons_table(layout: Layout) -> HtmlTable:
    """Show all comparisons of a table, each linked to its page."""
    summary = layout.summary
    several = len({metric for *_, metric in summary.gains}) > 1
    rows = tuple(
        (
            HtmlCell(pair_title(gain.dataset, gain.backbone), href=pair_page(gain.dataset, gain.backbone)),
            *_cells(layout, gain, several),
        )
        for gain in summary.gains.values()
    )
    heading = (HtmlColumn("Dataset · backbone"),)
    caption = "Comparisons, values in %."
    return HtmlTable(f"{summary.key}-rows", caption, heading + columns(summary, several), rows)


def pair_table(layout: Layout, dataset: str, backbone: str) -> HtmlTable:
    """Show the comparisons of one pair, one row per metric."""
    gains = [
        gain for gain in layout.summary.gains.values() if (gain.dataset, gain.backbone) == (dataset, backbone)
    ]
    rows = tuple((text_cell(metric_word(gain.metric)), *_cells(layout, gain, False)) for gain in gains)
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


def _cells(layout: Layout, gain: GainSummary, several: bool) -> tuple[HtmlCell, ...]:
    summary = layout.summary
    baseline, dcal = (
        summary.cells[gain.dataset, gain.backbone, method, gain.metric] for method in ("baseline", "dcal")
    )
    texts = _measured_texts(layout, gain)
    cells = [text_cell(metric_word(gain.metric))] if several else []
    for cell, text in ((baseline, texts["baseline"]), (dcal, texts["dcal"])):
        cells += [number_cell(cell.published, percent), _measured(cell, text)]
    cells += [number_cell(gain.published, signed), _measured(gain, texts["gain"])]
    cells += [_interval(gain), _p_values(gain), helps(summary, gain)]
    if summary.comparable:
        cells.append(_reached(baseline, dcal))
    return (*cells, _state(baseline, dcal))


def _measured_texts(layout: Layout, gain: GainSummary) -> dict[str, str]:
    """Return kind of row → text of the table in the paper's layout, so that both tables agree."""
    (position,) = (
        index
        for index, column in enumerate(layout.columns)
        if (column.dataset, column.metric, column.heading) == (gain.dataset, gain.metric, MEASURED)
    )
    title = BACKBONES[gain.backbone].title
    return {row.kind: row.entries[position].text for row in layout.rows if row.backbone == title}


def _measured(summary: CellSummary | GainSummary, text: str) -> HtmlCell:
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
    rank = float(_ORDER.index(gain.verdict.helps))
    # Runs on a subset in the paper's profile: the column is about the method, this number is not.
    if summary.comparable and gain.measured.n and not gain.comparable_data:
        return HtmlCell(f"{gain.verdict.text}, in these runs", rank, css_class="verdict")
    return HtmlCell(gain.verdict.text, rank, css_class=f"verdict {_CLASSES.get(gain.verdict.helps, 'state')}")


def _reached(baseline: CellSummary, dcal: CellSummary) -> HtmlCell:
    """Show the second verdict: are the published numbers reached."""
    texts = {name: cell.reached for name, cell in (("baseline", baseline), ("DCAL", dcal)) if cell.reached}
    if len(texts) == 2 and baseline.reached == dcal.reached:
        classes = {verdicts.REPRODUCED: "verdict yes", verdicts.NOT_COMPARED: "state"}
        return text_cell(baseline.reached, classes.get(baseline.reached, "verdict"))
    css_class = "state" if set(texts.values()) <= {verdicts.NOT_COMPARED} else "verdict"
    return text_cell(", ".join(f"{name} {text}" for name, text in texts.items()), css_class)


def _state(baseline: CellSummary, dcal: CellSummary) -> HtmlCell:
    """Show the states of both methods' runs: ``done``, ``not run``, ``2 of 6 done, 1 failed, 1 damaged``."""
    counts = Counter(baseline.states) + Counter(dcal.states)
    if len(counts) == 1:
        (state,) = counts
        return HtmlCell(states.word(state), float(counts["done"]), css_class="state")
    parts = [f"{counts['done']} of {counts.total()} done"]
    parts += [f"{counts[state]} {state}" for state in ("failed", "damaged") if counts[state]]
    return HtmlCell(", ".join(parts), float(counts["done"]), css_class="state")


# --- The table in the paper's layout, and its side tables ---


def paper_table(layout: Layout) -> HtmlTable:
    """Show the table in the paper's layout: rows are backbones and methods, columns are datasets."""
    columns = tuple(HtmlColumn(column.heading, "number", column.group) for column in layout.columns)
    rows = tuple(
        (
            HtmlCell(f"{row.backbone} {row.label}", css_class=row.kind),
            *(
                text_cell(entry.text, f"{row.kind} state" if entry.is_state else row.kind)
                for entry in row.entries
            ),
        )
        for row in layout.rows
    )
    key = f"{layout.summary.key}-paper"
    heading = HtmlColumn("Backbone and method")
    return HtmlTable(key, layout.title, (heading, *columns), rows, sortable=False)


def side_table(layout: Layout, side: SideTable, name: str) -> HtmlTable:
    """Show a side table of the layout; its name columns become one column. name: part of the id on the page."""
    headings = side.headings[side.names :]
    kinds = ("number" if letter == "r" else "text" for letter in side.align[side.names :])
    rows = tuple(
        (text_cell(" · ".join(row[: side.names])), *(text_cell(text) for text in row[side.names :]))
        for row in side.rows
    )
    columns = (HtmlColumn(" · ".join(side.headings[: side.names])), *map(HtmlColumn, headings, kinds))
    return HtmlTable(f"{layout.summary.key}-{name}", side.title, columns, rows, sortable=False)
