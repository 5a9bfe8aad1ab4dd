"""A weights file's tensors by timm's names, from every format in which they are published."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn


class WeightsError(RuntimeError):
    """A weights file that is missing, unreadable or not this model's."""


def read_tensors(file: Path, model: nn.Module) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The file's tensors, and the names of the classifier's where they are not among the tensors (.npz).

    .safetensors; .pth, .pt, .bin with tensors only, bare or under ``model`` or ``state_dict``; Google's .npz for a ViT.
    Raises WeightsError for a file that cannot be read, and for one with pickled objects, which could run any code.
    """
    try:
        if file.suffix == ".npz":
            return _google(file, model)
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
        if isinstance(error, WeightsError):
            raise
        raise _unreadable(file, error) from error
    except safetensors.SafetensorError as error:
        raise _unreadable(file, error) from error
    for wrapper in ("model", "state_dict"):
        state = state.get(wrapper, state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{file} holds no state_dict: expected tensors by name")
    return dict(state), ()


def of_another_model(file: Path, model: nn.Module, problems: list[str]) -> WeightsError:
    """The error for a file whose tensors are not the model's."""
    architecture = model.pretrained_cfg.get("architecture", type(model).__name__)
    return WeightsError(f"{file} is not a file of {architecture}: {'; '.join(problems)}. Nothing was loaded")


def _google(file: Path, model: nn.Module) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Google's JAX layout, read by timm at the weights' native size, so that every later step is the same as for
    the other formats (timm's npz path would resize the position embedding bilinearly)."""
    if not isinstance(model, VisionTransformer):
        raise of_another_model(file, model, ["an .npz holds a ViT in Google's layout"])
    # The weights drawn here are overwritten; what the run draws afterwards must not depend on the file's format.
    with torch.random.fork_rng(devices=()):
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
        raise of_another_model(file, native, problems)
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
