"""``python -m reports overlay``: where a trained model looks in pictures, as `benchmark predict` shows them."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmark.commands import options
from benchmark.errors import SettingsError
from reports.heatmaps import run_pairs
from reports.heatmaps.run_pairs import no_class_token


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Pictures, each with its figure, and the model."""
    parser.add_argument(
        "--model", type=Path, required=True, help="a finished run's folder, or a saved .safetensors file"
    )
    parser.add_argument(
        "--image", action="append", type=Path, required=True, help="a picture; may be given again"
    )
    parser.add_argument(
        "--out", action="append", type=Path, required=True, help="its figure, .png; a .pdf lies beside"
    )
    run_pairs.add_layers(parser)


def run(arguments: argparse.Namespace) -> int:
    """Draw the rollout over each picture, with GLCA's attention and queries where the model has them."""
    if len(arguments.image) != len(arguments.out):
        raise SettingsError(
            f"{len(arguments.image)} pictures and {len(arguments.out)} figures: each --image needs its --out"
        )
    layers = run_pairs.layers(arguments.layers)
    from benchmark.config.resolve import is_comparable
    from benchmark.inference.predict import picture_reader
    from benchmark.inference.trained import load_trained
    from benchmark.records.run_settings import changed_settings
    from reports.heatmaps.any_image import draw
    from reports.heatmaps.networks import Network

    trained = load_trained(options.absolute(arguments.model))
    cell, profile = trained.config.cell, trained.config.profile
    if reason := no_class_token(cell.backbone):
        raise SettingsError(f"{arguments.model} cannot be looked into: {reason}")
    network = Network(
        trained.model,
        picture_reader(trained),
        trained.prepare(),
        trained.config.run_id,
        trained.result["final_weights_sha256"],
        trained.classes,
    )
    changed = changed_settings(trained.config)
    recipe = f"Profile {profile}{' with settings changed' if changed else ''}"
    warning = "" if is_comparable(profile, changed) else f"{recipe}: not the paper's recipe."
    for image, figure in zip(arguments.image, arguments.out, strict=True):
        lines = draw(
            options.absolute(image),
            {"baseline" if cell.method == "baseline" else "dcal": network},
            f"{trained.config.run_id} · profile {profile}",
            warning,
            options.absolute(figure).with_suffix(""),
            layers,
            retrieval=cell.task == "reid",
        )
        print("\n".join(line for line in lines if line.startswith("written: ")))
    return 0
