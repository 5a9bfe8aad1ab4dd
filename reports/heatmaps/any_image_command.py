"""``python -m reports heatmap``: attention of a model in any picture, with any checkpoint or timm's weights.

--image bird.jpg --cell cub/deit_tiny                 baseline and DCAL of a finished pair, side by side
--image bird.jpg --cell cub/deit_tiny/dcal            one of them
--image bird.jpg --cell cub/deit_tiny --checkpoint F  another checkpoint of the same architecture
--image bird.jpg --tag deit_tiny_patch16_224.fb_in1k  timm's weights, from WEIGHTS or the hub
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.commands import options
from benchmark.config import resolve
from benchmark.config.grid import Cell, select
from benchmark.errors import RunError, SettingsError
from benchmark.records import merge, run_settings
from benchmark.records.status import RunView
from reports.heatmaps.run_pairs import add_layers_option, missing_class_token, parse_layers

if TYPE_CHECKING:
    from reports.heatmaps.networks import Network


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for picture, model, blocks and folders."""
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, __doc__.partition("\n\n")[2]
    options.add_common(parser)
    add_layers_option(parser)
    parser.add_argument("--image", default="", help="any picture")
    parser.add_argument("--cell", default="", help="dataset/backbone, or dataset/backbone/method")
    parser.add_argument("--seeds", default="0", help="the run's seed")
    parser.add_argument("--checkpoint", type=Path, default=None, help="instead of the run's own")
    parser.add_argument("--tag", default="", help="timm model, instead of a cell")
    parser.add_argument(
        "--size", default="", help="input of --tag in pixels, 224x224; none: the weights' own"
    )
    parser.add_argument(
        "--out", type=Path, default=None, help="folder of the figure; none: RUNS/PROFILE/figures"
    )


def run(arguments: argparse.Namespace) -> int:
    """Draw the figure; print its path and the model's predictions."""
    if not arguments.image:
        raise SettingsError("which picture? --image bird.jpg (IMAGE=bird.jpg)")
    picture = options.picture(arguments.image)
    layers = parse_layers(arguments.layers)
    if bool(arguments.tag) == bool(arguments.cell):
        raise SettingsError(
            "which model? --cell cub/deit_tiny (CELL=…), or --tag for timm's own weights; one of the two"
        )
    if arguments.tag and arguments.checkpoint:
        raise SettingsError(
            "--checkpoint needs the --cell it was trained as; --tag is for timm's own weights (--weights)"
        )
    if arguments.size and not arguments.tag:
        raise SettingsError("--size is for --tag; a cell's pictures have its profile's size")
    runs = options.folders(str(arguments.runs))[0]
    out = options.absolute(arguments.out) or runs / arguments.profile / "figures"
    from reports.heatmaps.any_image import draw

    if arguments.tag:
        from reports.heatmaps.networks import load_timm

        size = _parse_size(arguments.size)
        weights = options.absolute(arguments.weights) or "hub"
        networks = {"baseline": load_timm(arguments.tag, weights, size)}
        name, title, warning = arguments.tag, arguments.tag, "The uncropped picture is resized to the input."
    else:
        networks, name, title, warning = _load_cell(arguments)
    blocks = f"_blocks{layers[0]}-{layers[1]}" if layers else ""
    stem = out / f"{_file_name(picture.stem)}_{_file_name(name)}{blocks}"
    retrieval = bool(arguments.cell) and _select_cells(arguments.cell)[0].task == "reid"
    print("\n".join(draw(picture, networks, title, warning, stem, layers, retrieval=retrieval)))
    return 0


def _load_cell(arguments: argparse.Namespace) -> tuple[dict[str, Network], str, str, str]:
    """Load networks by method; return them, a name for the file, the figure's title, and a warning or ""."""
    cells = _select_cells(arguments.cell)
    seeds = options.seeds(arguments.seeds)
    if len(seeds) != 1:
        raise SettingsError(f"SEEDS={arguments.seeds!r}: one picture is drawn with the models of one seed")
    name = f"{arguments.cell.replace('/', '_')}_seed{seeds[0]}"
    if arguments.checkpoint:
        from reports.heatmaps.networks import load_checkpoint

        profile = resolve.load_profile(arguments.profile)
        overrides = resolve.parse_overrides(arguments.overrides)
        settings = resolve.resolve(cells[-1], seeds[0], profile, overrides)
        network = load_checkpoint(options.absolute(arguments.checkpoint), settings)
        method = "dcal" if network.has_glca else "baseline"
        if method not in (cell.method for cell in cells):
            raise RunError(
                f"{arguments.checkpoint} is of method {method}; expected a checkpoint of {arguments.cell}"
            )
        return (
            {method: network},
            f"{name}_{arguments.checkpoint.stem}",
            f"{arguments.cell} · profile {arguments.profile} · {network.label}",
            recipe_warning(arguments.profile, overrides),
        )
    from reports.heatmaps.networks import load_run

    runs = _finished_runs(arguments, cells)
    title = f"{arguments.cell} · profile {arguments.profile} · seed {seeds[0]}"
    changed = {name: None for run in runs for name in run_settings.changed_settings(run.config)}
    warning = recipe_warning(arguments.profile, changed)
    return {run.cell.method: load_run(run) for run in runs}, name, title, warning


def recipe_warning(profile: str, changed: Collection[str]) -> str:
    """Return a warning unless a model follows the paper's recipe. changed: settings that differ from the profile."""
    if resolve.is_comparable(profile, changed):
        return ""
    return f"Profile {profile}{' with settings changed' if changed else ''}: not the paper's recipe."


def _select_cells(text: str) -> tuple[Cell, ...]:
    """Select the cells of one pair. Raises SettingsError for others, and for backbones without a class token."""
    cells = select([text])
    if len({(cell.dataset, cell.backbone) for cell in cells}) > 1:
        raise SettingsError(
            f"CELL={text!r} is {len(cells)} cells: expected one, or one pair like cub/deit_tiny"
        )
    if reason := missing_class_token(cells[0].backbone):
        raise SettingsError(f"CELL={text!r} cannot be looked into: {reason}")
    return cells


def _finished_runs(arguments: argparse.Namespace, cells: tuple[Cell, ...]) -> list[RunView]:
    """Find the finished runs of these cells, with their recorded settings.

    Raises RunError if one is not done or two have different settings, SettingsError for a SET that contradicts one.
    """
    merged = merge.collect(
        options.folders(str(arguments.runs)),
        profile=arguments.profile,
        seeds=options.seeds(arguments.seeds),
        patterns=[cell.id for cell in cells],
        as_recorded=True,
        data_dir=options.absolute(arguments.data),
        weights_dir=options.absolute(arguments.weights),
    )
    for run in merged.runs:
        if run.result is None:
            raise RunError(
                f"{run.id} is not done: {run.state}{f', {run.reason}' if run.reason else ''}; looked in "
                f"{arguments.runs}, profile {arguments.profile}. Run it, name another cell, or give a --checkpoint"
            )
    run_settings.require_agreement(arguments.overrides, [(run.folder, run.config) for run in merged.runs])
    first, last = merged.runs[0], merged.runs[-1]
    if unlike := run_settings.training_differences(first.config, last.config):
        raise RunError(
            f"{first.id} and {last.id} were made with different settings, {unlike}: draw them one by one, "
            f"CELL={first.cell.id}"
        )
    return list(merged.runs)


def _parse_size(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match:
        raise SettingsError(f"--size {text!r}: expected height and width like 224x224")
    return int(match[1]), int(match[2])


def _file_name(text: str) -> str:
    """Make a part of a file name from foreign text."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")[:80] or "picture"
