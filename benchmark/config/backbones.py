"""One row a backbone: the paper's name, the pinned timm tag of its weights, its mini stand-in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import DataError


@dataclass(frozen=True)
class BackboneRow:
    """A backbone of the grid.

    key: name in cell ids; title: the paper's name.
    tag: timm model with its pretrained weights, ``<architecture>.<weights>`` (bare names would
        resolve to other weights in newer timm).
    mini: the small stand-in of the same family used by the mini profile.
    glca: False where DCAL is PWCA alone, as in the paper for Swin, which has no class token.
    """

    key: str
    title: str
    tag: str
    mini: str
    glca: bool = True


BACKBONES: dict[str, BackboneRow] = {
    row.key: row
    for row in (
        BackboneRow(
            "deit_tiny", "DeiT-Tiny", "deit_tiny_patch16_224.fb_in1k", "mini_deit_tiny_patch8_48.generic"
        ),
        BackboneRow(
            "deit_small", "DeiT-Small", "deit_small_patch16_224.fb_in1k", "mini_deit_small_patch8_48.generic"
        ),
        BackboneRow(
            "deit_base", "DeiT-Base", "deit_base_patch16_224.fb_in1k", "mini_deit_base_patch8_48.generic"
        ),
        BackboneRow(
            "vit_base", "ViT-Base", "vit_base_patch16_224.orig_in21k", "mini_vit_base_patch8_48.generic"
        ),
        BackboneRow(
            "r50_vit_base",
            "R50-ViT-Base",
            "vit_base_r50_s16_224.orig_in21k",
            "mini_vit_base_r50_s8_48.generic",
        ),
        BackboneRow("cait_xs24", "CaiT-XS24", "cait_xs24_384.fb_dist_in1k", "mini_cait_xs24_48.generic"),
        BackboneRow(
            "swin_tiny",
            "Swin-T",
            "swin_tiny_patch4_window7_224.ms_in1k",
            "mini_swin_tiny_48.generic",
            glca=False,
        ),
    )
}


# --- Which weights a mini backbone has, by their content ---

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
