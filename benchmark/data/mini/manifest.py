"""The committed weight files and the manifest that says how each was made."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save as to_bytes
from torch import Tensor

from benchmark.config.backbones import WEIGHTS, weights_file

MANIFEST = WEIGHTS / "manifest.json"


def read() -> dict[str, dict[str, Any]]:
    """Rows of the manifest by tag; empty if there is none yet."""
    return json.loads(MANIFEST.read_text()) if MANIFEST.exists() else {}


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)


def machine() -> str:
    """The machine in words: no names, only what matters for the time."""
    cores, threads = os.cpu_count(), torch.get_num_threads()
    return f"{cores}-core {platform.machine()}, {threads} training thread{'s' if threads > 1 else ''}"


def save(tag: str, state: Mapping[str, Tensor], measured: Mapping[str, Any]) -> None:
    """Write the weights of ``tag`` (float16) and its manifest row, each atomically."""
    content = to_bytes(dict(state))
    _replace(weights_file(tag), content)
    row = {
        "file": weights_file(tag).name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "parameters": sum(t.numel() for t in state.values()),
        **measured,
        "machine": machine(),
        "torch": torch.__version__.split("+")[0],
        "timm": timm.__version__,
    }
    rows = {**read(), tag: row}
    _replace(MANIFEST, (json.dumps(dict(sorted(rows.items())), indent=2) + "\n").encode())
