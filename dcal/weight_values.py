"""Search for NaN and infinite values in a weights file, without loading a model (no torch)."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dcal import torch_outline

NAME_LIMIT = 6  # tensors that an error names before "and n more"
# Names of floating-point types in each format; numpy has no bfloat16, which is the upper half of a float32.
_KINDS = {
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
}


def not_finite(file: Path) -> str:
    """Names of the tensors of a complete file with NaN or infinite values, e.g. ``head.weight (NaN)``, or "".

    Raises any error that a damaged file causes.
    """
    names = []
    for name, kind, values in _tensors(file):
        if is_mask(name):
            continue
        if kind == "bfloat16":
            values = (values.astype(np.uint32) << 16).view(np.float32)
        if not np.isfinite(values).all():
            names.append(description(name, kind, bool(np.isnan(values).any())))
    return join_names(names)


def is_mask(name: str) -> bool:
    """Whether a tensor is an attention mask, which is not trained and may be infinite."""
    return name.endswith("attn_mask")


def description(name: str, kind: str, has_nan: bool) -> str:
    """A tensor's name with its kind of value. kind: its type, such as ``float16``."""
    overflow = " in float16, which holds at most 65,504" if kind == "float16" else ""
    return f"{name} ({'NaN' if has_nan else f'infinite{overflow}'})"


def join_names(names: Sequence[str]) -> str:
    """The first names as text, and the number of the others."""
    more = len(names) - NAME_LIMIT
    return ", ".join(names[:NAME_LIMIT]) + (f" and {more} more" if more > 0 else "")


def _tensors(file: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    """(name, type, values) of each floating-point tensor; of bfloat16 its 16 bits."""
    if file.suffix == ".safetensors":
        return _safetensors(file)
    if file.suffix == ".npz":
        return _arrays(file)
    return _zipped(file) if zipfile.is_zipfile(file) else _legacy(file)


def _safetensors(file: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    with open(file, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
        header.pop("__metadata__", None)
        for name, entry in header.items():
            if kind := _KINDS.get(entry["dtype"]):
                begin, end = entry["data_offsets"]
                stream.seek(8 + length + begin)
                yield name, kind, _values(stream.read(end - begin), kind)


def _arrays(file: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    with np.load(file, allow_pickle=False) as arrays:
        for name in arrays.files:
            values = arrays[name]
            if values.dtype.kind == "f":
                yield name, values.dtype.name, values


def _zipped(file: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    with zipfile.ZipFile(file) as archive:
        outline_name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        root = outline_name.removesuffix("data.pkl")
        with archive.open(outline_name) as stream:
            outline = torch_outline.Outline(stream)
            outline.load()
        is_big = f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") == b"big"
        for key, storage in outline.kinds.items():
            if kind := _KINDS.get(storage):
                content = archive.read(f"{root}data/{key}")
                yield (
                    outline.names.get(key, f"storage {key}"),
                    kind,
                    _values(content, kind, ">" if is_big else "<"),
                )


def _legacy(file: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    with open(file, "rb") as stream:
        outline = torch_outline.legacy_head(stream)
        for key, count in torch_outline.legacy_storages(stream, outline):
            if kind := _KINDS.get(outline.kinds[key]):
                content = stream.read(count * outline.item_bytes(key))
                yield outline.names.get(key, f"storage {key}"), kind, _values(content, kind)


def _values(content: bytes, kind: str, order: str = "<") -> np.ndarray:
    name = "uint16" if kind == "bfloat16" else kind
    return np.frombuffer(content, np.dtype(name).newbyteorder(order))
