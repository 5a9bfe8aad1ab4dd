"""A trained model as one .safetensors file: its tensors, and in the header the configuration it is built from.

The file is complete in itself: loading needs no pretrained weights and no network. It holds the model alone; the
uncertainty weights w belong to the loss.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import timm
import torch
from torch import Tensor

from dcal import tensors, weight_formats
from dcal.atomic import write_bytes
from dcal.configuration import Configuration, configuration_of, require_buildable
from dcal.model import DCAL
from dcal.weight_reading import WeightsError, not_finite

# Raised when a file can no longer be read by the rules of the version before.
FORMAT = 1
SUFFIX = ".safetensors"
# The one entry of the header's metadata.
ENTRY = "dcal"
# GLCA's own random stream is no tensor of the model, but a random selection's outputs depend on where it stands.
GENERATOR = "glca.generator"


def save(
    model: DCAL,
    path: str | Path,
    *,
    class_names: Sequence[str] = (),
    about: dict[str, Any] | None = None,
) -> None:
    """Write a model to ``path``, whole or not at all.

    class_names: by index; none: those it was loaded with. about: by name what JSON can hold, as what it was trained on;
    a loaded model finds it in ``about``. It is not handed on when a loaded model is saved again: training may have made
    it untrue.
    Raises ValueError for a path without the suffix .safetensors, for names that are not one a class, for a model that
    ``dcal.build`` could not build again or whose weights are NaN or infinite, and an ``about`` that is no JSON; OSError
    where the file cannot be written.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise ValueError(f"{path}: a saved model's name ends in {SUFFIX}")
    names = tuple(class_names) or getattr(model, "class_names", ())
    described = configuration_of(model, names, about)
    require_buildable(model, described)
    try:
        # Once to JSON and back, so that it is what a reader finds: lists for tuples, text for numbers as keys.
        configuration = json.loads(json.dumps(asdict(described), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"about has to be what JSON can hold: {error}") from error
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in _state(model).items()}
    if problem := not_finite(state):
        raise ValueError(f"this model has weights that are no numbers: {problem}. {path} was not written")
    header = {
        "format": FORMAT,
        "written_by": {"timm": timm.__version__, "torch": torch.__version__},
        "model": configuration,
        "model_sha256": _digest(configuration),
        "weights_sha256": tensors.sha256(state),
    }
    write_bytes(path, safetensors.torch.save(state, {ENTRY: json.dumps(header, ensure_ascii=False)}))


def load(path: str | Path) -> DCAL:
    """The model that ``save`` wrote, in eval mode on the CPU, tensors bit for bit.

    Its attributes ``mean``, ``std``, ``class_names`` and ``about`` are the file's; ``pretrained`` is None.
    Raises WeightsError for a file that is missing, damaged, changed, of a newer format or of no DCAL model, for weights
    that are NaN or infinite, and for a timm model that nobody registered.
    """
    path = Path(path)
    header, state = _read(path)
    try:
        _require_whole(header, state)
        if problem := not_finite(state):
            raise ValueError(f"it holds values that are no numbers: {problem}")
        configuration = Configuration.read(header["model"])
        model = configuration.build()
        if problems := tensors.differences(_state(model), state):
            raise ValueError(f"it does not fit its own configuration: it {tensors.first_of(problems)}")
    except ValueError as error:
        raise WeightsError(f"{path}: {error}") from error
    if GENERATOR in state:
        model.glca.generator.set_state(state.pop(GENERATOR))
    model.load_state_dict(state)
    model.class_names, model.about = configuration.class_names, configuration.about
    return model.eval()


def _state(model: DCAL) -> dict[str, Tensor]:
    """All that the model's outputs depend on."""
    state = model.state_dict()
    if model.glca is not None and model.glca.settings.select == "random":
        state[GENERATOR] = model.glca.generator.get_state()
    return state


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    if not os.path.isfile(path):
        found = "it is no file" if os.path.exists(path) else "no such file"
        raise WeightsError(f"{path}: {found}; expected a model that dcal.save wrote")
    try:
        with safetensors.safe_open(path, framework="pt") as opened:
            metadata = opened.metadata() or {}
            state = {name: opened.get_tensor(name) for name in opened.keys()}
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged header makes of the reader
        damage = weight_formats.defect(path)
        if path.suffix != SUFFIX:
            damage = damage if "but" in damage else f"no {SUFFIX} file: {error}"
        raise WeightsError(f"{path} is {damage or f'damaged: {error}'}") from error
    if ENTRY not in metadata:
        raise WeightsError(
            f"{path} is no model that dcal.save wrote: its header has no configuration. Pretrained weights are read by "
            "dcal.build(weights=…)"
        )
    try:
        header = json.loads(metadata[ENTRY])
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path} is damaged: its configuration is no JSON ({error})") from error
    return header, state


def _require_whole(header: dict[str, Any], state: dict[str, Tensor]) -> None:
    """Raises ValueError unless configuration and tensors are those that were written."""
    if not isinstance(header, dict) or not isinstance(header.get("model"), dict):
        raise ValueError("it is damaged: its header has no model")
    if header.get("format") != FORMAT:
        raise ValueError(f"it is of format {header.get('format')}, this dcal reads {FORMAT}: update dcal")
    if _digest(header["model"]) != header.get("model_sha256"):
        raise ValueError("its configuration is not the one that was written: it was changed or damaged")
    if tensors.sha256(state) != header.get("weights_sha256"):
        raise ValueError(
            "its tensors are not those that were written: it was changed or damaged; copy it again"
        )


def _digest(configuration: dict[str, Any]) -> str:
    text = json.dumps(configuration, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
