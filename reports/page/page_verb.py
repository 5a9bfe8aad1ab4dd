"""``python -m reports page``: write the report of the runs on disk. Trains nothing."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from benchmark import options
from reports.page.material import Asked, gather, seeds_on_disk


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Profile, places, seeds, and whether heatmaps are drawn."""
    options.add_common(parser)
    parser.add_argument("--seeds", default="", help="whole numbers; none: every seed that has a run folder")
    parser.add_argument(
        "--pictures",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="draw missing heatmaps of finished pairs, from checkpoints; without: records alone, no torch",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the report and say where it lies and what it lacks. Runs that failed are shown, not an error."""
    from reports.page import pages, pictures
    from reports.page.site import write_site

    folders = options.folders(str(arguments.runs))
    asked = Asked(
        profile=arguments.profile,
        folders=folders,
        seeds=options.seeds(arguments.seeds)
        if arguments.seeds.strip()
        else seeds_on_disk(folders, arguments.profile),
        overrides=arguments.overrides,
        data=options.absolute(arguments.data),
        weights=options.absolute(arguments.weights),
    )
    material = gather(asked)
    reasons = pictures.reasons(material, draw=arguments.pictures)
    gaps: list[str] = []
    folder = asked.root / "report"

    def fill(beside: Path) -> None:
        gaps.extend(pages.write_pages(material, reasons, beside, thumbnails=arguments.pictures))

    write_site(folder, fill)
    states = Counter(run.state for run in material.merged.runs)
    print(
        f"{sum(states.values())} runs: {', '.join(f'{count} {state}' for state, count in states.most_common())}"
    )
    for line in gaps:
        print(f"not filled: {line}", file=sys.stderr)
    print(f"written: {folder / 'index.html'}")
    return 0
