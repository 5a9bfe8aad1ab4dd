"""All pages of a report and their files, written into an empty folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmark.config.grid import METHODS
from benchmark.records.provenance import now
from benchmark.records.status import RunView
from reports.ablations.inputs import Gathered
from reports.page import attention, cell_page, errors, example_pairs, figures, render
from reports.page.cell_page import Figures
from reports.page.comparisons import page_of, pair_title
from reports.page.example_pairs import Pictures
from reports.page.index_page import index
from reports.page.inputs import Material, Pair


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
    for asset in sorted(render.ASSETS.iterdir()):
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
            example_pairs.pictures(wrong.confused, runs, material.merged, pair, folder / "figures")
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
