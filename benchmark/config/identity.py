"""Which weights a mini backbone has, by their content (no torch)."""

from __future__ import annotations

import hashlib
from pathlib import Path

from benchmark.errors import DataError

WEIGHTS = Path(__file__).resolve().parents[1] / "data" / "mini" / "weights"


def weights_file(tag: str) -> Path:
    """Where the committed weights of ``tag`` (``<architecture>.generic``) lie."""
    return WEIGHTS / f"{tag}.safetensors"


def sha256_of(tag: str) -> str:
    """SHA-256 of the weights file of ``tag``; raises DataError if there is none."""
    path = weights_file(tag)
    if not path.is_file():
        raise DataError(
            f"{path.name}: no such file in {WEIGHTS}, expected the committed weights of the mini backbone. "
            "Restore it with `git checkout benchmark/data/mini/weights`, or train it: make mini-weights"
        )
    return hashlib.sha256(path.read_bytes()).hexdigest()
