"""The ablations' page: tables, figures, the selection finding, overhead, how rows were trained and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.config.ablations import ROWS
from reports.ablations import run_tables, sweep_figure
from reports.ablations.inputs import Gathered
from reports.page import commands_to_run, costs, html_table
from reports.page.comparisons import side_sheet
from reports.page.figures import Figure
from reports.page.html_table import MARK, Sheet
from reports.page.index_page import EXPORTS
from tables import states
from tables.ablations import selection_table
from tables.ablations.layout import TERMS
from tables.ablations.tables import INTERVAL_RULE, Curve
from tables.formats import one_line, percent
from tables.layout import TableLayout
from tables.records import seeds_text
from tables.side_tables import OVERHEAD_NOTE, overhead_table
from tables.table import Table

FIGURES = "figures"
_LOOKS = {"yes": "yes", "hurts": "hurts", "no difference shown": "no-difference", "open": "state"}
_UP = "../../"  # from the page to the profile's folder


@dataclass(frozen=True)
class Group:
    """A section of the page. figure: of a sweep, with its files and what it lacks. selects: whether it is about the
    selection of local queries; first: whether it is the first of these, where the finding stands.
    """

    key: str
    title: str
    sheets: tuple[Sheet, ...]
    figure: Figure | None
    downloads: tuple[tuple[str, str], ...]
    figure_notes: tuple[str, ...]
    selects: bool
    first: bool


def write(gathered: Gathered, folder: Path, written: str) -> None:
    """Write index.html with its figures into a folder that has the assets. written: when, in words."""
    (folder / FIGURES).mkdir()
    text = html_table.page("ablations.html", mark=MARK, root="", written=written, **_values(gathered, folder))
    (folder / "index.html").write_text(text, encoding="utf-8")


def _values(gathered: Gathered, folder: Path) -> dict[str, object]:
    asked, laid_out = gathered.asked, gathered.laid_out
    layout, runs = laid_out.layout, gathered.merged.runs
    lacking = [run for run in runs if run.state != "done"]
    counted = overhead_table(laid_out.overheads)
    beside = selection_table.selection_table(laid_out.selection)
    to_run = [run for run in lacking if run.state not in ("running", "queued", "unknown")]
    return {
        "profile": asked.profile,
        "seeds": seeds_text(asked.seeds),
        "warning": layout.warning,
        "terms": TERMS,
        "report": _UP + "report/index.html" if (asked.root / "report" / "index.html").is_file() else "",
        "done": len(runs) - len(lacking),
        "total": len(runs),
        "groups": _groups(gathered, folder),
        "finding": {
            "title": selection_table.LIST_TITLE,
            "claim": selection_table.CLAIM,
            "text": selection_table.FINDING,
            "measured": selection_table.sentences(laid_out.selection),
            "sheet": side_sheet(layout, beside, "selection") if beside else None,
            "legend": selection_table.LEGEND,
            "digests": selection_table.digests(laid_out.selection),
        },
        "overhead": side_sheet(layout, counted, "overhead") if counted else None,
        "overhead_note": OVERHEAD_NOTE,
        "settings": run_tables.settings_sheet(runs),
        "shared": run_tables.shared(runs),
        "costs": costs.sentences(gathered.costs),
        "runs": run_tables.sheet(gathered.costs) if gathered.costs.runs else None,
        "lacking": states.state_list(layout.summary),
        "commands": commands_to_run.ablations(asked, to_run, len({run.cell for run in runs})),
        "notes": layout.notes[len(TERMS) :],  # the terms stand on top
        "conflicts": layout.conflicts,
        "header": layout.header,
        "files": _files(gathered),
    }


def _groups(gathered: Gathered, folder: Path) -> list[Group]:
    layout = gathered.laid_out.layout
    curves = {f"Sweep: {curve.sweep.label}": curve for curve in gathered.curves}
    drawn = [curve for curve in gathered.curves if curve.points]
    limits = sweep_figure.common_limits(drawn) if drawn else (0.0, 100.0)
    groups, explained = [], False
    for number, (title, tables) in enumerate(gathered.laid_out.tables.items()):
        key = f"group-{number}"
        sheets = tuple(_sheet(layout, table, title, f"{key}-{place}") for place, table in enumerate(tables))
        figure, downloads, notes = None, (), ()
        if title in curves:
            figure, downloads, notes = _figure(curves[title], limits, gathered, folder)
        selects = _selects(gathered, title)
        groups.append(Group(key, title, sheets, figure, downloads, notes, selects, selects and not explained))
        explained = explained or selects
    return groups


def _sheet(layout: TableLayout, table: Table, group: str, key: str) -> Sheet:
    """A table of the group, verdicts coloured; the heading above it names the group already."""
    about = table.title.removeprefix(group).removeprefix(": ") or "beside the baseline"
    found = side_sheet(layout, table, key)
    rows = tuple(
        tuple(
            replace(entry, look=f"verdict {_LOOKS[entry.text]}") if entry.text in _LOOKS else entry
            for entry in row
        )
        for row in found.rows
    )
    return replace(found, caption=about[0].upper() + about[1:], rows=rows)


def _selects(gathered: Gathered, title: str) -> bool:
    """Whether a row of the group is compared in the finding."""
    compared = {found.run.cell.id for found in gathered.laid_out.selection if not found.can_matter}
    return any(row.group == title and row.cell in compared for row in ROWS)


def _figure(
    curve: Curve, limits: tuple[float, float], gathered: Gathered, folder: Path
) -> tuple[Figure | None, tuple[tuple[str, str], ...], tuple[str, ...]]:
    """The figure on the page, its files, and what it lacks."""
    lacking = (f"Not done: {', '.join(curve.lacking)}.",) if curve.lacking else ()
    if not curve.points:
        return None, (), ("No run of this sweep is done.",)
    stem = f"accuracy-{curve.sweep.name}"
    for kind, content in sweep_figure.draw(curve, limits, _warning(curve, gathered)).items():
        (folder / FIGURES / f"{stem}.{kind}").write_bytes(content)
    shown = "; ".join(f"{point.x:g}: {percent(point.mean)} %" for point in curve.points)
    baseline = (
        f" Baseline: {percent(curve.baseline.mean)} %." if curve.baseline else " The baseline is not done."
    )
    alt = f"Accuracy against {curve.sweep.label}. {shown}.{baseline}"
    caption = f"Mean over {seeds_text(_seeds(curve))}, last epoch of each run. {INTERVAL_RULE}."
    reasons = dict.fromkeys(
        point.reason for point in (*curve.points, curve.baseline) if point and point.reason
    )
    notes = (*lacking, *_unequal(curve), *(f"A point without interval: {reason}." for reason in reasons))
    figure = Figure(f"{FIGURES}/{stem}.svg", alt, caption, *sweep_figure.SHOWN)
    downloads = tuple((kind.upper(), f"{FIGURES}/{stem}.{kind}") for kind in sweep_figure.KINDS)
    return figure, downloads, notes


def _warning(curve: Curve, gathered: Gathered) -> str:
    """What has to stand in the figure itself, which is pasted elsewhere without the page's warning; "" for nothing."""
    summary, dataset = gathered.laid_out.layout.summary, curve.sweep.baseline.partition("/")[0]
    own = [cell for cell in summary.cells.values() if cell.cell.dataset == dataset and cell.measured.n]
    if not summary.comparable or not all(cell.comparable_data for cell in own):
        return f"profile {one_line(gathered.asked.profile)}: NOT comparable with the paper's numbers"
    changed = one_line(gathered.asked.overrides)
    return f"another reading of the paper's recipe: {changed}" if changed else ""


def _seeds(curve: Curve) -> Sequence[int]:
    return sorted({seed for point in curve.points for seed in point.seed_values})


def _unequal(curve: Curve) -> tuple[str, ...]:
    """Which points are of which seeds, where not all are of the same: then a step between two may be the seeds'."""
    found = [(f"{curve.sweep.name} = {point.x:g}", tuple(point.seed_values)) for point in curve.points]
    found += [("the baseline", tuple(curve.baseline.seed_values))] if curve.baseline else []
    names: dict[tuple[int, ...], list[str]] = {}
    for name, seeds in found:
        names.setdefault(seeds, []).append(name)
    if len(names) < 2:
        return ()
    told = "; ".join(f"{', '.join(of)} of {seeds_text(seeds)}" for seeds, of in names.items())
    return (f"Not all of the same seeds, so differences may be those of the seeds: {told}.",)


def _files(gathered: Gathered) -> list[tuple[str, str]]:
    """The exports of ``make ablations`` that are there, relative to the page."""
    folder = gathered.asked.root / "tables"
    return [
        (name, f"{_UP}tables/ablations.{suffix}")
        for suffix, name in EXPORTS.items()
        if (folder / f"ablations.{suffix}").is_file()
    ]
