"""The first page: headline, tables, costs, open readings."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmark.config.parse import amount
from reports.ablations.inputs import PLACE, Gathered
from reports.page import costs as cost_tables
from reports.page import html_table, open_readings
from reports.page.comparisons import main_sheet, side_sheet, table_sheet
from reports.page.html_table import MARK
from reports.page.inputs import Asked, Material
from tables import verdicts
from tables.headline import Headline, VerdictCounts, headline
from tables.layout import TableLayout
from tables.records import seeds_text

NAMES = {"table1": "Table 1", "table2": "Table 2", "extras": "More backbones"}
EXPORTS = {"html": "HTML", "md": "Markdown", "tex": "LaTeX", "csv": "CSV"}


def index(material: Material, written: str, ablations: Gathered | None) -> str:
    """index.html. written: when, in words. ablations: None where none is run."""
    layouts, costs = material.layouts, material.costs
    comparable = any(layout.summary.comparable for layout in layouts.values())
    return html_table.page(
        "index.html",
        mark=MARK,
        root="",
        written=written,
        profile=material.asked.profile,
        seeds=seeds_text(material.asked.seeds),
        warnings=_warnings(material),
        sections=[
            ("headline", "In short"),
            *NAMES.items(),
            *([("ablations", "Ablations")] if ablations else []),
            ("costs", "What it cost"),
            ("open-readings", "Open readings"),
        ],
        headline=in_short(layouts),
        conflicts=material.merged.conflicts,
        tables=[_table(layout, material.asked) for layout in layouts.values()],
        ablations=_ablations(ablations) if ablations else None,
        costs={
            "lines": cost_tables.sentences(costs),
            "pairs": cost_tables.pair_rows(costs, material.pairs),
            "published": cost_tables.published_rows(costs) if comparable else None,
            "published_note": cost_tables.PUBLISHED_NOTE,
            "runs": cost_tables.run_rows(
                costs.runs, key="costs-runs", sortable=True, caption="What every finished run cost"
            ),
        },
        readings=open_readings.sheet(material.asked.profile, material.merged.runs),
    )


def _ablations(found: Gathered) -> dict[str, object]:
    """Where their page lies, and how far they are."""
    runs = found.merged.runs
    return {
        "href": "/".join((os.pardir, *PLACE)),
        "done": sum(run.state == "done" for run in runs),
        "total": len(runs),
        "seeds": seeds_text(found.asked.seeds),
        "rows": len(found.laid_out.ablations.rows),
    }


def _warnings(material: Material) -> list[str]:
    """Those of all tables, each once; one that another continues is left out."""
    found = list(dict.fromkeys(layout.warning for layout in material.layouts.values() if layout.warning))
    return [text for text in found if not any(other != text and other.startswith(text) for other in found)]


def _table(layout: TableLayout, asked: Asked) -> dict[str, object]:
    # The page's own headline says it for all tables together.
    counts = headline([layout.summary]).text
    return {
        "key": layout.summary.key,
        "name": NAMES[layout.summary.key],
        "title": layout.title,
        "sheet": table_sheet(layout),
        "paper": main_sheet(layout),
        "sides": [side_sheet(layout, layout.branches, "branches")] if layout.branches else [],
        "notes": [note for note in layout.notes if note != counts],
        "lists": [
            (title, lines) for title, lines in layout.lists if lines not in (layout.notes, layout.conflicts)
        ],
        "header": layout.header,
        "files": _files(layout.summary.key, asked),
    }


def _files(key: str, asked: Asked) -> list[tuple[str, str]]:
    """The exports of ``make tables`` that are there, relative to the report's folder."""
    folder = asked.root / "tables"
    names = [
        (name, f"{key}.{suffix}")
        for suffix, name in EXPORTS.items()
        if (folder / f"{key}.{suffix}").is_file()
    ]
    return [(name, (Path(os.pardir) / "tables" / file).as_posix()) for name, file in names]


# --- The first lines of the report: what is decided of the paper's claim, and apart from it what these runs show ---


