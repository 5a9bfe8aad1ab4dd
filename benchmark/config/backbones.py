"""One row a backbone: the paper's name, the pinned timm tag of its weights, its mini stand-in (no torch)."""

from __future__ import annotations

from dataclasses import dataclass


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
