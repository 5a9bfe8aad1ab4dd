"""``python -m reports overlay``: draw a trained model's attention over pictures; used by `benchmark predict`."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmark.commands import options
from benchmark.errors import SettingsError
from reports.heatmaps.run_pairs import add_layers_option, missing_class_token, parse_layers


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for the model, the pictures and their figures."""
    parser.add_argument(
        "--model", type=Path, required=True, help="a finished run's folder, or a saved .safetensors file"
    )
    parser.add_argument(
        "--image", action="append", type=Path, required=True, help="a picture; may be given again"
    )
    parser.add_argument(
        "--out", action="append", type=Path, required=True, help="its figure, .png; a .pdf lies beside"
    )
    add_layers_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Draw the rollout over each picture, with GLCA's attention and queries if the model has GLCA."""
    if len(arguments.image) != len(arguments.out):
        raise SettingsError(
            f"{len(arguments.image)} pictures and {len(arguments.out)} figures: each --image needs its --out"
        )
    layers = parse_layers(arguments.layers)
    from benchmark.inference.predict import picture_reader
    from benchmark.inference.trained import load_trained
    from benchmark.records.run_settings import changed_settings
    from reports.heatmaps.any_image import draw
    from reports.heatmaps.any_image_command import recipe_warning
    from reports.heatmaps.networks import Network

    trained = load_trained(options.absolute(arguments.model))
    cell, profile = trained.config.cell, trained.config.profile
    if reason := missing_class_token(cell.backbone):
        raise SettingsError(f"{arguments.model} cannot be looked into: {reason}")
    network = Network(
        trained.model,
        picture_reader(trained),
        trained.prepare(),
        trained.config.run_id,
        trained.result["final_weights_sha256"],
        trained.classes,
    )
    for image, figure in zip(arguments.image, arguments.out, strict=True):
        lines = draw(
            options.absolute(image),
            {"baseline" if cell.method == "baseline" else "dcal": network},
            f"{trained.config.run_id} · profile {profile}",
            recipe_warning(profile, changed_settings(trained.config)),
            options.absolute(figure).with_suffix(""),
            layers,
            retrieval=cell.task == "reid",
        )
        print("\n".join(line for line in lines if line.startswith("written: ")))
    return 0