@dataclass(frozen=True)
class Tile:
    """A number that stands large on the page; look: a word for the style sheet."""

    label: str
    count: int
    look: str


@dataclass(frozen=True)
class InShort:
    """sentence: the answer; tiles: its numbers; measured: what else was found; rule: how it was decided."""

    sentence: str
    tiles: tuple[Tile, ...]
    measured: str
    rule: str


def in_short(layouts: Mapping[str, TableLayout]) -> InShort:
    """The headline over all tables. Where nothing may be compared with the paper it says nothing of the paper's claim
    but that it is open.
    """
    summaries = [layout.summary for layout in layouts.values()]
    found = headline(summaries)
    if any(summary.comparable for summary in summaries):
        return InShort(_claim(found), _tiles(found.claim, _CLAIM), _compared(layouts, found), _rule(found))
    own = found.these_runs or VerdictCounts(0, 0, 0, 0)
    finished = own.total - own.open
    sentence = (
        f"Nothing about the paper is decided here: all {found.comparisons} of its comparisons stay open, because these "
        "runs are not made by its recipe on its data."
    )
    measured = (
        "No comparison of these runs is finished."
        if not finished
        else f"What these runs show, of themselves only: {amount(finished, 'comparison')} of {own.total} "
        f"{'is' if finished == 1 else 'are'} finished; DCAL helps in {own.yes}, in {own.no_difference} no difference "
        f"is shown, in {own.hurts} it hurts."
    )
    return InShort(sentence, _tiles(own, _THESE_RUNS), measured, _rule_of_these_runs())


_CLAIM = ("confirm the claim", "show no difference", "show that DCAL hurts", "open")
_THESE_RUNS = (
    "helps in these runs",
    "no difference in these runs",
    "hurts in these runs",
    "not finished here",
)


def _claim(found: Headline) -> str:
    claim = found.claim
    return (
        f"The paper's claim is that DCAL improves each of its {found.comparisons} comparisons. Of these {claim.yes} "
        f"{'confirms' if claim.yes == 1 else 'confirm'} it, {claim.no_difference} "
        f"{'shows' if claim.no_difference == 1 else 'show'} no difference, {claim.hurts} "
        f"{'shows' if claim.hurts == 1 else 'show'} that DCAL hurts, and {claim.open} "
        f"{'is' if claim.open == 1 else 'are'} open."
    )


def _tiles(counts: VerdictCounts, labels: tuple[str, ...]) -> tuple[Tile, ...]:
    numbers = (counts.yes, counts.no_difference, counts.hurts, counts.open)
    return tuple(map(Tile, labels, numbers, ("yes", "no-difference", "hurts", "state")))


def _compared(layouts: Mapping[str, TableLayout], found: Headline) -> str:
    """How many published numbers are reached, and what runs on other data show."""
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
    if own := found.these_runs:
        text += (
            f" {amount(own.total, 'comparison')} ran on other data than the paper's and "
            f"{'counts' if own.total == 1 else 'count'} as open; in these runs alone: {_shown(own)}."
        )
    return text


def _shown(counts: VerdictCounts) -> str:
    """What is not zero, in words."""
    parts = (
        (counts.yes, "DCAL helps in"),
        (counts.no_difference, "no difference is shown in"),
        (counts.hurts, "DCAL hurts in"),
        (counts.open, "not finished are"),
    )
    return ", ".join(f"{words} {count}" for count, words in parts if count)


def _rule(found: Headline) -> str:
    reasons = ", ".join(f"{reason} ({count})" for reason, count in found.open_reasons.items())
    return (
        "A comparison is a dataset and a backbone, decided in top-1 or mAP by the 95 % interval of the gain."
        + (f" Why some are open: {reasons}." if reasons else "")
    )


def _rule_of_these_runs() -> str:
    return (
        "A comparison is a dataset and a backbone, judged in top-1 or mAP by the 95 % interval of the gain over the "
        "test images of these runs."
    )
