"""The inference model as a file that runs without this code: an ONNX graph or a ``torch.export`` program.

Both take normalised images (B, 3, h, w) of any batch size and give what the head is for, by name: ``class_scores`` with
a linear head, ``retrieval_features`` with a BNNeck. TorchScript is deprecated; in torch ``torch.export`` replaces it.
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
from dcal.configuration import Configuration, configuration_of
from dcal.model import DCAL
from dcal.prediction import class_scores, retrieval_features

OUTPUTS = {"linear": class_scores, "bnneck": retrieval_features}
INPUT = "images"
# Where both kinds of file keep the configuration: ONNX's metadata, a file inside the program's archive.
ONNX_ENTRY, PROGRAM_ENTRY = "dcal", "dcal.json"
# Beyond rounding: another graph. (A mean read-out may take one token for another where two tie.)
LARGEST_DIFFERENCE = 1e-3


class Inference(nn.Module):
    """A model in eval mode, from normalised images to its named outputs."""

    def __init__(self, model: DCAL, head: str) -> None:
        super().__init__()
        self.model, self.outputs = model, OUTPUTS[head]

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return self.outputs(self.model(images))


def export_program(
    model: DCAL, path: str | Path, *, class_names: Sequence[str] = (), about: dict[str, Any] | None = None
) -> float:
    """Write a ``torch.export`` program, which ``torch.export.load(path).module()`` runs.

    class_names, about: as ``dcal.save`` has them; they lie in the archive's ``dcal.json`` with the configuration, which
    has mean and std of the normalisation.
    Returns the largest difference of the program's outputs from the model's, on random images in batches of 1 and 3.
    Raises ValueError for a path without the suffix .pt2, a model in training mode, on a GPU or not in float32, one
    whose GLCA selects at random, and a program whose outputs are not the model's; otherwise as ``dcal.save``.
    """
    path, configuration = _checked(model, path, ".pt2", class_names, about)
    inference = Inference(model, configuration.head)
    program, _ = _traced(inference, configuration)
    difference = _difference(inference, program.module(), configuration)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # torch warns of every tensor that is not contiguous, as the channels-last weights of a hybrid's stem.
        warnings.filterwarnings("ignore", "No complete tensor found in the group")
        torch.export.save(program, buffer, extra_files={PROGRAM_ENTRY: _as_json(configuration)})
    write_bytes(path, buffer.getvalue())
    return difference


def export_onnx(
    model: DCAL, path: str | Path, *, class_names: Sequence[str] = (), about: dict[str, Any] | None = None
) -> float:
    """Write an ONNX graph. Its configuration lies in the metadata as ``dcal``; the rest as ``export_program``.

    Raises ImportError where onnx, onnxscript or onnxruntime is not installed, ValueError for a path without the suffix
    .onnx and as ``export_program``.
    """
    path, configuration = _checked(model, path, ".onnx", class_names, about)
    _, _, onnxruntime = (_installed(name) for name in ("onnx", "onnxscript", "onnxruntime"))
    inference = Inference(model, configuration.head)
    program, names = _traced(inference, configuration)
    graph = torch.onnx.export(program, input_names=[INPUT], output_names=names, dynamo=True, verbose=False)
    graph.model.metadata_props[ONNX_ENTRY] = _as_json(configuration)
    content = graph.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(images: Tensor) -> dict[str, Tensor]:
        found = session.run(names, {INPUT: images.numpy()})
        return dict(zip(names, map(torch.from_numpy, found), strict=True))

    difference = _difference(inference, run, configuration)
    write_bytes(path, content)
    return difference


def _checked(
    model: DCAL, path: str | Path, suffix: str, class_names: Sequence[str], about: dict[str, Any] | None
) -> tuple[Path, Configuration]:
    path = Path(path)
    if path.suffix != suffix:
        raise ValueError(f"{path}: the name of such a file ends in {suffix}")
    configuration = configuration_of(model, tuple(class_names) or getattr(model, "class_names", ()), about)
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


def _traced(inference: Inference, configuration: Configuration) -> tuple[ExportedProgram, list[str]]:
    """The program for batches of any size, and the names of its outputs."""
    images = _images(configuration, 2)
    with torch.no_grad():
        names = list(inference(images))
        program = torch.export.export(
            inference, (images,), dynamic_shapes={INPUT: {0: Dim("batch")}}, strict=True
        )
    return program, names


def _difference(
    inference: Inference, run: Callable[[Tensor], Mapping[str, Tensor]], configuration: Configuration
) -> float:
    largest = 0.0
    for batch in (1, 3):
        images = _images(configuration, batch)
        with torch.no_grad():
            expected, found = inference(images), run(images)
        largest = max(largest, *((expected[name] - found[name]).abs().max().item() for name in expected))
    if not largest <= LARGEST_DIFFERENCE:
        raise ValueError(
            f"the exported {configuration.tag} differs from the model by {largest:.2g} in its outputs: nothing was "
            "written"
        )
    return largest


def _images(configuration: Configuration, batch: int) -> Tensor:
    return torch.randn(batch, 3, *configuration.image_size, generator=torch.Generator().manual_seed(batch))


def _installed(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"ONNX export needs {name}, which is not installed: `make optional` installs it"
        ) from error


def _as_json(configuration: Configuration) -> str:
    return json.dumps(asdict(configuration), ensure_ascii=False, allow_nan=False)
