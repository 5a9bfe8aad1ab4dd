"""Pretrained weights into a timm backbone: found, read, resized, checked, and reported. Never a silent fall-back."""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import timm
import torch
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import Tensor, nn

from dcal import weight_files

NAMED = 6  # tensors named in an error before "and n more"


class WeightsError(RuntimeError):
    """A weights file that is missing, unreadable or not this model's."""


@dataclass(frozen=True)
class LoadReport:
    """What loading did. resized: position embedding (old, new) shapes; dropped: tensors of the pretrained
    classifier, which the task's own classifier replaces."""

    file: str
    sha256: str
    loaded: int
    dropped: tuple[str, ...]
    resized: tuple[tuple[int, ...], tuple[int, ...]] | None

    def __str__(self) -> str:
        parts = [f"{self.loaded} pretrained tensors from {self.file}"]
        if self.resized:
            parts.append(f"position embedding resized from {self.resized[0]} to {self.resized[1]}")
        parts.append(f"pretrained classifier dropped: {', '.join(self.dropped) or 'the file has none'}")
        return "; ".join(parts)


def locate(tag: str, source: str | Path) -> Path:
    """The file of a tag's weights.

    source: ``hub`` (the hub's cache, else a download), a folder of files, or the file itself.
    Raises WeightsError naming every place looked at.
    """
    if source == "hub":
        return weight_files.find_in_hub_cache(tag) or _download(tag)
    path = Path(source)
    if path.is_file():
        return path
    if not path.is_dir():
        raise WeightsError(f"no weights at {path}: expected the file of {tag} or a folder that holds it")
    found = weight_files.find_in_folder(tag, path)
    if found is None:
        raise WeightsError(
            f"no weights of {tag} in {path}: looked for {', '.join(weight_files.file_names(tag))}. "
            f"Put the file there, or fetch it from the hub repository {weight_files.hub_repository(tag)}"
        )
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
    """Load a file (.safetensors, .pth/.pt/.bin with tensors only, Google's .npz) into a headless timm ViT.

    Position embeddings are resized to the model's grid as timm does (bicubic, antialiased); the pretrained
    classifier is dropped; everything else must match exactly.
    Raises WeightsError if a tensor of the model is missing from the file, of another shape, or unknown.
    """
    if not isinstance(model, VisionTransformer):
        raise WeightsError(f"no loader for {type(model).__name__}: expected a timm VisionTransformer")
    raw, dropped = _read(file, model)
    expected = model.state_dict()
    # Names and shapes first: timm's filter would resample another patch size into this model without a word.
    _check(raw, expected, file, model)
    state = checkpoint_filter_fn(dict(raw), model)
    model.load_state_dict(state, strict=True)
    source, target = tuple(raw["pos_embed"].shape), tuple(expected["pos_embed"].shape)
    return LoadReport(
        str(file), _sha256(file), len(state), dropped, (source, target) if source != target else None
    )


def _read(file: Path, model: VisionTransformer) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors by timm's names without the pretrained classifier's, and the names of those left out."""
    try:
        if file.suffix == ".npz":
            return _read_npz(file, model)
        if file.suffix == ".safetensors":
            state = safetensors.torch.load_file(file)
        else:
            state = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not _is_torch_file(file):
            raise _unreadable(file, error) from error
        raise WeightsError(
            f"{file} holds pickled objects beside tensors and is not loaded: they could run any code. "
            "Re-save its state_dict alone, or as .safetensors"
        ) from error
    except (OSError, EOFError, ValueError, RuntimeError, KeyError, zipfile.BadZipFile) as error:
        raise _unreadable(file, error) from error
    except safetensors.SafetensorError as error:
        raise _unreadable(file, error) from error
    for wrapper in ("model", "state_dict"):
        state = state.get(wrapper, state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{file} holds no state_dict: expected tensors by name")
    classifier = model.pretrained_cfg.get("classifier") or "head"
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    dropped = tuple(sorted(key for key in state if key.split(".")[0] in (*heads, "pre_logits")))
    return {key: value for key, value in state.items() if key not in dropped}, dropped


def _read_npz(file: Path, model: VisionTransformer) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Google's JAX layout, read by timm at the weights' native size, so that every later step is the same as for
    the other formats (timm's npz path would resize the position embedding bilinearly)."""
    native = timm.create_model(model.pretrained_cfg["architecture"], pretrained=False, num_classes=0)
    with np.load(file, allow_pickle=False) as arrays:
        names = arrays.files
        blocks = {part for name in names for part in name.split("/") if part.startswith("encoderblock_")}
        kernels = [arrays[name].shape for name in names if name.endswith("embedding/kernel")]
    height, width = native.patch_embed.proj.weight.shape[-2:]
    problems = []
    if len(blocks) != len(native.blocks):
        problems.append(f"it has {len(blocks)} blocks instead of {len(native.blocks)}")
    if kernels and kernels[0][:2] != (height, width):
        problems.append(f"its patches are {kernels[0][0]}x{kernels[0][1]} instead of {height}x{width}")
    if problems:
        raise _of_another_model(file, native, problems)
    with torch.no_grad():
        native.load_pretrained(str(file))
    dropped = tuple(sorted(name for name in names if {"head", "pre_logits"} & set(name.split("/"))))
    return native.state_dict(), dropped


def _is_torch_file(file: Path) -> bool:
    with open(file, "rb") as stream:
        return stream.read(2) in (b"PK", b"\x80\x02")


def _unreadable(file: Path, error: Exception) -> WeightsError:
    size = file.stat().st_size if file.exists() else 0
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return WeightsError(
        f"{file} ({size:,} bytes) cannot be read as {file.suffix} weights: {reason}. Fetch it again"
    )


def _check(state: dict[str, Tensor], expected: dict[str, Tensor], file: Path, model: nn.Module) -> None:
    problems = []
    if missing := sorted(expected.keys() - state.keys()):
        problems.append(f"it lacks {_some(missing)}")
    if unknown := sorted(state.keys() - expected.keys()):
        problems.append(f"it has {_some(unknown)}, which the model has not")
    shapes = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(expected[key].shape)}"
        for key in sorted(state.keys() & expected.keys())
        if not _fits(key, state[key].shape, expected[key].shape)
    ]
    if shapes:
        problems.append(f"shapes differ: {_some(shapes)}")
    if problems:
        raise _of_another_model(file, model, problems)


def _fits(name: str, found: torch.Size, expected: torch.Size) -> bool:
    """Equal shapes; of the position embedding only the number of positions may differ, it is resized."""
    if name == "pos_embed":
        return len(found) == 3 and (found[0], found[2]) == (expected[0], expected[2])
    return found == expected


def _of_another_model(file: Path, model: nn.Module, problems: list[str]) -> WeightsError:
    architecture = model.pretrained_cfg.get("architecture", type(model).__name__)
    return WeightsError(f"{file} is not a file of {architecture}: {'; '.join(problems)}. Nothing was loaded")


def _some(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _sha256(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
