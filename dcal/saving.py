"""A trained model as one .safetensors file: its tensors, and its configuration in the header.

Loading needs no pretrained weights and no network. The file has the model alone; the uncertainty weights w belong to
the loss.
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

from dcal import tensors
from dcal.atomic import write_bytes
from dcal.configuration import Configuration, model_configuration, require_buildable
from dcal.model import DCAL
from dcal.weights import integrity
from dcal.weights.read import WeightsError, not_finite

# Increased when older versions of this code cannot read a file.
FORMAT = 1
SUFFIX = ".safetensors"
# The only entry of the header's metadata.
ENTRY = "dcal"
# State of GLCA's generator: not a tensor of the model, but the outputs of a random selection depend on it.
GENERATOR = "glca.generator"


def save(
    model: DCAL,
    path: str | Path,
    *,
    class_names: Sequence[str] = (),
    about: dict[str, Any] | None = None,
) -> None:
    """Write a model to ``path``, completely or not at all.

    class_names: by index; empty: those of the file it was loaded from. about: free remarks by name, in values that JSON
    has, such as the training data; a loaded model has them as ``about``. Saving a loaded model does not copy them:
    after more training they may be wrong.
    Raises ValueError for a path without the suffix .safetensors, another number of names than classes, a model that
    ``dcal.build`` could not build again or with NaN or infinite weights, and an ``about`` that is no JSON; OSError
    where the file cannot be written.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise ValueError(f"{path}: a saved model's name ends in {SUFFIX}")
    names = tuple(class_names) or getattr(model, "class_names", ())
    fields = model_configuration(model, names, about)
    require_buildable(model, fields)
    try:
        # To JSON and back, to what a reader gets: lists for tuples, text for numbers as keys.
        configuration = json.loads(json.dumps(asdict(fields), allow_nan=False))
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
    """The model that ``save`` wrote, in eval mode on the CPU, with the same tensors bit for bit.

    Its attributes ``mean``, ``std``, ``class_names`` and ``about`` come from the file; ``pretrained`` is None.
    Raises WeightsError for a file that is missing, damaged, changed, of a newer format or not a DCAL model, for NaN or
    infinite weights, and for a timm model that is not registered.
    """
    path = Path(path)
    header, state = _read(path)
    try:
        _require_unchanged(header, state)
        if problem := not_finite(state):
            raise ValueError(f"it holds values that are no numbers: {problem}")
        configuration = Configuration.read(header["model"])
        model = configuration.build()
        if problems := tensors.differences(_state(model), state):
            raise ValueError(
                f"it does not fit its own configuration: it {tensors.differences_text(problems)}"
            )
    except ValueError as error:
        raise WeightsError(f"{path}: {error}") from error
    if GENERATOR in state:
        model.glca.generator.set_state(state.pop(GENERATOR))
    model.load_state_dict(state)
    model.class_names, model.about = configuration.class_names, configuration.about
    return model.eval()


def _state(model: DCAL) -> dict[str, Tensor]:
    """All tensors on which the model's outputs depend, by name."""
    state = model.state_dict()
    if model.glca is not None and model.glca.settings.select == "random":
        state[GENERATOR] = model.glca.generator.get_state()
    return state


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors of a file. Raises WeightsError."""
    if not os.path.isfile(path):
        problem = "it is no file" if os.path.exists(path) else "no such file"
        raise WeightsError(f"{path}: {problem}; expected a model that dcal.save wrote")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}
    except MemoryError:
        raise
    except Exception as error:  # a damaged header causes errors of many kinds
        damage = integrity.defect(path)
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


def _require_unchanged(header: dict[str, Any], state: dict[str, Tensor]) -> None:
    """Raises ValueError unless configuration and tensors have the digests of the header."""
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
    """SHA-256 of a configuration, independent of the order of its keys."""
    text = json.dumps(configuration, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
