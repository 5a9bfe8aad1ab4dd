"""``python -m reports attention``: measure how concentrated attention is, baseline against DCAL."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping

from benchmark.commands import options
from benchmark.commands.command_line import COMPLETE, INCOMPLETE
from benchmark.config.resolve import load_profile
from benchmark.errors import SuiteError
from benchmark.training import device
from reports.heatmaps import run_pairs

# name → heading of the printed table
SHOWN = {
    "entropy": "entropy (nats)",
    "effective_patches": "effective patches",
    "entropy_share": "entropy / log N",
    "top_tenth": "mass in top 10 %",
    "inside_box": "mass inside box",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Profile, places, which pairs, blocks, boxes, device."""
    options.add_common(parser)
    run_pairs.add_pairs(parser)
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
    """Measure every pair asked for; one that fails is named and does not stop the others."""
    layers, pairs = run_pairs.layers(arguments.layers), run_pairs.pairs(arguments)
    profile = load_profile(arguments.profile)
    chosen = device.choose(arguments.device, profile.name, profile.device)
    failed = []
    for pair in pairs:
        if reason := pair.why_not():
            print(f"{pair.id}: not measured: {reason}", file=sys.stderr)
            failed.append(pair.id)
            continue
        from reports.heatmaps.attention_run import NAME, measure

        compute = device.prepare(chosen, "float32", arguments.threads)
        try:
            record = measure(
                pair,
                layers=layers,
                box_side=arguments.box_side,
                where=compute.device,
                workers=arguments.workers,
            )
        except SuiteError as error:
            print(f"{pair.id}: not measured: {error}", file=sys.stderr)
            failed.append(pair.id)
            continue
        print("\n".join(table(record)))
        print(f"written: {pair.folder / NAME}.json and .npz\n")
    if not failed:
        return COMPLETE
    sys.stdout.flush()
    print(
        f"error: {len(failed)} of {len(pairs)} pairs are not measured: {', '.join(failed)}", file=sys.stderr
    )
    return INCOMPLETE


def table(record: Mapping[str, object]) -> list[str]:
    """The record as lines for a terminal."""
    first, last = record["layers"]
    lines = [f"{record['title']} · blocks {first}–{last} · {record['pictures']:,} pictures"]
    lines.append(f"{'':20}{'baseline':>10}{'DCAL':>10}{'GLCA':>10}   DCAL − baseline [95 % interval]")
    for name, found in record["measures"].items():
        gap = found["difference"]
        values = "".join(
            f"{found[who]:10.4g}" if who in found else f"{'':10}" for who in ("baseline", "dcal", "glca")
        )
        lines.append(f"{SHOWN[name]:20}{values}   {gap['mean']:+.4g} [{gap['low']:+.4g}, {gap['high']:+.4g}]")
    inside, boxes = record["measures"].get("inside_box"), record["boxes"]
    if inside:
        lines.append(
            f"boxes: {inside['uniform']:.4g} of the picture lies inside, what uniform attention has there; "
            f"{inside['pictures']:,} pictures show their box; {boxes['scaling']}; {boxes['clipped']} boxes cut"
        )
    if record["warning"]:
        lines.append(str(record["warning"]))
    return lines
