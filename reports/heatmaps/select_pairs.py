"""Which pairs and which blocks a command line asks for (no torch)."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import replace
from pathlib import Path

from benchmark.commands import options
from benchmark.errors import SettingsError
from benchmark.records import merge, recorded
from reports.heatmaps.run_pairs import RunPair, pairs_of


def add_pairs(parser: argparse.ArgumentParser) -> None:
    """Cells, seeds, blocks, place of the figures."""
    parser.add_argument(
        "--cells", default="", help="patterns dataset/backbone, separated by spaces; none: all"
    )
    parser.add_argument(
        "--seeds", default="0", help="whole numbers; figures are of the first seed that is done"
    )
    add_layers(parser)
    parser.add_argument(
        "--out", type=Path, default=None, help="folder of the figures; none: RUNS/PROFILE/figures"
    )


def add_layers(parser: argparse.ArgumentParser) -> None:
    """Which blocks are rolled out."""
    parser.add_argument(
        "--layers", default="", help="blocks of the rollout, 1-11; none: those before GLCA's own"
    )


def layers(text: str) -> tuple[int, int] | None:
    """``"1-11"`` to (1, 11); None for "". Raises SettingsError for anything else.

    Which blocks there are the model knows.
    """
    if not text.strip():
        return None
    match = re.fullmatch(r"\s*(\d+)(?:\s*-\s*(\d+))?\s*", text)
    if not match:
        raise SettingsError(f"LAYERS={text!r}: expected blocks like 1-11, counted from 1")
    return int(match[1]), int(match[2] or match[1])


def pairs(arguments: argparse.Namespace) -> list[RunPair]:
    """One pair of runs for every dataset and backbone asked for: the first seed that can be drawn, else the first.

    Backbones without a class token are named and left out. Raises SettingsError for patterns that match no pair or
    only such backbones, and as ``merge.collect``.
    """
    every = all_pairs(arguments)
    if not every:
        raise SettingsError(
            f"CELLS={arguments.cells!r} names no pair of baseline and DCAL: expected patterns like 'cub/deit_tiny'"
        )
    if all(pair.unseen for pair in every):
        raise SettingsError(f"CELLS={arguments.cells!r}: {every[0].unseen}")
    for line in dict.fromkeys(
        f"{pair.folder.name}: left out: {pair.unseen}" for pair in every if pair.unseen
    ):
        print(line, file=sys.stderr)
    every = [pair for pair in every if not pair.unseen]
    by_folder: dict[Path, list[RunPair]] = {}
    for pair in every:
        by_folder.setdefault(pair.folder, []).append(pair)
    return [next((p for p in several if not p.why_not()), several[0]) for several in by_folder.values()]


def all_pairs(arguments: argparse.Namespace) -> list[RunPair]:
    """Every pair asked for, of every seed; finished runs with the settings that they were made with.

    Raises SettingsError for a SET that contradicts one of them.
    """
    folders = options.folders(str(arguments.runs))
    merged = merge.collect(
        folders,
        profile=arguments.profile,
        seeds=options.seeds(arguments.seeds),
        patterns=tuple("/".join(pattern.split("/")[:2]) for pattern in options.patterns(arguments.cells)),
        as_recorded=True,
        data_dir=options.absolute(arguments.data),
        weights_dir=options.absolute(arguments.weights),
    )
    done = [(run.folder, run.config) for run in merged.runs if run.result is not None]
    recorded.require_agreement(arguments.overrides, done)
    found = pairs_of(merged, folders[0] / arguments.profile)
    out = options.absolute(arguments.out)
    if out is None:
        return found
    return [
        replace(pair, folder=out / pair.baseline.cell.dataset / pair.baseline.cell.backbone) for pair in found
    ]
