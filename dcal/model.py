"""DCAL: a backbone's self-attention stream, GLCA beside its last blocks, PWCA through its blocks in training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dcal.backbones import Backbone
from dcal.heads import HEADS, Branch, Features
from dcal.pwca import Pairs, random_partners
from dcal.settings import GLCASettings, PWCASettings


@dataclass(frozen=True)
class Outputs:
    """What each branch says; a branch that is off, or PWCA in eval mode, is None."""

    sa: Branch
    glca: Branch | None = None
    pwca: Branch | None = None

    def branches(self) -> dict[str, Branch]:
        """The branches that ran, by name."""
        named = {"sa": self.sa, "glca": self.glca, "pwca": self.pwca}
        return {name: branch for name, branch in named.items() if branch is not None}


class DCAL(nn.Module):
    """The architecture of the paper: L self-attention, M GLCA and T PWCA blocks.

    backbone: adapter around a timm model, which already holds its pretrained weights.
    classes: number of classes (FGVC) or training identities (Re-ID).
    head: ``linear`` or ``bnneck``.
    glca, pwca: settings of the two cross-attentions, None switches one off. With both off this is the paper's
        baseline and runs timm's own forward.

    Raises ValueError when M or T exceeds the backbone's number of blocks.
    """

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        head: str = "linear",
        glca: GLCASettings | None = None,
        pwca: PWCASettings | None = None,
    ) -> None:
        super().__init__()
        if head not in HEADS:
            raise ValueError(f"unknown head {head!r}: expected one of {', '.join(HEADS)}")
        if pwca and pwca.blocks > backbone.depth:
            raise ValueError(
                f"T = {pwca.blocks} PWCA blocks need as many self-attention blocks, found {backbone.depth}"
            )
        self.backbone = backbone
        self.pwca = pwca
        self.sa_head = HEADS[head](backbone.width, classes)
        self.glca = self.glca_head = None
        if glca:
            self.glca = backbone.make_glca(glca)
            self.glca_head = HEADS[head](backbone.width, classes)

    @property
    def branch_names(self) -> tuple[str, ...]:
        """The branches that are trained."""
        return ("sa", *(("glca",) if self.glca else ()), *(("pwca",) if self.pwca else ()))

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Keep for the backward pass only what lies between the backbone's blocks, and run each of them again there."""
        self.backbone.vit.set_grad_checkpointing(enable)

    def forward(
        self, images: Tensor, *, partner: Tensor | None = None, partner_images: Tensor | None = None
    ) -> Outputs:
        """Features, and what the heads make of them; arguments and errors as ``features``."""
        return self.classify(self.features(images, partner=partner, partner_images=partner_images))

    def features(
        self, images: Tensor, *, partner: Tensor | None = None, partner_images: Tensor | None = None
    ) -> Features:
        """Each branch's feature. images: (B, 3, h, w), normalised.

        partner: (B,) indices of the distractors within the batch; drawn at random if not given.
        partner_images: (B, 3, h, w), the distractors themselves, for ``pairing="loader"``.
        Both are training only. Raises ValueError for a batch of one with in-batch pairing.
        """
        targets, pairs = len(images), None
        if self.pwca is not None and self.training:
            images, partner = self._pair(images, partner, partner_images)
            pairs = Pairs(partner, self.pwca.blocks, self.pwca.stream)
        if self.glca is None and pairs is None:
            return Features(self.backbone.plain_feature(images))
        return self.backbone.features(images, targets, self.glca, pairs)

    def classify(self, features: Features) -> Outputs:
        """What the heads make of the branches' features; PWCA goes through the self-attention branch's."""
        return Outputs(
            self.sa_head(features.sa),
            self.glca_head(features.glca) if features.glca is not None else None,
            self.sa_head(features.pwca, keep_statistics=True) if features.pwca is not None else None,
        )

    def _pair(
        self, images: Tensor, partner: Tensor | None, partner_images: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The images whose self-attention stream is needed, and where in it each target's distractor lies."""
        if self.pwca.pairing == "loader":
            if partner is not None:
                raise ValueError("partner indices belong to pairing='batch'; this model takes partner_images")
            if partner_images is None or partner_images.shape != images.shape:
                found = "none" if partner_images is None else tuple(partner_images.shape)
                raise ValueError(
                    f"pairing='loader' needs partner_images of shape {tuple(images.shape)}, found {found}"
                )
            partner = torch.arange(len(images), 2 * len(images), device=images.device)
            return torch.cat((images, partner_images)), partner
        if partner_images is not None:
            raise ValueError("partner_images belong to pairing='loader'; this model pairs within the batch")
        if partner is None:
            partner = random_partners(len(images))
        elif partner.shape != (len(images),):
            raise ValueError(
                f"partner needs one index an image, {len(images)}; found shape {tuple(partner.shape)}"
            )
        if images.is_cuda and not partner.is_cuda:
            partner = partner.pin_memory()  # or the copy waits for all that is queued
        return images, partner.to(images.device, non_blocking=True)
