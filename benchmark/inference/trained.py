"""Trained models, of a finished run's folder or of a saved file, each with what is needed to use it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

import dcal
from benchmark.atomic import explained
from benchmark.config.resolve import Config
from benchmark.data.images import TestPictures
from benchmark.data.loader import Prepare, normalise
from benchmark.errors import RunError
from benchmark.records.predictions import Predictions
from benchmark.records.recorded import config_of
from benchmark.records.run_folder import RunFolder, read_json, read_result
from benchmark.training import checkpoint
from benchmark.training.checkpoint import Randomness
from benchmark.training.models import model_of
from dcal.model import DCAL
from dcal.weights.load import WeightsError

# What a saved file keeps of a run's result; of its provenance the code alone, no machine and no command.
KEPT = (
    "run",
    "profile",
    "config_hash",
    "metrics",
    "evaluation",
    "data",
    "weights",
    "device",
    "final_weights_sha256",
)
KEPT_PROVENANCE = ("commit", "dirty", "versions")
logger = logging.getLogger("benchmark")


@dataclass(frozen=True)
class Trained:
    """A trained model and what is known of it.

    model: in eval mode, on the CPU.
    config: of the run that made it: cell and task, settings of data and training, hash.
    result: the run's result.json; of a file the parts that KEPT and KEPT_PROVENANCE name.
    classes: names by index; () for re-identification.
    source: the folder or file.
    """

    model: DCAL
    config: Config
    result: Mapping[str, object]
    classes: tuple[str, ...]
    source: Path

    @property
    def pictures(self) -> TestPictures:
        """From a picture's file to what the network sees, as in the run's own evaluation."""
        return TestPictures.of(self.config.cell.dataset, self.config.settings.data)

    def prepare(self, where: torch.device | str = "cpu") -> Prepare:
        """uint8 pictures (B, h, w, 3) to the model's normalised input."""
        return normalise(self.model, torch.device(where), self.config.settings.data.normalise)


def load_trained(path: Path) -> Trained:
    """The model of a finished run's folder, or of a .safetensors file that ``python -m benchmark export`` wrote.

    Raises RunError for a run that is not finished, weights that are missing, damaged or not the record's, and a file
    that is no such file or knows no run.
    """
    path = Path(path).resolve()
    if path.is_dir():
        return of_folder(RunFolder(path))
    if not path.exists():
        raise RunError(f"{path}: no such run folder or file")
    if path.suffix != ".safetensors":
        raise RunError(
            f"{path} is neither a run folder nor a .safetensors file: name the folder that holds checkpoint.pt"
        )
    return of_file(path)


def of_folder(folder: RunFolder) -> Trained:
    """A finished run's final model. Raises as ``load_trained``."""
    started = read_json(folder.config)
    if started is None:
        raise RunError(f"{folder.path} holds no finished run: {folder.config.name} is missing or no JSON")
    # First of all: it makes a dataset of the user's own known, without which a result of it is none.
    config = config_of(started, str(folder.config))
    result, damage = read_result(folder)
    if result is None:
        raise RunError(f"{folder.path} holds no finished run: {damage or f'{folder.result.name} is missing'}")
    if config.hash != result["config_hash"]:
        raise RunError(
            f"{folder.path}: config.json is of other settings than result.json; copy the run folder again"
        )
    state = _final_state(folder, result)
    model = model_of(config, state["model"], str(folder.checkpoint))
    # A random selection draws what it drew in the run's last evaluation, with one rank.
    Randomness(model, torch.device("cpu")).select_from(checkpoint.selections(state), 0)
    classes = Predictions(folder.predictions, result["predictions_sha256"]).get("classes", ())
    return Trained(model, config, result, tuple(map(str, classes)), folder.path)


def of_file(path: Path) -> Trained:
    """A model that was saved with the record of its run. Raises as ``load_trained``."""
    import benchmark.data.mini.backbones  # noqa: F401 - registers them with timm: the model may be one of them

    try:
        model = dcal.load(path)
    except WeightsError as error:
        raise RunError(str(error)) from error
    about = model.about
    if not all(isinstance(about.get(name), dict) for name in ("identity", "result")):
        raise RunError(
            f"{path} holds a model without the record of its run, so how pictures enter it is not known: dcal.load "
            "reads it; `python -m benchmark export RUN_FOLDER --to FILE.safetensors` writes one that can be evaluated"
        )
    result = about["result"]
    if checkpoint.weights_sha256(model.state_dict()) != result.get("final_weights_sha256"):
        raise RunError(
            f"{path} holds other weights than the run that it names: it was saved again after a change"
        )
    config = config_of({"profile": result.get("profile"), "identity": about["identity"]}, str(path))
    return Trained(model, config, result, model.class_names, path)


def about(trained: Trained) -> dict[str, object]:
    """What a saved file says of the run, as ``of_file`` reads it."""
    result = {name: trained.result[name] for name in KEPT if name in trained.result}
    provenance = trained.result.get("provenance", {})
    result["provenance"] = {name: provenance[name] for name in KEPT_PROVENANCE if name in provenance}
    return {"identity": dict(trained.config.identity), "result": result}


def _final_state(folder: RunFolder, result: Mapping[str, object]) -> dict[str, object]:
    state, problems = checkpoint.read(folder, result["config_hash"])
    if state is None:
        found = (
            f"is torn or of other settings ({checkpoint.described(problems)})" if problems else "is missing"
        )
        raise RunError(
            f"{folder.checkpoint} {found}: copy the run folder again, or run {result['cell']} anew"
        )
    if problems:
        logger.warning("%s: %s", folder.path, checkpoint.described(problems))
    found, recorded = checkpoint.weights_sha256(state["model"]), result["final_weights_sha256"]
    if found != recorded:
        raise RunError(
            f"{folder.checkpoint} holds weights {found[:12]}…, result.json was made with {recorded[:12]}…: they do not "
            "belong together; copy the run folder again"
        )
    return state


# --- A trained model into a file that says which run it is of and how pictures enter it ---


def write(trained: Trained, path: Path) -> str:
    """Write ``trained`` to ``path``, by its suffix as ``dcal.save``, ``dcal.export_onnx`` or ``dcal.export_program``.

    Returns a line about it. Raises RunError for a model that cannot be exported, an extra that is not installed, and a
    file that cannot be written.
    """
    model, settings = trained.model, trained.config.settings
    if settings.data.normalise == "half":
        model.mean = model.std = (0.5, 0.5, 0.5)
    writer = {".safetensors": dcal.save, ".onnx": dcal.export_onnx, ".pt2": dcal.export_program}[path.suffix]
    try:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            difference = writer(model, path, class_names=trained.classes, about=about(trained))
    except (ValueError, ImportError) as error:
        raise RunError(f"{trained.config.run_id} is not exported: {error}") from error
    said = f"{trained.config.run_id} is in {path}, {path.stat().st_size / 1e6:,.1f} MB"
    if difference is None:
        return said
    height, width = settings.data.crop
    return (
        f"{said}, for images (B, 3, {height}, {width}); on random ones its outputs differ from the model's by "
        f"{difference:.1g} at most"
    )
