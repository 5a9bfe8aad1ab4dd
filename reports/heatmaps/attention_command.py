"""``python -m reports attention``: measure how concentrated attention is, for baseline and DCAL."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from benchmark.commands import options
from benchmark.commands.command_line import COMPLETE, INCOMPLETE
from benchmark.config.resolve import load_profile
from benchmark.errors import SuiteError
from benchmark.training import device
from reports.heatmaps import run_pairs

# name → heading of the printed table
HEADINGS = {
    "entropy": "entropy (nats)",
    "effective_patches": "effective patches",
    "entropy_share": "entropy / log N",
    "top_tenth": "mass in top 10 %",
    "inside_box": "mass inside box",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for profile, folders, pairs, blocks, boxes and device."""
    options.add_common(parser)
    run_pairs.add_pair_options(parser)
    parser.add_argument(
        "--box-side",
        type=options.whole_number(1),
        default=None,
        help="longest side of CUB's official pictures (500), where these are smaller",
    )
    parser.add_argument("--device", default=None, help="auto, cpu or cuda; none: as the profile says")
    parser.add_argument("--threads", type=options.whole_number(1), default=1, help="of torch, on a CPU")
    parser.add_argument("--workers", type=options.whole_number(0), default=0, help="decoding processes")


def run(arguments: argparse.Namespace) -> int:
    """Measure every selected pair; a pair that fails is reported and does not stop the others."""
    layers, pairs = run_pairs.parse_layers(arguments.layers), run_pairs.select_pairs(arguments)
    profile = load_profile(arguments.profile)
    chosen_device = device.choose(arguments.device, profile.name, profile.device)
    failed = []
    for pair in pairs:
        try:
            run_pairs.require_drawable(pair)
            from reports.heatmaps.attention_run import measure

            compute = device.prepare(chosen_device, "float32", arguments.threads)
            record = measure(
                pair,
                layers=layers,
                box_side=arguments.box_side,
                device=compute.device,
                workers=arguments.workers,
            )
        except SuiteError as error:
            print(f"{pair.id}: not measured: {error}", file=sys.stderr)
            failed.append(pair.id)
            continue
        print("\n".join(report_lines(record)))
        print(f"written: {pair.folder / run_pairs.ATTENTION}.json and .npz\n")
    if not failed:
        return COMPLETE
    sys.stdout.flush()
    print(
        f"error: {len(failed)} of {len(pairs)} pairs are not measured: {', '.join(failed)}", file=sys.stderr
    )
    return INCOMPLETE


def report_lines(record: Mapping[str, Any]) -> list[str]:
    """Format the record as lines for a terminal."""
    first, last = record["layers"]
    lines = [f"{record['title']} · blocks {first}–{last} · {record['pictures']:,} pictures"]
    lines.append(f"{'':20}{'baseline':>10}{'DCAL':>10}{'GLCA':>10}   DCAL − baseline [95 % interval]")
    for name, measure in record["measures"].items():
        difference = measure["difference"]
        values = "".join(
            f"{measure[key]:10.4g}" if key in measure else f"{'':10}" for key in ("baseline", "dcal", "glca")
        )
        interval = f"[{difference['low']:+.4g}, {difference['high']:+.4g}]"
        lines.append(f"{HEADINGS[name]:20}{values}   {difference['mean']:+.4g} {interval}")
    inside, boxes = record["measures"].get("inside_box"), record["boxes"]
    if inside:
        lines.append(
            f"boxes: {inside['uniform']:.4g} of the picture lies inside, the value of uniform attention; "
            f"{inside['pictures']:,} pictures show their box; {boxes['scaling']}; {boxes['clipped']} boxes cut"
        )
    if record["warning"]:
        lines.append(str(record["warning"]))
    return lines
