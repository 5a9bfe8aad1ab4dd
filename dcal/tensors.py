"""Tensors by name: how two sets of them differ, and the digest of one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

NAMED = 4  # differences told in full


def differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> list[str]:
    """Every way in which found is not a state of expected's kind, to read on from "it"; [] where names, shapes and
    dtypes are the same.
    """
    problems = [f"lacks {name}" for name in expected if name not in found]
    problems += [f"has {name}, which it should not" for name in found if name not in expected]
    for name, wanted in expected.items():
        tensor = found.get(name)
        if tensor is not None and tensor.shape != wanted.shape:
            problems.append(f"has {name} of shape {tuple(tensor.shape)} instead of {tuple(wanted.shape)}")
        elif tensor is not None and tensor.dtype != wanted.dtype:
            problems.append(f"has {name} in {_plain(tensor.dtype)} instead of {_plain(wanted.dtype)}")
    return problems


def first_of(problems: list[str]) -> str:
    """Differences as one sentence: the first few, and how many more."""
    more = f" and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
    return f"{', '.join(problems[:NAMED])}{more}"


def sha256(state: Mapping[str, Tensor]) -> str:
    """Digest of all tensors, by name, bit for bit."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
