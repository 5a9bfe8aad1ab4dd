"""``python -m reports heatmap``: where a model looks in any picture, with any checkpoint or timm's own weights.

--image bird.jpg --cell cub/deit_tiny                 baseline and DCAL of a finished pair, side by side
--image bird.jpg --cell cub/deit_tiny/dcal            one of them
--image bird.jpg --cell cub/deit_tiny --checkpoint F  another checkpoint of the same architecture
--image bird.jpg --tag deit_tiny_patch16_224.fb_in1k  timm's own weights, from WEIGHTS or the hub
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection
from pathlib import Path

from benchmark.commands import options
from benchmark.config import resolve
from benchmark.config.grid import Cell, select
from benchmark.errors import RunError, SettingsError
from benchmark.records import run_settings
from benchmark.records.status import RunView
from reports.heatmaps import run_pairs
from reports.heatmaps.run_pairs import no_class_token


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Picture, model, blocks, places."""
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, __doc__.partition("\n\n")[2]
    options.add_common(parser)
    run_pairs.add_layers(parser)
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
    """Draw, and print where the figure is and what the model says."""
    picture = _picture(arguments.image)
    layers = run_pairs.layers(arguments.layers)
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
    first = options.folders(str(arguments.runs))[0]
    out = options.absolute(arguments.out) or first / arguments.profile / "figures"
    from reports.heatmaps.any_image import draw

    if arguments.tag:
        from reports.heatmaps.networks import plain

        size = _size(arguments.size)
        networks = {"baseline": plain(arguments.tag, options.absolute(arguments.weights) or "hub", size)}
        name, title, warning = arguments.tag, arguments.tag, "The whole picture is resized to the input."
    else:
        networks, name, title, warning = _of_cell(arguments)
    blocks = f"_blocks{layers[0]}-{layers[1]}" if layers else ""
    stem = out / f"{_safe(picture.stem)}_{_safe(name)}{blocks}"
    for line in draw(
        picture, networks, title, warning, stem, layers, retrieval=_is_retrieval(arguments.cell)
    ):
        print(line)
    return 0


def _picture(text: str) -> Path:
    if not text:
        raise SettingsError("which picture? --image bird.jpg (IMAGE=bird.jpg)")
    return options.picture(text)


def _of_cell(arguments: argparse.Namespace) -> tuple[dict, str, str, str]:
    """Networks by method, a name for the file, the figure's title, and a warning about its numbers."""
    cells = _cells(arguments.cell)
    seeds = options.seeds(arguments.seeds)
    if len(seeds) != 1:
        raise SettingsError(f"SEEDS={arguments.seeds!r}: one picture is drawn with the models of one seed")
    name = f"{arguments.cell.replace('/', '_')}_seed{seeds[0]}"
    if arguments.checkpoint:
        from reports.heatmaps.networks import of_checkpoint

        profile = resolve.load_profile(arguments.profile)
        overrides = resolve.parse_overrides(arguments.overrides)
        settings = resolve.resolve(cells[-1], seeds[0], profile, overrides)
        network = of_checkpoint(options.absolute(arguments.checkpoint), settings)
        method = "dcal" if network.has_glca else "baseline"
        if method not in (cell.method for cell in cells):
            raise RunError(
                f"{arguments.checkpoint} is of method {method}; expected a checkpoint of {arguments.cell}"
            )
        return (
            {method: network},
            f"{name}_{arguments.checkpoint.stem}",
            f"{arguments.cell} · profile {arguments.profile} · {network.label}",
            _warning(arguments.profile, overrides),
        )
    from reports.heatmaps.networks import of_run

    runs = _runs(arguments, cells)
    title = f"{arguments.cell} · profile {arguments.profile} · seed {seeds[0]}"
    changed = {name: None for run in runs for name in run_settings.changed_settings(run.config)}
    warning = _warning(arguments.profile, changed)
    return {run.cell.method: of_run(run) for run in runs}, name, title, warning


def _warning(profile: str, changed: Collection[str]) -> str:
    """That a figure's model is not of the paper's recipe, or "". changed: settings that are not the profile's."""
    if resolve.is_comparable(profile, changed):
        return ""
    return f"Profile {profile}{' with settings changed' if changed else ''}: not the paper's recipe."


def _cells(text: str) -> tuple[Cell, ...]:
    cells = select([text])
    if len({(cell.dataset, cell.backbone) for cell in cells}) > 1:
        raise SettingsError(
            f"CELL={text!r} is {len(cells)} cells: expected one, or one pair like cub/deit_tiny"
        )
    if reason := no_class_token(cells[0].backbone):
        raise SettingsError(f"CELL={text!r} cannot be looked into: {reason}")
    return cells


def _runs(arguments: argparse.Namespace, cells: tuple[Cell, ...]) -> list[RunView]:
    """The finished runs of these cells, with the settings that they were made with.

    Raises RunError where one is not done or two were made with different settings, SettingsError for a SET that
    contradicts one.
    """
    from benchmark.records import merge

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


def _is_retrieval(cell: str) -> bool:
    return bool(cell) and _cells(cell)[0].task == "reid"


def _size(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    match = re.fullmatch(r"(\d+)x(\d+)", text)
    if not match:
        raise SettingsError(f"--size {text!r}: expected height and width like 224x224")
    return int(match[1]), int(match[2])


def _safe(text: str) -> str:
    """A part of a file name from foreign text."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.")[:80] or "picture"
