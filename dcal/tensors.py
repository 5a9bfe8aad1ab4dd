"""Tensors by name: differences between two states, and the digest of one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

NAME_LIMIT = 4  # differences that a message names


def differences(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    """Differences in names, shapes and dtypes, as phrases after "it"; [] where there are none."""
    problems = [f"lacks {name}" for name in expected if name not in state]
    problems += [f"has {name}, which it should not" for name in state if name not in expected]
    for name, model in expected.items():
        tensor = state.get(name)
        if tensor is not None and tensor.shape != model.shape:
            problems.append(f"has {name} of shape {tuple(tensor.shape)} instead of {tuple(model.shape)}")
        elif tensor is not None and tensor.dtype != model.dtype:
            problems.append(
                f"has {name} in {_dtype_name(tensor.dtype)} instead of {_dtype_name(model.dtype)}"
            )
    return problems


def differences_text(problems: list[str]) -> str:
    """The first differences as one phrase, and the number of the others."""
    more = f" and {len(problems) - NAME_LIMIT} more" if len(problems) > NAME_LIMIT else ""
    return f"{', '.join(problems[:NAME_LIMIT])}{more}"


def sha256(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of all tensors with their names, dtypes and shapes."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
