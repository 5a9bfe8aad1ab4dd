"""The first page: headline, tables, costs, open readings."""

from __future__ import annotations

import os
from pathlib import Path

from reports.ablations.inputs import PLACE, Gathered
from reports.page import cost_tables, open_readings, render
from reports.page.comparisons import table_sheet
from reports.page.headline import in_short
from reports.page.inputs import Asked, Material
from reports.page.paper_layout import main_sheet, side_sheet
from reports.page.site import MARK
from tables.headline import headline
from tables.layout import Layout
from tables.records import seeds_text

NAMES = {"table1": "Table 1", "table2": "Table 2", "extras": "More backbones"}
EXPORTS = {"html": "HTML", "md": "Markdown", "tex": "LaTeX", "csv": "CSV"}


def index(material: Material, written: str, ablations: Gathered | None) -> str:
    """index.html. written: when, in words. ablations: None where none is run."""
    layouts, costs = material.layouts, material.costs
    comparable = any(layout.summary.comparable for layout in layouts.values())
    return render.page(
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
        "rows": len(found.laid_out.found.rows),
    }


def _warnings(material: Material) -> list[str]:
    """Those of all tables, each once; one that another continues is left out."""
    found = list(dict.fromkeys(layout.warning for layout in material.layouts.values() if layout.warning))
    return [text for text in found if not any(other != text and other.startswith(text) for other in found)]


def _table(layout: Layout, asked: Asked) -> dict[str, object]:
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
