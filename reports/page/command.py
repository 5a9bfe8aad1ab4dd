"""``python -m reports page``: write the report of the runs on disk. Trains nothing."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmark.config.variants import VARIANTS
from benchmark.errors import SettingsError
from benchmark.records.status import state_counts
from reports.ablations.inputs import Gathered
from reports.ablations.inputs import gather as gather_ablations
from reports.page import options
from reports.page.inputs import gather


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Profile, places, seeds, and whether heatmaps are drawn."""
    options.add_arguments(parser)
    parser.add_argument(
        "--pictures",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="draw missing heatmaps of finished pairs, from checkpoints; without: records alone, no torch",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the report and say where it lies and what it lacks. Runs that failed are shown, not an error."""
    from reports.ablations import site
    from reports.page import build, pictures
    from reports.page.site import write_site

    asked = options.asked_for(arguments)
    material = gather(asked)
    reasons = pictures.reasons(material, draw=arguments.pictures)
    gaps: list[str] = []
    folder = asked.root / "report"
    ablations = _ablations(arguments)

    def fill(beside: Path) -> None:
        gaps.extend(build.write_pages(material, reasons, beside, ablations, thumbnails=arguments.pictures))

    write_site(folder, fill)
    if ablations is not None:
        site.write(ablations)
    runs = material.merged.runs
    print(f"{len(runs)} runs: {state_counts(run.state for run in runs)}")
    for line in gaps:
        print(f"not filled: {line}", file=sys.stderr)
    print(f"written: {folder / 'index.html'}")
    return 0


def _ablations(arguments: argparse.Namespace) -> Gathered | None:
    """The ablations, where any is run and SET makes sense for one of them; of the seeds that they have."""
    try:
        found = gather_ablations(options.asked_for(arguments, VARIANTS))
    except SettingsError as error:  # what is wrong for the tables, too, was refused before
        print(
            f"the ablations are left out, as these settings make no sense for them: {error}", file=sys.stderr
        )
        return None
    return found if found.started else None
