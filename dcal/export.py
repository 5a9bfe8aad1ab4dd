"""Export of the inference model to a file that runs without this code: an ONNX graph or a ``torch.export`` program.

Both map normalised images (B, 3, h, w) of any batch size to named outputs: ``class_scores`` with a linear head,
``retrieval_features`` with a BNNeck. TorchScript is deprecated in torch; ``torch.export`` replaces it.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from dcal.atomic import write_bytes
from dcal.configuration import Configuration, model_configuration
from dcal.model import DCAL, class_scores, retrieval_features

OUTPUTS = {"linear": class_scores, "bnneck": retrieval_features}
INPUT = "images"
# Place of the configuration: a key of ONNX's metadata, a file in the program's archive.
ONNX_ENTRY, PROGRAM_ENTRY = "dcal", "dcal.json"
# A larger difference is no rounding error. (With a mean read-out, ties of two tokens may be broken differently.)
LARGEST_DIFFERENCE = 1e-3


class Inference(nn.Module):
    """A model in eval mode with its prediction: from normalised images (B, 3, h, w) to named outputs."""

    def __init__(self, model: DCAL, head: str) -> None:
        super().__init__()
        self.model, self.outputs = model, OUTPUTS[head]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return self.outputs(self.model(images))


def export_program(
    model: DCAL, path: str | Path, *, class_names: Sequence[str] = (), about: dict[str, Any] | None = None
) -> float:
    """Write a ``torch.export`` program, to be run as ``torch.export.load(path).module()``.

    class_names, about: as in ``dcal.save``; the archive's ``dcal.json`` has them with the configuration, which has mean
    and std of the normalisation.
    Returns the largest difference between the outputs of program and model, on random images in batches of 1 and 3.
    Raises ValueError for a path without the suffix .pt2, a model in training mode, on a GPU or not in float32, one
    whose GLCA selects at random, and a program with other outputs than the model; otherwise as ``dcal.save``.
    """
    path, configuration = _require_exportable(model, path, ".pt2", class_names, about)
    inference = Inference(model, configuration.head)
    program, _ = _trace(inference, configuration)
    difference = _difference(inference, program.module(), configuration)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # torch warns of each tensor that is not contiguous, such as the channels-last weights of a hybrid's stem.
        warnings.filterwarnings("ignore", "No complete tensor found in the group")
        torch.export.save(program, buffer, extra_files={PROGRAM_ENTRY: _configuration_json(configuration)})
    write_bytes(path, buffer.getvalue())
    return difference


def export_onnx(
    model: DCAL, path: str | Path, *, class_names: Sequence[str] = (), about: dict[str, Any] | None = None
) -> float:
    """Write an ONNX graph, with the configuration under ``dcal`` in its metadata; the rest as ``export_program``.

    Raises ImportError where onnx, onnxscript or onnxruntime is not installed, ValueError for a path without the suffix
    .onnx and as ``export_program``.
    """
    path, configuration = _require_exportable(model, path, ".onnx", class_names, about)
    _, _, onnxruntime = (_import(name) for name in ("onnx", "onnxscript", "onnxruntime"))
    inference = Inference(model, configuration.head)
    program, names = _trace(inference, configuration)
    graph = torch.onnx.export(program, input_names=[INPUT], output_names=names, dynamo=True, verbose=False)
    graph.model.metadata_props[ONNX_ENTRY] = _configuration_json(configuration)
    content = graph.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> dict[str, Tensor]:
        outputs = session.run(names, {INPUT: images.numpy()})
        return dict(zip(names, map(torch.from_numpy, outputs), strict=True))

    difference = _difference(inference, run, configuration)
    write_bytes(path, content)
    return difference


def _require_exportable(
    model: DCAL, path: str | Path, suffix: str, class_names: Sequence[str], about: dict[str, Any] | None
) -> tuple[Path, Configuration]:
    """Path and configuration of a model. Raises ValueError for one that cannot be exported, as ``export_program``."""
    path = Path(path)
    if path.suffix != suffix:
        raise ValueError(f"{path}: the name of such a file ends in {suffix}")
    configuration = model_configuration(model, tuple(class_names) or getattr(model, "class_names", ()), about)
    if model.training:
        raise ValueError("a model in training mode cannot be exported: call model.eval()")
    weight = model.sa_head.classifier.weight
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        raise ValueError(
            f"a model on {weight.device} in {weight.dtype} cannot be exported: call model.cpu().float()"
        )
    if model.glca is not None and model.glca.settings.select == "random":
        raise ValueError(
            "GLCA selects its queries at random here, anew in every call: a file cannot give the same outputs"
        )
    return path, configuration


def _trace(inference: Inference, configuration: Configuration) -> tuple[ExportedProgram, list[str]]:
    """Program for batches of any size, and the names of its outputs."""
    images = _random_images(configuration, 2)
    with torch.no_grad():
        names = list(inference(images))
        program = torch.export.export(
            inference, (images,), dynamic_shapes={INPUT: {0: Dim("batch")}}, strict=True
        )
    return program, names


def _difference(
    inference: Inference, run: Callable[[Tensor], Mapping[str, Tensor]], configuration: Configuration
) -> float:
    """Largest difference between the outputs of model and file. Raises ValueError above LARGEST_DIFFERENCE."""
    largest = 0.0
    for batch in (1, 3):
        images = _random_images(configuration, batch)
        with torch.no_grad():
            expected, outputs = inference(images), run(images)
        largest = max(largest, *((expected[name] - outputs[name]).abs().max().item() for name in expected))
    if not largest <= LARGEST_DIFFERENCE:
        raise ValueError(
            f"the exported {configuration.tag} differs from the model by {largest:.2g} in its outputs: nothing was "
            "written"
        )
    return largest


def _random_images(configuration: Configuration, batch: int) -> Tensor:
    """Random images (batch, 3, h, w), always the same."""
    return torch.randn(batch, 3, *configuration.image_size, generator=torch.Generator().manual_seed(batch))


def _import(name: str) -> ModuleType:
    """A module of the ONNX export. Raises ImportError with the command that installs it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"ONNX export needs {name}, which is not installed: `make optional` installs it"
        ) from error


def _configuration_json(configuration: Configuration) -> str:
    return json.dumps(asdict(configuration), ensure_ascii=False, allow_nan=False)
