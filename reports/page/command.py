"""``python -m reports page``: write the report of the runs on disk. Nothing is trained."""

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
from reports.ablations.command import write as write_ablations
from reports.ablations.inputs import AblationInputs, read_ablations
from reports.page import html_table
from reports.page.attention import attention_section
from reports.page.cell_page import PairSections, render_pair_page
from reports.page.comparisons import pair_page, pair_title
from reports.page.errors import ExamplesSection, errors_section, examples_section
from reports.page.figures import curves_section, heatmap_reasons, heatmaps_section
from reports.page.index_page import render_index
from reports.page.inputs import Pair, ReportInputs, add_page_arguments, parse_request, read_inputs


def write_pages(
    inputs: ReportInputs,
    heatmap_reasons: Mapping[Pair, str],
    folder: Path,
    ablations: AblationInputs | None = None,
    *,
    thumbnails: bool,
) -> list[str]:
    """Write the index, one page per pair, and their files.

    heatmap_reasons: pair → why it has no heatmaps, or "".
    ablations: summarized on the index; None if no ablation has run.
    thumbnails: show pictures of confused classes, which needs the datasets.

    Returns one line for each section that is empty on the page of a pair with a finished run.
    """
    for name in ("cells", "figures", "assets"):
        (folder / name).mkdir()
    for asset in sorted(html_table.ASSETS.iterdir()):
        shutil.copyfile(asset, folder / "assets" / asset.name)
    written = f"{now()[:16].replace('T', ' ')} UTC"
    empty: dict[str, list[str]] = {}
    finished = 0
    for pair, runs in inputs.pairs.items():
        errors = errors_section(runs)
        heatmaps = heatmaps_section(inputs.request, pair, heatmap_reasons[pair], folder / "figures")
        attention = attention_section(inputs.request, pair, runs)
        if not _has_common_seed(runs):  # no command can fill these sections yet
            heatmaps, attention = replace(heatmaps, command=""), replace(attention, command="")
        sections = PairSections(
            curves_section(runs, pair, folder / "figures"),
            heatmaps,
            attention,
            errors,
            examples_section(errors.confused, runs, inputs.merged, pair, folder / "figures")
            if thumbnails
            else ExamplesSection(),
        )
        page = render_pair_page(inputs, pair, sections, written)
        (folder / pair_page(*pair)).write_text(page, encoding="utf-8")
        if any(run.result is not None for run in runs):
            finished += 1
            for section, reason in _empty_sections(sections):
                empty.setdefault(section, []).append(f"{pair_title(*pair)}: {reason}")
    (folder / "index.html").write_text(render_index(inputs, written, ablations), encoding="utf-8")
    return [
        f"{section} on {len(pages)} of {finished} pages, first {pages[0]}" for section, pages in empty.items()
    ]


def _has_common_seed(runs: Sequence[RunView]) -> bool:
    """Return whether both methods are done with the same seed."""
    seeds = {
        method: {run.seed for run in runs if run.cell.method == method and run.result is not None}
        for method in METHODS
    }
    return bool(set.intersection(*seeds.values()))


def _empty_sections(sections: PairSections) -> list[tuple[str, str]]:
    """List the sections without content, each with the first reason."""
    contents = (
        ("curves", sections.curves.figure, sections.curves.notes),
        ("heatmaps", sections.heatmaps.figures, sections.heatmaps.notes),
        ("attention", sections.attention.table, sections.attention.notes),
        ("errors", sections.errors.tables, sections.errors.notes),
    )
    return [
        (name, next(iter(reasons), "nothing recorded")) for name, content, reasons in contents if not content
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for profile, folders, seeds, and drawing of heatmaps."""
    add_page_arguments(parser)
    parser.add_argument(
        "--pictures",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="draw missing heatmaps of finished pairs, from checkpoints; without: records alone, no torch",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the report, then print its path and its empty sections. Failed runs are shown and are no error."""
    request = parse_request(arguments)
    inputs = read_inputs(request)
    reasons = heatmap_reasons(inputs, draw=arguments.pictures)
    empty: list[str] = []
    folder = request.root / "report"
    ablations = _read_ablations(arguments)

    def fill(new_folder: Path) -> None:
        empty.extend(write_pages(inputs, reasons, new_folder, ablations, thumbnails=arguments.pictures))

    html_table.write_site(folder, fill)
    if ablations is not None:
        write_ablations(ablations)
    runs = inputs.merged.runs
    print(f"{len(runs)} runs: {state_counts(run.state for run in runs)}")
    for line in empty:
        print(f"not filled: {line}", file=sys.stderr)
    print(f"written: {folder / 'index.html'}")
    return 0


def _read_ablations(arguments: argparse.Namespace) -> AblationInputs | None:
    """Read the ablation runs; None if there are none or SET does not apply to them."""
    try:
        inputs = read_ablations(parse_request(arguments, VARIANTS))
    except SettingsError as error:  # settings that are wrong for the tables as well were refused before
        print(
            f"the ablations are left out, as these settings make no sense for them: {error}", file=sys.stderr
        )
        return None
    return inputs if inputs.started else None
