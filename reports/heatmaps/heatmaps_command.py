"""``python -m reports heatmaps``: draw baseline and DCAL on test pictures picked by a stated rule."""

from __future__ import annotations

import argparse
import sys

from benchmark.commands import options
from benchmark.commands.exit_codes import COMPLETE, INCOMPLETE
from reports.heatmaps import pick_images, select_pairs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Profile, places, which pairs, which pictures, which blocks."""
    options.add_common(parser)
    select_pairs.add_pairs(parser)
    parser.add_argument(
        "--pick",
        default=pick_images.DEFAULT,
        help="random=2,gain=1,loss=1, or list= of places or files of the test split",
    )
    parser.add_argument("--pick-seed", type=options.whole_number(0), default=0, help="of the random pictures")
    parser.add_argument("--jobs", type=options.whole_number(1), default=2, help="pairs drawn at once")


def run(arguments: argparse.Namespace) -> int:
    """Draw what is missing or shows something else; exit status 1 if a pair could not be drawn."""
    from reports.heatmaps.test_images import NAME, draw_many

    wanted = pick_images.parse(arguments.pick, arguments.pick_seed)
    layers, pairs = select_pairs.layers(arguments.layers), select_pairs.pairs(arguments)
    reasons = draw_many(pairs, arguments.jobs, wanted, layers)
    for pair in pairs:
        if reasons[pair.id]:
            print(f"{pair.id}: not drawn: {reasons[pair.id]}", file=sys.stderr)
        else:
            print(f"{pair.id}: {pair.folder / NAME}.png and .pdf")
    failed = [pair.id for pair in pairs if reasons[pair.id]]
    if not failed:
        return COMPLETE
    print(f"error: {len(failed)} of {len(pairs)} pairs are not drawn: {', '.join(failed)}", file=sys.stderr)
    return INCOMPLETE
