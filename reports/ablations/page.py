"""Page of the ablations: tables, figures, selection of local queries, overhead, settings and costs of the runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.config.ablations import ROWS
from reports.ablations import run_tables, sweep_figure
from reports.ablations.inputs import AblationInputs
from reports.page import commands_to_run
from reports.page.comparisons import side_table
from reports.page.costs import sentences
from reports.page.figures import Figure
from reports.page.html_table import HtmlTable, render_page
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
_VERDICT_CLASSES = {"yes": "yes", "hurts": "hurts", "no difference shown": "no-difference", "open": "state"}
_PROFILE_FOLDER = "../../"  # relative to the page


@dataclass(frozen=True)
class GroupSection:
    """A section of the page.

    figure: figure of a sweep; None without a sweep or without a run.
    downloads: files of the figure as (kind, path).
    figure_notes: what the figure lacks.
    about_selection: whether the group is about the selection of local queries.
    has_finding: whether the finding on the selection stands here; true for the first group about it.
    """

    key: str
    title: str
    tables: tuple[HtmlTable, ...]
    figure: Figure | None
    downloads: tuple[tuple[str, str], ...]
    figure_notes: tuple[str, ...]
    about_selection: bool
    has_finding: bool


def write_page(inputs: AblationInputs, folder: Path, written: str) -> None:
    """Write index.html with its figures into a folder that has the assets. written: date and time as text."""
    (folder / FIGURES).mkdir()
    text = render_page("ablations.html", root="", written=written, **_values(inputs, folder))
    (folder / "index.html").write_text(text, encoding="utf-8")


def _values(inputs: AblationInputs, folder: Path) -> dict[str, object]:
    request, ablations = inputs.request, inputs.ablation_layout
    layout, runs = ablations.layout, inputs.merged.runs
    missing = [run for run in runs if run.state != "done"]
    overhead = overhead_table(ablations.overheads)
    selection = selection_table.selection_table(ablations.selection)
    to_run = [run for run in missing if run.state not in ("running", "queued", "unknown")]
    return {
        "profile": request.profile,
        "seeds": seeds_text(request.seeds),
        "warning": layout.warning,
        "terms": TERMS,
        "report": _PROFILE_FOLDER + "report/index.html"
        if (request.root / "report" / "index.html").is_file()
        else "",
        "done": len(runs) - len(missing),
        "total": len(runs),
        "groups": _groups(inputs, folder),
        "finding": {
            "title": selection_table.LIST_TITLE,
            "claim": selection_table.CLAIM,
            "text": selection_table.FINDING,
            "measured": selection_table.sentences(ablations.selection),
            "table": side_table(layout, selection, "selection") if selection else None,
            "legend": selection_table.LEGEND,
            "digests": selection_table.digests(ablations.selection),
        },
        "overhead": side_table(layout, overhead, "overhead") if overhead else None,
        "overhead_note": OVERHEAD_NOTE,
        "settings": run_tables.settings_table(runs),
        "shared": run_tables.shared_settings(runs),
        "costs": sentences(inputs.costs),
        "runs": run_tables.runs_table(inputs.costs) if inputs.costs.runs else None,
        "missing": states.state_list(layout.summary),
        "commands": commands_to_run.ablation_commands(request, to_run, len({run.cell for run in runs})),
        "notes": layout.notes[len(TERMS) :],  # without the terms, which stand on top of the page
        "conflicts": layout.conflicts,
        "header": layout.header,
        "files": _files(inputs),
    }


def _groups(inputs: AblationInputs, folder: Path) -> list[GroupSection]:
    layout = inputs.ablation_layout.layout
    curves = {f"Sweep: {curve.sweep.label}": curve for curve in inputs.curves}
    measured = [curve for curve in inputs.curves if curve.points]
    limits = sweep_figure.common_limits(measured) if measured else (0.0, 100.0)
    groups, has_finding = [], False
    for number, (title, tables) in enumerate(inputs.ablation_layout.tables.items()):
        key = f"group-{number}"
        html_tables = tuple(
            _group_table(layout, table, title, f"{key}-{index}") for index, table in enumerate(tables)
        )
        figure, downloads, notes = None, (), ()
        if title in curves:
            figure, downloads, notes = _figure(curves[title], limits, inputs, folder)
        selection = _is_about_selection(inputs, title)
        groups.append(
            GroupSection(
                key, title, html_tables, figure, downloads, notes, selection, selection and not has_finding
            )
        )
        has_finding = has_finding or selection
    return groups


def _group_table(layout: TableLayout, table: Table, group: str, key: str) -> HtmlTable:
    """Show a table of a group with coloured verdicts; its caption leaves out the group's title."""
    caption = table.title.removeprefix(group).removeprefix(": ") or "compared with the baseline"
    result = side_table(layout, table, key)
    rows = tuple(
        tuple(
            replace(cell, css_class=f"verdict {_VERDICT_CLASSES[cell.text]}")
            if cell.text in _VERDICT_CLASSES
            else cell
            for cell in row
        )
        for row in result.rows
    )
    return replace(result, caption=caption[0].upper() + caption[1:], rows=rows)


