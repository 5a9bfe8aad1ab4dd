"""``python -m reports page``: write the report of the runs on disk. Trains nothing."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmark.config.grid import METHODS
from benchmark.config.variants import VARIANTS
from benchmark.errors import SettingsError
from benchmark.records.provenance import now
from benchmark.records.status import RunView, state_counts
from reports.ablations.inputs import Gathered
from reports.ablations.inputs import gather as gather_ablations
from reports.page import attention, cell_page, errors, figures, html_table, inputs
from reports.page.cell_page import Figures
from reports.page.comparisons import page_of, pair_title
from reports.page.errors import Pictures
from reports.page.index_page import index
from reports.page.inputs import Material, Pair, gather


def write_pages(
    material: Material,
    heatmaps: Mapping[Pair, str],
    folder: Path,
    ablations: Gathered | None = None,
    *,
    thumbnails: bool,
) -> list[str]:
    """Write the index, a page a pair, and their files. heatmaps: pair → why it has none, or "". ablations: what the
    index says of them, None where none is run. thumbnails: show pictures of confused classes, from the datasets.

    Returns one line for each section that could not be filled on the page of a pair with a finished run.
    """
    for name in ("cells", "figures", "assets"):
        (folder / name).mkdir()
    for asset in sorted(html_table.ASSETS.iterdir()):
        shutil.copyfile(asset, folder / "assets" / asset.name)
    written = f"{now()[:16].replace('T', ' ')} UTC"
    gaps: dict[str, list[str]] = {}
    finished = 0
    for pair, runs in material.pairs.items():
        wrong = errors.errors(runs)
        looks = figures.take_heatmaps(material.asked, pair, heatmaps[pair], folder / "figures")
        measured = attention.attention(material.asked, pair, runs)
        if not _comparable(runs):  # no command could fill these sections yet
            looks, measured = replace(looks, command=""), replace(measured, command="")
        made = Figures(
            figures.draw_curves(runs, pair, folder / "figures"),
            looks,
            measured,
            wrong,
            errors.pictures(wrong.confused, runs, material.merged, pair, folder / "figures")
            if thumbnails
            else Pictures(),
        )
        _write(folder / page_of(*pair), cell_page.cell(material, pair, made, written))
        if any(run.result is not None for run in runs):
            finished += 1
            for section, reason in _unfilled(made):
                gaps.setdefault(section, []).append(f"{pair_title(*pair)}: {reason}")
    _write(folder / "index.html", index(material, written, ablations))
    return [f"{section} on {len(of)} of {finished} pages, first {of[0]}" for section, of in gaps.items()]


def _comparable(runs: Sequence[RunView]) -> bool:
    """Whether both methods are done with one seed."""
    seeds = {
        method: {run.seed for run in runs if run.cell.method == method and run.result is not None}
        for method in METHODS
    }
    return bool(set.intersection(*seeds.values()))


def _unfilled(made: Figures) -> list[tuple[str, str]]:
    """Sections without what they are for, each with the first reason."""
    found = []
    for section, there, reasons in (
        ("curves", made.curves.figure, made.curves.notes),
        ("heatmaps", made.heatmaps.figures, made.heatmaps.notes),
        ("attention", made.attention.sheet, made.attention.notes),
        ("errors", made.errors.sheets, made.errors.notes),
    ):
        if not there:
            found.append((section, next(iter(reasons), "nothing recorded")))
    return found


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Profile, places, seeds, and whether heatmaps are drawn."""
    inputs.add_arguments(parser)
    parser.add_argument(
        "--pictures",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="draw missing heatmaps of finished pairs, from checkpoints; without: records alone, no torch",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the report and say where it lies and what it lacks. Runs that failed are shown, not an error."""
    from reports.ablations import command
    from reports.page import figures
    from reports.page.html_table import write_site

    asked = inputs.asked_for(arguments)
    material = gather(asked)
    reasons = figures.reasons(material, draw=arguments.pictures)
    gaps: list[str] = []
    folder = asked.root / "report"
    ablations = _ablations(arguments)

    def fill(beside: Path) -> None:
        gaps.extend(write_pages(material, reasons, beside, ablations, thumbnails=arguments.pictures))

    write_site(folder, fill)
    if ablations is not None:
        command.write(ablations)
    runs = material.merged.runs
    print(f"{len(runs)} runs: {state_counts(run.state for run in runs)}")
    for line in gaps:
        print(f"not filled: {line}", file=sys.stderr)
    print(f"written: {folder / 'index.html'}")
    return 0


def _ablations(arguments: argparse.Namespace) -> Gathered | None:
    """The ablations, where any is run and SET makes sense for one of them; of the seeds that they have."""
    try:
        found = gather_ablations(inputs.asked_for(arguments, VARIANTS))
    except SettingsError as error:  # what is wrong for the tables, too, was refused before
        print(
            f"the ablations are left out, as these settings make no sense for them: {error}", file=sys.stderr
        )
        return None
    return found if found.started else None
