"""Trained models, loaded from the folder of a finished run or from a saved file."""

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
from benchmark.records.run_folder import RunFolder, read_json, read_result
from benchmark.records.run_settings import config_from_record
from benchmark.training import checkpoint
from benchmark.training.checkpoint import Randomness
from benchmark.training.models import model_of
from dcal.model import DCAL
from dcal.weights.load import WeightsError

# Fields of a run's result that a saved file stores. Of the provenance only the code, not the machine or the command.
RESULT_FIELDS = (
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
PROVENANCE_FIELDS = ("commit", "dirty", "versions")
logger = logging.getLogger("benchmark")


@dataclass(frozen=True)
class TrainedModel:
    """A trained model and the record of its run.

    model: in eval mode, on the CPU.
    config: of the run: cell and task, settings of data and training, hash.
    result: the run's result.json; of a saved file the fields RESULT_FIELDS and PROVENANCE_FIELDS.
    classes: class names by index; () for re-identification.
    source: run folder or saved file.
    """

    model: DCAL
    config: Config
    result: Mapping[str, object]
    classes: tuple[str, ...]
    source: Path

    @property
    def pictures(self) -> TestPictures:
        """Reader of picture files that makes the network's input as in the run's own evaluation."""
        return TestPictures.for_dataset(self.config.cell.dataset, self.config.settings.data)

    def prepare(self, device: torch.device | str = "cpu") -> Prepare:
        """Function that turns uint8 pictures (B, h, w, 3) into the model's normalised input on a device."""
        return normalise(self.model, torch.device(device), self.config.settings.data.normalise)


def load_trained(path: Path) -> TrainedModel:
    """Load the model of a finished run's folder, or of a .safetensors file that ``python -m benchmark export`` wrote.

    Raises RunError for a run that is not finished, weights that are missing, damaged or not those of the record, and a
    file of another kind or without the record of a run.
    """
    path = Path(path).resolve()
    if path.is_dir():
        return load_run_folder(RunFolder(path))
    if not path.exists():
        raise RunError(f"{path}: no such run folder or file")
    if path.suffix != ".safetensors":
        raise RunError(
            f"{path} is neither a run folder nor a .safetensors file: name the folder that holds checkpoint.pt"
        )
    return load_saved_file(path)


def load_run_folder(folder: RunFolder) -> TrainedModel:
    """Load the final model of a finished run. Raises as ``load_trained``."""
    config_record = read_json(folder.config)
    if config_record is None:
        raise RunError(f"{folder.path} holds no finished run: {folder.config.name} is missing or no JSON")
    # Before read_result: it registers a user's own dataset, without which the result would be invalid.
    config = config_from_record(config_record, str(folder.config))
    result, damage = read_result(folder)
    if result is None:
        raise RunError(f"{folder.path} holds no finished run: {damage or f'{folder.result.name} is missing'}")
    if config.hash != result["config_hash"]:
        raise RunError(
            f"{folder.path}: config.json is of other settings than result.json; copy the run folder again"
        )
    state = _final_state(folder, result)
    model = model_of(config, state["model"], str(folder.checkpoint))
    # Random selection of queries repeats the draws of the run's last evaluation (of one rank).
    Randomness(model, torch.device("cpu")).select_from(checkpoint.selections(state), 0)
    classes = Predictions(folder.predictions, result["predictions_sha256"]).get("classes", ())
    return TrainedModel(model, config, result, tuple(map(str, classes)), folder.path)


def load_saved_file(path: Path) -> TrainedModel:
    """Load a model that was saved with the record of its run. Raises as ``load_trained``."""
    import benchmark.data.mini.backbones  # noqa: F401 - registers the mini backbones with timm

    try:
        model = dcal.load(path)
    except WeightsError as error:
        raise RunError(str(error)) from error
    record = model.about
    if not all(isinstance(record.get(name), dict) for name in ("identity", "result")):
        raise RunError(
            f"{path} holds a model without the record of its run, so how pictures enter it is not known: dcal.load "
            "reads it; `python -m benchmark export RUN_FOLDER --to FILE.safetensors` writes one that can be evaluated"
        )
    result = record["result"]
    if checkpoint.weights_sha256(model.state_dict()) != result.get("final_weights_sha256"):
        raise RunError(
            f"{path} holds other weights than the run that it names: it was saved again after a change"
        )
    config = config_from_record({"profile": result.get("profile"), "identity": record["identity"]}, str(path))
    return TrainedModel(model, config, result, model.class_names, path)


def file_record(trained: TrainedModel) -> dict[str, object]:
    """The record of a model's run for a saved file, in the form that ``load_saved_file`` reads."""
    result = {name: trained.result[name] for name in RESULT_FIELDS if name in trained.result}
    provenance = trained.result.get("provenance", {})
    result["provenance"] = {name: provenance[name] for name in PROVENANCE_FIELDS if name in provenance}
    return {"identity": dict(trained.config.identity), "result": result}


def _final_state(folder: RunFolder, result: Mapping[str, object]) -> dict[str, object]:
    state, problems = checkpoint.read(folder, result["config_hash"])
    if state is None:
        state_text = (
            f"is torn or of other settings ({checkpoint.described(problems)})" if problems else "is missing"
        )
        raise RunError(
            f"{folder.checkpoint} {state_text}: copy the run folder again, or run {result['cell']} anew"
        )
    if problems:
        logger.warning("%s: %s", folder.path, checkpoint.described(problems))
    digest, recorded = checkpoint.weights_sha256(state["model"]), result["final_weights_sha256"]
    if digest != recorded:
        raise RunError(
            f"{folder.checkpoint} holds weights {digest[:12]}…, result.json was made with {recorded[:12]}…: they do "
            "not belong together; copy the run folder again"
        )
    return state


# --- Saving of a trained model with the record of its run ---


def write_model(trained: TrainedModel, path: Path) -> str:
    """Write a model to a file, by its suffix with ``dcal.save``, ``dcal.export_onnx`` or ``dcal.export_program``.

    Returns a line of text about the file. Raises RunError for a model that cannot be exported, a missing optional
    package, and a file that cannot be written.
    """
    model, settings = trained.model, trained.config.settings
    if settings.data.normalise == "half":
        model.mean = model.std = (0.5, 0.5, 0.5)
    writer = {".safetensors": dcal.save, ".onnx": dcal.export_onnx, ".pt2": dcal.export_program}[path.suffix]
    try:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            difference = writer(model, path, class_names=trained.classes, about=file_record(trained))
    except (ValueError, ImportError) as error:
        raise RunError(f"{trained.config.run_id} is not exported: {error}") from error
    text = f"{trained.config.run_id} is in {path}, {path.stat().st_size / 1e6:,.1f} MB"
    if difference is None:
        return text
    height, width = settings.data.crop
    return (
        f"{text}, for images (B, 3, {height}, {width}); on random ones its outputs differ from the model's by "
        f"{difference:.1g} at most"
    )
