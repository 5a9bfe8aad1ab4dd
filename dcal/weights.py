"""Pretrained weights into a timm backbone: found, read, checked, resized, and reported. Never a silent fall-back."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from dcal import weight_files, weight_manifest
from dcal.weight_families import Family, family_of
from dcal.weight_reading import WeightsError, not_finite, of_another_model, read_tensors
from dcal.weight_values import shortened

__all__ = ["LoadReport", "WeightsError", "load_pretrained", "locate"]


@dataclass(frozen=True)
class LoadReport:
    """What loading did. dropped: tensors of the pretrained classifier, which the task's own classifier replaces;
    resized: (old, new) shapes of the position embedding, or of the first of Swin's bias tables that was resized;
    resized_names: all tensors that were.
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
            what = words.get(self.resized_names, f"{shortened(self.resized_names)}, the first")
            parts.append(f"{what} resized from {self.resized[0]} to {self.resized[1]}")
        parts.append(f"pretrained classifier dropped: {', '.join(self.dropped) or 'the file has none'}")
        return "; ".join(parts)


def locate(tag: str, source: str | Path) -> Path:
    """The file of a tag's weights.

    source: ``hub`` (the hub's cache, else a download), a folder of files, or the file itself.
    Raises WeightsError naming every place looked at, and where the folder's weights.json speaks of another file.
    """
    if source == "hub":
        return weight_files.find_in_hub_cache(tag) or _download(tag)
    path = Path(source)
    if os.path.isfile(path):
        return path
    if not os.path.isdir(path):
        raise WeightsError(f"no weights at {path}: expected the file of {tag} or a folder that holds it")
    try:
        next(path.iterdir(), None)
    except OSError as error:
        raise WeightsError(f"the folder of weights {path} cannot be read: {error.strerror}") from error
    found = weight_files.find_in_folder(tag, path)
    if found is None:
        raise WeightsError(
            f"no weights of {tag} in {path}: looked for {', '.join(weight_files.file_names(tag))}. "
            f"Put the file there, or fetch it from the hub repository {weight_files.hub_repository(tag)}"
        )
    try:
        problem = weight_manifest.disagreement(tag, found, path)
    except ValueError as error:
        raise WeightsError(str(error)) from error
    if problem:
        raise WeightsError(problem)
    return found


def _download(tag: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    repository = weight_files.hub_repository(tag)
    problem: Exception | None = None
    for name in weight_files.HUB_FILES:
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

    The pretrained classifier is dropped, everything else must match exactly; tables of positions must be those of the
    input size that the weights were trained for, and are then resized to the model's (``weight_families``).
    Raises WeightsError if a tensor of the model is missing from the file, of another shape, unknown, of whole numbers,
    NaN or infinite, or if weights.json beside the file records another digest.
    """
    family = family_of(model)
    if family is None:
        raise WeightsError(
            f"no loader for {type(model).__name__}: expected a timm VisionTransformer, Cait or SwinTransformer"
        )
    sha256 = _recorded_digest(file)
    tensors, dropped = read_tensors(file, model)
    tensors = family.named(tensors)
    heads = _heads(model)
    dropped = dropped or tuple(sorted(name for name in tensors if name.split(".")[0] in heads))
    raw = {name: value for name, value in tensors.items() if name not in dropped}
    with torch.device("meta"):  # shapes only
        native = timm.create_model(model.pretrained_cfg["architecture"], pretrained=False, num_classes=0)
    expected = model.state_dict()
    # Names and shapes first: timm's filter would resample another patch size into this model without a word.
    _check(raw, expected, native.state_dict(), family, file, model)
    _require_representable(raw, expected, file)
    state = family.fitted(raw, model, native)
    model.load_state_dict(state, strict=True)
    shapes = {name: (tuple(raw[name].shape), tuple(expected[name].shape)) for name in sorted(raw)}
    resized = {name: pair for name, pair in shapes.items() if pair[0] != pair[1]}
    return LoadReport(
        str(file), sha256, len(state), dropped, next(iter(resized.values()), None), tuple(resized)
    )


def _recorded_digest(file: Path) -> str:
    """The file's digest. Raises WeightsError if another one is on record for it."""
    try:
        recorded = weight_manifest.recorded_sha256(file)
        with open(file, "rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise WeightsError(f"{file} cannot be checked: {error}") from error
    if recorded and recorded != found:
        raise WeightsError(
            f"{file} has sha256 {found[:12]}…, and {recorded[:12]}… is on record for it: it was changed or damaged "
            "since it was fetched. Nothing was loaded; delete it and call `make weights` again"
        )
    return found


def _heads(model: nn.Module) -> set[str]:
    """First parts of the names of a pretrained classifier's tensors, e.g. ``head`` of Swin's ``head.fc``."""
    classifier = model.pretrained_cfg.get("classifier") or "head"
    names = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    return {name.split(".")[0] for name in names} | {"pre_logits"}


def _check(
    state: dict[str, Tensor],
    expected: dict[str, Tensor],
    native: dict[str, Tensor],
    family: Family,
    file: Path,
    model: nn.Module,
) -> None:
    problems = []
    if missing := sorted(expected.keys() - state.keys()):
        problems.append(f"it lacks {shortened(missing)}")
    if unknown := sorted(state.keys() - expected.keys()):
        problems.append(f"it has {shortened(unknown)}, which the model has not")
    shapes, kinds = [], []
    for key in sorted(state.keys() & expected.keys()):
        wanted = _wanted_shape(key, expected, native, family)
        if tuple(state[key].shape) != wanted:
            shapes.append(f"{key} {tuple(state[key].shape)} instead of {wanted}")
        if expected[key].is_floating_point() and not state[key].is_floating_point():
            kinds.append(f"{key} is {str(state[key].dtype).removeprefix('torch.')}")
    if shapes:
        problems.append(f"shapes differ: {shortened(shapes)}")
    if kinds:
        problems.append(f"expected floating-point numbers, not a quantised copy: {shortened(kinds)}")
    if problems:
        raise of_another_model(file, model, problems)


def _require_representable(state: dict[str, Tensor], expected: dict[str, Tensor], file: Path) -> None:
    """Raises WeightsError for a finite value that becomes infinite in the model's type, e.g. float64's 1e300."""
    narrowed = {name: value.to(expected[name].dtype) for name, value in state.items()}
    if problem := not_finite(narrowed):
        raise WeightsError(f"{file} holds values that the model cannot: {problem}. Nothing was loaded")


def _wanted_shape(
    name: str, expected: dict[str, Tensor], native: dict[str, Tensor], family: Family
) -> tuple[int, ...]:
    """The model's, with the positions of the native input size."""
    shape = list(expected[name].shape)
    pattern, axis = family.positions
    if re.fullmatch(pattern, name) and name in native:
        shape[axis] = native[name].shape[axis]
    return tuple(shape)