def _is_about_selection(inputs: AblationInputs, title: str) -> bool:
    """Return whether the finding on the selection compares a row of the group."""
    compared = {row.run.cell.id for row in inputs.ablation_layout.selection if not row.can_matter}
    return any(row.group == title and row.cell in compared for row in ROWS)


def _figure(
    curve: Curve, limits: tuple[float, float], inputs: AblationInputs, folder: Path
) -> tuple[Figure | None, tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Draw a sweep; return the figure, its files, and notes on what it lacks."""
    missing = (f"Not done: {', '.join(curve.lacking)}.",) if curve.lacking else ()
    if not curve.points:
        return None, (), ("No run of this sweep is done.",)
    stem = f"accuracy-{curve.sweep.name}"
    for kind, content in sweep_figure.draw(curve, limits, _warning(curve, inputs)).items():
        (folder / FIGURES / f"{stem}.{kind}").write_bytes(content)
    points = "; ".join(f"{point.x:g}: {percent(point.mean)} %" for point in curve.points)
    baseline = (
        f" Baseline: {percent(curve.baseline.mean)} %." if curve.baseline else " The baseline is not done."
    )
    seeds = sorted({seed for point in curve.points for seed in point.seed_values})
    alt = f"Accuracy against {curve.sweep.label}. {points}.{baseline}"
    caption = f"Mean over {seeds_text(seeds)}, last epoch of each run. {INTERVAL_RULE}."
    reasons = dict.fromkeys(
        point.reason for point in (*curve.points, curve.baseline) if point and point.reason
    )
    notes = (
        *missing,
        *_unequal_seeds(curve),
        *(f"A point without interval: {reason}." for reason in reasons),
    )
    figure = Figure(f"{FIGURES}/{stem}.svg", alt, caption, *sweep_figure.PAGE_SIZE)
    downloads = tuple((kind.upper(), f"{FIGURES}/{stem}.{kind}") for kind in sweep_figure.KINDS)
    return figure, downloads, notes


def _warning(curve: Curve, inputs: AblationInputs) -> str:
    """Return the warning inside the figure, which is used without the page as well; "" for none."""
    summary, dataset = inputs.ablation_layout.layout.summary, curve.sweep.baseline.partition("/")[0]
    measured = [cell for cell in summary.cells.values() if cell.cell.dataset == dataset and cell.measured.n]
    if not summary.comparable or not all(cell.comparable_data for cell in measured):
        return f"profile {one_line(inputs.request.profile)}: NOT comparable with the paper's numbers"
    changed = one_line(inputs.request.overrides)
    return f"another reading of the paper's recipe: {changed}" if changed else ""


def _unequal_seeds(curve: Curve) -> tuple[str, ...]:
    """Return a note if points have different seeds, because their differences may then come from the seeds."""
    points = {f"{curve.sweep.name} = {point.x:g}": point for point in curve.points}
    points |= {"the baseline": curve.baseline} if curve.baseline else {}
    names: dict[tuple[int, ...], list[str]] = {}
    for name, point in points.items():
        names.setdefault(tuple(point.seed_values), []).append(name)
    if len(names) < 2:
        return ()
    text = "; ".join(f"{', '.join(group)} of {seeds_text(seeds)}" for seeds, group in names.items())
    return (f"Not all of the same seeds, so differences may be those of the seeds: {text}.",)


def _files(inputs: AblationInputs) -> list[tuple[str, str]]:
    """List the existing exports of ``make ablations`` as (format, path relative to the page)."""
    folder = inputs.request.root / "tables"
    return [
        (name, f"{_PROFILE_FOLDER}tables/ablations.{suffix}")
        for suffix, name in EXPORTS.items()
        if (folder / f"ablations.{suffix}").is_file()
    ]
