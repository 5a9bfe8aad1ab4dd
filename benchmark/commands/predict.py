"""`python -m benchmark predict`: what a trained model says of any picture, and where it looks.

predict --image bird.jpg --model cub/deit_tiny/dcal          the five most probable classes of each branch
predict --image a.jpg b.jpg --model model.safetensors        several pictures, a model that `export` wrote
predict --image car.jpg --model veri/vit_base/dcal --gallery FOLDER    re-identification: the nearest pictures of it
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.commands import options, select_models
from benchmark.commands.command_line import Command, whole_number
from benchmark.config.backbones import BACKBONES
from benchmark.errors import SettingsError
from benchmark.records.provenance import ROOT

if TYPE_CHECKING:
    import numpy as np

    from benchmark.inference.trained import TrainedModel
    from benchmark.training.device import Compute

TITLES = {"both": "both", "sa": "SA", "glca": "GLCA"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which pictures, which model, where the figures go."""
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, __doc__.partition("\n\n")[2]
    parser.add_argument("--image", nargs="+", required=True, help="any pictures")
    parser.add_argument("--model", required=True, metavar="RUN_OR_FILE", help=select_models.RUN_OR_FILE)
    parser.add_argument("--seeds", default="0", help="the run's seed, where --model does not end with one")
    parser.add_argument("--top", type=whole_number(1), default=5, help="how many classes, or pictures")
    parser.add_argument(
        "--gallery", type=Path, default=None, help="folder of pictures, for re-identification"
    )
    parser.add_argument(
        "--out", type=Path, default=None,
        help="overlay.png, or a folder for several pictures; none: RUNS/PROFILE/figures",
    )  # fmt: skip
    parser.add_argument("--device", default="cpu", help="cpu, cuda or auto")


def predict(arguments: argparse.Namespace) -> int:
    """Say what a trained model sees in pictures, and draw where it looks."""
    images = [options.picture(text) for text in arguments.image]
    source = select_models.one_model(arguments, arguments.model)
    from benchmark.inference.predict import picture_reader
    from benchmark.inference.reevaluate import EvaluationOptions, compute_for
    from benchmark.inference.trained import load_trained

    trained = load_trained(source)
    figures, gallery = _figures(arguments, images, trained), _gallery(arguments, trained)
    for image in images:
        picture_reader(trained)(image)  # an unreadable one is refused before anything is said of the others
    compute = compute_for(trained, EvaluationOptions(arguments.device))
    lines_by_image = _nearest(arguments, trained, images, gallery, compute) if gallery else (
        _classes(arguments, trained, image, compute) for image in images
    )  # fmt: skip
    for image, lines in zip(images, lines_by_image, strict=True):
        print(f"{image}: {trained.config.run_id}, {source}")
        print("\n".join(lines), flush=True)
    if not BACKBONES[trained.config.cell.backbone].glca:
        title = BACKBONES[trained.config.cell.backbone].title
        print(f"no overlay: {title} has no class token, where a rollout would start")
        return 0
    asks = ["overlay", "--model", str(source)]
    for image, figure in zip(images, figures, strict=True):
        asks += ["--image", str(image), "--out", str(figure)]
    return run_reports(asks)


def _figures(arguments: argparse.Namespace, images: Sequence[Path], trained: TrainedModel) -> list[Path]:
    """Where the overlay of each picture goes. Raises SettingsError where two would take one place, or a picture's."""
    out, config = options.absolute(arguments.out), trained.config
    if out is not None and out.suffix:
        if out.suffix != ".png" or len(images) > 1:
            raise SettingsError(
                f"--out {arguments.out}: expected a file .png for one picture, or a folder for several"
            )
        if out.resolve() == images[0].resolve():
            raise SettingsError(f"--out {arguments.out} is the picture itself, which it would overwrite")
        return [out]
    folder = out or options.one_folder(arguments.runs) / config.profile / "figures"
    figures = [folder / f"{image.name}_{config.run_id.replace('/', '_')}.png" for image in images]
    if twice := [image for image, place in zip(images, figures, strict=True) if figures.count(place) > 1]:
        raise SettingsError(f"two pictures are called {twice[0].name}: ask for them one by one")
    return figures


def _gallery(arguments: argparse.Namespace, trained: TrainedModel) -> Path | None:
    run, reid = trained.config.run_id, trained.config.cell.task == "reid"
    if reid and arguments.gallery is None:
        raise SettingsError(
            f"{run} is of re-identification: it names no classes of pictures it was not trained on, but finds the same "
            "one among others; --gallery FOLDER lists the nearest pictures of a folder"
        )
    if arguments.gallery and not reid:
        raise SettingsError(f"{run} names classes: --gallery is for re-identification, leave it out")
    return options.absolute(arguments.gallery)


def _nearest(
    arguments: argparse.Namespace,
    trained: TrainedModel,
    images: Sequence[Path],
    gallery: Path,
    compute: Compute,
) -> list[list[str]]:
    from benchmark.inference.predict import nearest

    head = f"  {'cosine':>7}  nearest of {gallery}"
    return [
        [head, *(f"  {value:7.4f}  {name}" for name, value in matches)]
        for matches in nearest(trained, images, gallery, arguments.top, compute)
    ]


def _classes(
    arguments: argparse.Namespace, trained: TrainedModel, image: Path, compute: Compute
) -> list[str]:
    """The most probable classes, a column a branch; of a baseline its prediction alone."""
    from benchmark.inference.predict import probabilities

    scores = probabilities(trained, image, compute)
    titles = TITLES if len(scores) > 1 else {"both": "prediction"}
    columns = [_column(trained, title, scores[branch], arguments.top) for branch, title in titles.items()]
    return ["  " + "  ".join(cells).rstrip() for cells in zip(*columns, strict=True)]


def _column(trained: TrainedModel, title: str, scores: np.ndarray, top: int) -> list[str]:
    best = (-scores).argsort(kind="stable")[:top].tolist()
    cells = [f"{scores[k]:7.2%}  {trained.classes[k] if trained.classes else f'class {k}'}" for k in best]
    width = max(len(cell) for cell in (*cells, title))
    return [f"{'':9}{title}".ljust(width), *(cell.ljust(width) for cell in cells)]


# --- What a command here has drawn: by `python -m reports` in a process of its own ---


def run_reports(arguments: Sequence[str]) -> int:
    """Run a verb of reports, its paths absolute; returns its exit status."""
    return subprocess.run([sys.executable, "-m", "reports", *arguments], cwd=ROOT).returncode


COMMANDS = {"predict": Command(predict, add_arguments)}
