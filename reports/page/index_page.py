"""First page of the report: summary, tables, costs, open readings."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from benchmark.config.parse import amount
from reports.ablations.inputs import PAGE_PATH, AblationInputs
from reports.page.comparisons import comparisons_table, paper_table, side_table
from reports.page.costs import (
    PUBLISHED_NOTE,
    pair_costs_table,
    published_costs_table,
    run_costs_table,
    sentences,
)
from reports.page.html_table import render_page
from reports.page.inputs import ReportInputs, ReportRequest
from reports.page.open_readings import readings_table
from tables import verdicts
from tables.headline import Headline, VerdictCounts, headline
from tables.layout import TableLayout
from tables.records import seeds_text

TABLE_NAMES = {"table1": "Table 1", "table2": "Table 2", "extras": "More backbones"}
EXPORTS = {"html": "HTML", "md": "Markdown", "tex": "LaTeX", "csv": "CSV"}


def render_index(inputs: ReportInputs, written: str, ablations: AblationInputs | None) -> str:
    """Render index.html. written: date and time as text. ablations: None if no ablation has run."""
    layouts, costs = inputs.layouts, inputs.costs
    comparable = any(layout.summary.comparable for layout in layouts.values())
    return render_page(
        "index.html",
        root="",
        written=written,
        profile=inputs.request.profile,
        seeds=seeds_text(inputs.request.seeds),
        warnings=_warnings(inputs),
        sections=[
            ("headline", "Summary"),
            *TABLE_NAMES.items(),
            *([("ablations", "Ablations")] if ablations else []),
            ("costs", "What it cost"),
            ("open-readings", "Open readings"),
        ],
        summary=summarize(layouts),
        conflicts=inputs.merged.conflicts,
        tables=[_table(layout, inputs.request) for layout in layouts.values()],
        ablations=_ablations(ablations) if ablations else None,
        costs={
            "lines": sentences(costs),
            "pairs": pair_costs_table(costs, inputs.pairs),
            "published": published_costs_table(costs) if comparable else None,
            "published_note": PUBLISHED_NOTE,
            "runs": run_costs_table(
                costs.runs, key="costs-runs", sortable=True, caption="Costs of every finished run"
            ),
        },
        readings=readings_table(inputs.request.profile, inputs.merged.runs),
    )


def _ablations(inputs: AblationInputs) -> dict[str, str | int]:
    """Return the link to the page of the ablations, and the counts of their runs."""
    runs = inputs.merged.runs
    return {
        "href": "/".join((os.pardir, *PAGE_PATH)),
        "done": sum(run.state == "done" for run in runs),
        "total": len(runs),
        "seeds": seeds_text(inputs.request.seeds),
        "rows": len(inputs.ablation_layout.ablations.rows),
    }


def _warnings(inputs: ReportInputs) -> list[str]:
    """Return the warnings of all tables, each once, without those that another one continues."""
    warnings = list(dict.fromkeys(layout.warning for layout in inputs.layouts.values() if layout.warning))
    return [
        text for text in warnings if not any(other != text and other.startswith(text) for other in warnings)
    ]


def _table(layout: TableLayout, request: ReportRequest) -> dict[str, object]:
    # The summary of the page gives these counts for all tables together.
    counts = headline([layout.summary]).text
    return {
        "key": layout.summary.key,
        "name": TABLE_NAMES[layout.summary.key],
        "title": layout.title,
        "comparisons": comparisons_table(layout),
        "paper": paper_table(layout),
        "side_tables": [side_table(layout, layout.branches, "branches")] if layout.branches else [],
        "notes": [note for note in layout.notes if note != counts],
        "lists": [
            (title, lines) for title, lines in layout.lists if lines not in (layout.notes, layout.conflicts)
        ],
        "header": layout.header,
        "files": _files(layout.summary.key, request),
    }


def _files(key: str, request: ReportRequest) -> list[tuple[str, str]]:
    """List the existing exports of ``make tables`` as (format, path relative to the report's folder)."""
    folder = request.root / "tables"
    return [
        (name, f"{os.pardir}/tables/{key}.{suffix}")
        for suffix, name in EXPORTS.items()
        if (folder / f"{key}.{suffix}").is_file()
    ]


# --- Summary: what is decided about the paper's claim, and separately what these runs show ---


@dataclass(frozen=True)
class Tile:
    """A large number on the page. css_class: class of the style sheet."""

    label: str
    count: int
    css_class: str


@dataclass(frozen=True)
class PageSummary:
    """Summary of the report.

    sentence: result for the paper's claim.
    tiles: its numbers.
    measured: further results.
    rule: how comparisons are decided.
    """

    sentence: str
    tiles: tuple[Tile, ...]
    measured: str
    rule: str


def summarize(layouts: Mapping[str, TableLayout]) -> PageSummary:
    """Summarize all tables; the paper's claim stays open if no run is comparable with the paper."""
    summaries = [layout.summary for layout in layouts.values()]
    counts = headline(summaries)
    if any(summary.comparable for summary in summaries):
        return PageSummary(
            _claim(counts), _tiles(counts.claim, _CLAIM), _published(layouts, counts), _rule(counts)
        )
    runs = counts.these_runs or VerdictCounts(0, 0, 0, 0)
    finished = runs.total - runs.open
    sentence = (
        f"Nothing about the paper is decided here: all {counts.comparisons} of its comparisons stay open, because "
        "these runs do not use its recipe and its data."
    )
    measured = (
        "No comparison of these runs is finished."
        if not finished
        else f"Results of these runs only: {amount(finished, 'comparison')} of {runs.total} "
        f"{'is' if finished == 1 else 'are'} finished; DCAL helps in {runs.yes}, in {runs.no_difference} no "
        f"difference is shown, in {runs.hurts} it hurts."
    )
    rule = (
        "A comparison is a dataset and a backbone, judged in top-1 or mAP by the 95 % interval of the gain over the "
        "test images of these runs."
    )
    return PageSummary(sentence, _tiles(runs, _THESE_RUNS), measured, rule)


_CLAIM = ("confirm the claim", "show no difference", "show that DCAL hurts", "open")
_THESE_RUNS = (
    "helps in these runs",
    "no difference in these runs",
    "hurts in these runs",
    "not finished here",
)


def _claim(counts: Headline) -> str:
    claim = counts.claim
    return (
        f"The paper's claim is that DCAL improves each of its {counts.comparisons} comparisons. Of these {claim.yes} "
        f"{'confirms' if claim.yes == 1 else 'confirm'} it, {claim.no_difference} "
        f"{'shows' if claim.no_difference == 1 else 'show'} no difference, {claim.hurts} "
        f"{'shows' if claim.hurts == 1 else 'show'} that DCAL hurts, and {claim.open} "
        f"{'is' if claim.open == 1 else 'are'} open."
    )


def _tiles(counts: VerdictCounts, labels: tuple[str, ...]) -> tuple[Tile, ...]:
    numbers = (counts.yes, counts.no_difference, counts.hurts, counts.open)
    return tuple(map(Tile, labels, numbers, ("yes", "no-difference", "hurts", "state")))


def _published(layouts: Mapping[str, TableLayout], counts: Headline) -> str:
    """Describe how many published numbers are reached, and the results of runs on other data."""
    reached = Counter(
        cell.reproduction for layout in layouts.values() for cell in layout.summary.cells.values()
    )
    compared = sum(reached[word] for word in (verdicts.REPRODUCED, verdicts.BELOW, verdicts.ABOVE))
    published = sum(
        cell.published is not None for layout in layouts.values() for cell in layout.summary.cells.values()
    )
    text = f"Of the paper's {published} numbers, {compared} {'is' if compared == 1 else 'are'} measured here"
    if compared:
        text += (
            f": {reached[verdicts.REPRODUCED]} reproduced within {verdicts.TOLERANCE:.1f} point, "
            f"{reached[verdicts.BELOW]} below, {reached[verdicts.ABOVE]} above"
        )
    text += "."
    if runs := counts.these_runs:
        text += (
            f" {amount(runs.total, 'comparison')} ran on other data than the paper's and "
            f"{'counts' if runs.total == 1 else 'count'} as open; in these runs alone: {_counts_text(runs)}."
        )
    return text


def _counts_text(counts: VerdictCounts) -> str:
    """Format the counts that are not zero."""
    parts = (
        (counts.yes, "DCAL helps in"),
        (counts.no_difference, "no difference is shown in"),
        (counts.hurts, "DCAL hurts in"),
        (counts.open, "not finished are"),
    )
    return ", ".join(f"{words} {count}" for count, words in parts if count)


def _rule(counts: Headline) -> str:
    reasons = ", ".join(f"{reason} ({count})" for reason, count in counts.open_reasons.items())
    return (
        "A comparison is a dataset and a backbone, decided in top-1 or mAP by the 95 % interval of the gain."
        + (f" Why some are open: {reasons}." if reasons else "")
    )
