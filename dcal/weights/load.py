"""Pretrained weights of a timm backbone: location, check, loading and report. No silent fall-back."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from dcal.weights import manifest
from dcal.weights.families import WeightFamily, find_family
from dcal.weights.read import WeightsError, first_names, not_finite, read_tensors, wrong_model_error

__all__ = ["LoadReport", "WeightsError", "load_pretrained", "locate"]


@dataclass(frozen=True)
class LoadReport:
    """Report of loading a weights file.

    file: path. sha256: of the file. loaded: number of tensors. dropped: tensors of the pretrained classifier, which the
    task's classifier replaces. resized: (old, new) shapes of the position embedding, or of the first of Swin's bias
    tables with another size. resized_names: all tensors with another size.
    """

    file: str
    sha256: str
    loaded: int
    dropped: tuple[str, ...]
    resized: tuple[tuple[int, ...], tuple[int, ...]] | None
    resized_names: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = [f"{self.loaded} pretrained tensors from {self.file}"]
        if self.resized:
            words = {("pos_embed",): "position embedding"}
            tables = words.get(self.resized_names, f"{first_names(self.resized_names)}, the first")
            parts.append(f"{tables} resized from {self.resized[0]} to {self.resized[1]}")
        parts.append(f"pretrained classifier dropped: {', '.join(self.dropped) or 'the file has none'}")
        return "; ".join(parts)


def locate(tag: str, source: str | Path) -> Path:
    """Path of the file with a tag's weights.

    source: ``hub`` (the hub's cache, else a download), a folder of files, or the file itself.
    Raises WeightsError, with all file names that were tried, and where the folder's weights.json has another file.
    """
    if source == "hub":
        return manifest.find_in_hub_cache(tag) or _download(tag)
    path = Path(source)
    if os.path.isfile(path):
        return path
    if not os.path.isdir(path):
        raise WeightsError(f"no weights at {path}: expected the file of {tag} or a folder that holds it")
    try:
        next(path.iterdir(), None)
    except OSError as error:
        raise WeightsError(f"the folder of weights {path} cannot be read: {error.strerror}") from error
    file = manifest.find_in_folder(tag, path)
    if file is None:
        raise WeightsError(
            f"no weights of {tag} in {path}: looked for {', '.join(manifest.file_names(tag))}. "
            f"Put the file there, or fetch it from the hub repository {manifest.hub_repository(tag)}"
        )
    try:
        problem = manifest.disagreement(tag, file, path)
    except ValueError as error:
        raise WeightsError(str(error)) from error
    if problem:
        raise WeightsError(problem)
    return file


def _download(tag: str) -> Path:
    """Path of a tag's file after a download from the hub to its cache. Raises WeightsError."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    repository = manifest.hub_repository(tag)
    problem: Exception | None = None
    for name in manifest.HUB_FILES:
        try:
            return Path(hf_hub_download(repository, name))
        except LocalEntryNotFoundError as error:  # offline and not cached; a subclass of EntryNotFoundError
            problem = error
            break
        except EntryNotFoundError as error:
            problem = error
        except (HfHubHTTPError, OSError) as error:
            problem = error
            break
    raise WeightsError(
        f"no weights of {tag}: not in the hub's cache, and {repository} could not be fetched "
        f"({type(problem).__name__}: {str(problem).splitlines()[0]}). On a machine without internet, fetch them "
        "where there is some and point WEIGHTS at the folder"
    ) from problem


def load_pretrained(model: nn.Module, file: Path) -> LoadReport:
    """Load a file (.safetensors, .pth/.pt/.bin with tensors only, Google's .npz) into a headless timm ViT, CaiT or
    Swin.

    The pretrained classifier is dropped, all other tensors must match exactly. Tables of positions must be of the size
    of the weights' own input and are then resized to the model's (``weight_families``).
    Raises WeightsError for a tensor that is missing, unknown, of another shape, of integers, NaN or infinite, and for
    another digest than in weights.json beside the file.
    """
    family = find_family(model)
    if family is None:
        raise WeightsError(
            f"no loader for {type(model).__name__}: expected a timm VisionTransformer, Cait or SwinTransformer"
        )
    sha256 = _recorded_digest(file)
    tensors, dropped = read_tensors(file, model)
    tensors = family.rename(tensors)
    heads = _heads(model)
    dropped = dropped or tuple(sorted(name for name in tensors if name.split(".")[0] in heads))
    raw = {name: value for name, value in tensors.items() if name not in dropped}
    with torch.device("meta"):  # shapes only
        native = timm.create_model(model.pretrained_cfg["architecture"], pretrained=False, num_classes=0)
    expected = model.state_dict()
    # Names and shapes first: timm's filter would resample weights of another patch size without an error.
    _check(raw, expected, native.state_dict(), family, file, model)
    _require_representable(raw, expected, file)
    state = family.resize(raw, model, native)
    model.load_state_dict(state, strict=True)
    shapes = {name: (tuple(raw[name].shape), tuple(expected[name].shape)) for name in sorted(raw)}
    resized = {name: pair for name, pair in shapes.items() if pair[0] != pair[1]}
    return LoadReport(
        str(file), sha256, len(state), dropped, next(iter(resized.values()), None), tuple(resized)
    )


def _recorded_digest(file: Path) -> str:
    """SHA-256 of the file. Raises WeightsError if it is not the recorded one."""
    try:
        recorded = manifest.recorded_sha256(file)
        with open(file, "rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise WeightsError(f"{file} cannot be checked: {error}") from error
    if recorded and recorded != digest:
        raise WeightsError(
            f"{file} has sha256 {digest[:12]}…, and {recorded[:12]}… is on record for it: it was changed or damaged "
            "since it was fetched. Nothing was loaded; delete it and call `make weights` again"
        )
    return digest


def _heads(model: nn.Module) -> set[str]:
    """First parts of the names of a pretrained classifier's tensors, e.g. ``head`` for Swin's ``head.fc``."""
    classifier = model.pretrained_cfg.get("classifier") or "head"
    names = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    return {name.split(".")[0] for name in names} | {"pre_logits"}


def _check(
    state: dict[str, Tensor],
    expected: dict[str, Tensor],
    native: dict[str, Tensor],
    family: WeightFamily,
    file: Path,
    model: nn.Module,
) -> None:
    """Raises WeightsError for names, shapes and types of ``state`` that are not those of the model, or of its native
    size for tables of positions.
    """
    problems = []
    if missing := sorted(expected.keys() - state.keys()):
        problems.append(f"it lacks {first_names(missing)}")
    if unknown := sorted(state.keys() - expected.keys()):
        problems.append(f"it has {first_names(unknown)}, which the model has not")
    shapes, kinds = [], []
    for key in sorted(state.keys() & expected.keys()):
        shape = _file_shape(key, expected, native, family)
        if tuple(state[key].shape) != shape:
            shapes.append(f"{key} {tuple(state[key].shape)} instead of {shape}")
        if expected[key].is_floating_point() and not state[key].is_floating_point():
            kinds.append(f"{key} is {str(state[key].dtype).removeprefix('torch.')}")
    if shapes:
        problems.append(f"shapes differ: {first_names(shapes)}")
    if kinds:
        problems.append(f"expected floating-point numbers, not a quantised copy: {first_names(kinds)}")
    if problems:
        raise wrong_model_error(file, model, problems)


def _require_representable(state: dict[str, Tensor], expected: dict[str, Tensor], file: Path) -> None:
    """Raises WeightsError for a finite value that is infinite in the model's type, e.g. float64's 1e300."""
    converted = {name: value.to(expected[name].dtype) for name, value in state.items()}
    if problem := not_finite(converted):
        raise WeightsError(f"{file} holds values that the model cannot: {problem}. Nothing was loaded")


def _file_shape(
    name: str, expected: dict[str, Tensor], native: dict[str, Tensor], family: WeightFamily
) -> tuple[int, ...]:
    """Shape of a tensor in a file: the model's, with the positions of the native input size."""
    shape = list(expected[name].shape)
    pattern, axis = family.positions
    if re.fullmatch(pattern, name) and name in native:
        shape[axis] = native[name].shape[axis]
    return tuple(shape)
