"""weights.json, the manifest of a folder of pretrained weights, by timm tag (no torch).

`make weights` writes it; weights that are loaded from the folder must agree with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from dataclasses import asdict, dataclass, fields
from pathlib import Path

NAME = "weights.json"
_LIMIT = 10 * 2**20  # bytes


@dataclass(frozen=True)
class WeightsEntry:
    """A tag's file. file: name relative to the folder. size: bytes. source: its address or original file; ``found`` for
    one already in the folder."""

    tag: str
    file: str
    size: int
    sha256: str
    source: str


def read(folder: Path) -> dict[str, WeightsEntry]:
    """Entries by tag; {} for a folder without manifest. Raises ValueError for a damaged manifest."""
    path = folder / NAME
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a named pipe would wait for ever
            raise ValueError(f"{path} is a folder, a pipe or a device, expected a file; remove it")
        if status.st_size > _LIMIT:
            raise ValueError(f"{path} has {status.st_size:,} bytes, expected at most {_LIMIT:,}; remove it")
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    try:
        rows = json.loads(text)["files"]
        entries = [WeightsEntry(tag, **{name: row[name] for name in _ROW}) for tag, row in rows.items()]
        for entry, name in ((entry, name) for entry in entries for name in _ROW):
            if type(getattr(entry, name)) is not (int if name == "size" else str):
                raise ValueError(f"{name} of {entry.tag} is {getattr(entry, name)!r}")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} is damaged ({type(error).__name__}: {error}): expected what `make weights` writes; delete it "
            "and call `make weights` again"
        ) from error
    return {entry.tag: entry for entry in entries}


_ROW = tuple(field.name for field in fields(WeightsEntry) if field.name != "tag")


def manifest_json(entries: dict[str, WeightsEntry]) -> dict[str, object]:
    """Content of the manifest, sorted by tag."""
    rows = {tag: asdict(entries[tag]) for tag in sorted(entries)}
    for row in rows.values():
        del row["tag"]
    return {"schema": 1, "files": rows}


def disagreement(tag: str, file: Path, folder: Path) -> str:
    """Difference in name or size between a tag's file and the manifest of its folder, or "".

    Raises ValueError for a damaged manifest.
    """
    entry = read(folder).get(tag)
    if entry is None:
        return ""
    name = file.relative_to(folder).as_posix()
    if name != entry.file:
        return (
            f"{folder / NAME} says that the weights of {tag} are {entry.file}, but {name} is found first: remove "
            f"one of the two files, or the tag's entry in {NAME}, and call `make weights` again"
        )
    size = file.stat().st_size
    if size != entry.size:
        return (
            f"{file} has {size:,} bytes, {NAME} beside it says {entry.size:,}: delete it and call `make weights` "
            "again"
        )
    return ""


def recorded_sha256(file: Path) -> str:
    """Digest that a file should have, or "": from the manifest of its folder or of the parent folder
    (``TAG/model.safetensors``), or from its name in the hub's cache, where a large file's name is its digest.

    Raises ValueError for a damaged manifest.
    """
    for folder in (file.parent, file.parent.parent):
        name = file.relative_to(folder).as_posix()
        for entry in read(folder).values():
            if entry.file == name:
                return entry.sha256
    blob = file.resolve()
    in_cache = file.is_symlink() and blob.parent.name == "blobs"
    return blob.name if in_cache and re.fullmatch(r"[0-9a-f]{64}", blob.name) else ""


# --- Location of a pretrained tag's file: a folder of files, or the Hugging Face hub's cache ---

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".npz")
HUB_FILES = ("model.safetensors", "pytorch_model.bin")

# File names in the authors' publications.
PUBLISHED_NAMES = {
    "deit_tiny_patch16_224.fb_in1k": ("deit_tiny_patch16_224-a1311bcf.pth",),
    "deit_small_patch16_224.fb_in1k": ("deit_small_patch16_224-cd65a155.pth",),
    "deit_base_patch16_224.fb_in1k": ("deit_base_patch16_224-b5f2ef4d.pth",),
    "vit_base_patch16_224.orig_in21k": ("ViT-B_16.npz",),
    "vit_base_r50_s16_224.orig_in21k": ("R50+ViT-B_16.npz",),
    "cait_xs24_384.fb_dist_in1k": ("XS24_384.pth",),
    "swin_tiny_patch4_window7_224.ms_in1k": ("swin_tiny_patch4_window7_224.pth",),
}


def file_names(tag: str) -> tuple[str, ...]:
    """Possible file names of a tag's weights in a folder, in order of preference."""
    return (
        *(tag + suffix for suffix in SUFFIXES),
        *PUBLISHED_NAMES.get(tag, ()),
        *(f"{tag}/{name}" for name in HUB_FILES),
    )


def find_in_folder(tag: str, folder: Path) -> Path | None:
    """The tag's file in a folder of weights, or None."""
    return next((path for name in file_names(tag) if os.path.isfile(path := folder / name)), None)


def hub_repository(tag: str) -> str:
    """Hub repository of a timm tag's weights."""
    return f"timm/{tag}"


def find_in_hub_cache(tag: str) -> Path | None:
    """The tag's file in the local hub cache, or None; without network."""
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub")
    repository = cache / f"models--{hub_repository(tag).replace('/', '--')}"
    snapshots = sorted(path for path in repository.glob("snapshots/*") if os.path.isdir(path))
    current = repository / "refs" / "main"
    if os.path.isfile(current):  # the newest revision on the hub comes first
        with contextlib.suppress(OSError):  # it only gives the order
            newest = current.read_bytes().decode(errors="replace").strip()
            snapshots.sort(key=lambda path: path.name != newest)
    return next(
        (path for snapshot in snapshots for name in HUB_FILES if os.path.isfile(path := snapshot / name)),
        None,
    )


def hub_is_offline() -> bool:
    """Whether the environment forbids the hub (compute nodes)."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
