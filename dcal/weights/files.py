"""Location of a pretrained tag's file: a folder of files, or the Hugging Face hub's cache (no torch)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

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
