"""Tensors of a weights file by timm's names, from all published formats."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import safetensors.torch
import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from dcal.weights import integrity

NAMED = 6  # tensors that an error names before "and n more"
_REFETCH = "fetch it again, or convert it again from a whole copy"


class WeightsError(RuntimeError):
    """Error of a weights file that is missing, unreadable or of another model."""


def read_tensors(file: Path, model: nn.Module) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The file's tensors, and the names of the classifier's that are not among them (.npz).

    file: .safetensors; .pth, .pt, .bin with tensors only, bare or under ``model`` or ``state_dict``; Google's .npz of a
    ViT. Raises WeightsError as ``read_state``, and for NaN or infinite values.
    """
    state = read_state(file)
    if problem := not_finite(state):
        raise WeightsError(
            f"{file} holds values that are no numbers: {problem}. Nothing was loaded; {_REFETCH}"
        )
    if file.suffix != ".npz":
        return state, ()
    try:
        return _read_google(file, state, model)
    except WeightsError:
        raise
    except Exception as error:  # timm's reader fails in many ways on other arrays
        raise _unreadable(file, reason(error)) from error


def read_state(file: Path) -> dict[str, Tensor]:
    """All tensors of a weights file by the file's names; of a torch file also those under ``model`` or ``state_dict``.

    Raises WeightsError for an unreadable file, and for one with pickled objects, which could run any code.
    """
    if problem := integrity.defect(file, thorough=True):
        raise _unreadable(file, problem)
    try:
        if file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as arrays:
                return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        if file.suffix == ".safetensors":
            return safetensors.torch.load_file(file)
        state = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        match = re.search(r"GLOBAL ([\w.]+)", str(error))
        if match is None and "Trying to" not in str(error):
            raise _unreadable(file, reason(error)) from error
        raise WeightsError(
            f"{file} holds pickled objects beside tensors{f' ({match[1]})' if match else ''} and is not loaded: they "
            "could run any code. Re-save its state_dict alone, or as .safetensors"
        ) from error
    except Exception as error:  # damaged content causes errors of many kinds
        raise _unreadable(file, reason(error)) from error
    for wrapper in ("model", "state_dict"):
        state = state.get(wrapper, state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise WeightsError(f"{file} holds no tensors by name: expected a state_dict")
    return dict(state)


def not_finite(tensors: Mapping[str, Tensor]) -> str:
    """Names of the tensors with NaN or infinite values, e.g. ``blocks.3.attn.qkv.weight (NaN)``, or "".

    Attention masks are left out: they are not trained and may be infinite.
    """
    names = []
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or name.endswith("attn_mask"):
            continue
        values = tensor if tensor.dtype.itemsize > 1 else tensor.float()  # 8 bits: torch cannot compare them
        if not torch.isfinite(values).all():
            overflow = " in float16, which holds at most 65,504" if tensor.dtype == torch.float16 else ""
            names.append(f"{name} ({'NaN' if values.isnan().any() else f'infinite{overflow}'})")
    return first_names(names)


def first_names(names: Sequence[str]) -> str:
    """The first few names as text, and how many more there are."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def reason(error: Exception) -> str:
    """A library's reason not to read a file; its text unless that is advice to load the file without a check."""
    text = str(error).splitlines()[0] if str(error) else ""
    if isinstance(error, OSError):
        text = error.strerror or text
    if (
        not text
        or "weights_only" in text
        or "torch.load" in text
        or isinstance(error, pickle.UnpicklingError)
    ):
        return f"its content is damaged ({type(error).__name__})"
    return text


def wrong_model_error(file: Path, model: nn.Module, problems: list[str]) -> WeightsError:
    """Error of a file whose tensors are not the model's."""
    architecture = model.pretrained_cfg.get("architecture", type(model).__name__)
    return WeightsError(f"{file} is not a file of {architecture}: {'; '.join(problems)}. Nothing was loaded")


def _read_google(
    file: Path, arrays: Mapping[str, Tensor], model: nn.Module
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """As ``read_tensors`` for Google's JAX layout, read by timm at the weights' native size. All later steps are then
    those of the other formats; timm's own way would resize the position embedding bilinearly."""
    if not isinstance(model, VisionTransformer):
        raise wrong_model_error(file, model, ["an .npz holds a ViT in Google's layout"])
    # These random weights are overwritten; later random numbers of the run must not depend on the file's format.
    with torch.random.fork_rng(devices=()):
        native = timm.create_model(model.pretrained_cfg["architecture"], pretrained=False, num_classes=0)
    blocks = {part for name in arrays for part in name.split("/") if part.startswith("encoderblock_")}
    kernels = [array.shape for name, array in arrays.items() if name.endswith("embedding/kernel")]
    height, width = native.patch_embed.proj.weight.shape[-2:]
    problems = []
    if len(blocks) != len(native.blocks):
        problems.append(f"it has {len(blocks)} blocks instead of {len(native.blocks)}")
    if kernels and kernels[0][:2] != (height, width):
        problems.append(f"its patches are {kernels[0][0]}x{kernels[0][1]} instead of {height}x{width}")
    if problems:
        raise wrong_model_error(file, native, problems)
    with torch.no_grad():
        native.load_pretrained(str(file))
    dropped = tuple(sorted(name for name in arrays if {"head", "pre_logits"} & set(name.split("/"))))
    return native.state_dict(), dropped


def _unreadable(file: Path, problem: str) -> WeightsError:
    """Error of a file that cannot be read."""
    size = file.stat().st_size if file.exists() else 0
    return WeightsError(
        f"{file} ({size:,} bytes) cannot be read as {file.suffix} weights: {problem}. {_REFETCH.capitalize()}"
    )
