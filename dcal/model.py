"""DCAL: a backbone's self-attention stream, GLCA beside its last blocks, PWCA through its blocks in training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dcal.backbones import Backbone
from dcal.heads import HEADS, Branch, Features
from dcal.partners import sample_partners
from dcal.pwca import Pairs, random_partners
from dcal.regularisers import noisy_images
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

    Raises ValueError when M or T exceeds the backbone's number of blocks, and for another T than that number where
    noise on images or labels takes PWCA's place.
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
        if pwca and pwca.needs_whole_depth and pwca.blocks != backbone.depth:
            raise ValueError(
                f"regulariser={pwca.regulariser!r} runs through all {backbone.depth} blocks: T = {pwca.blocks} has no "
                f"meaning for it, give T = {backbone.depth}"
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
        self,
        images: Tensor,
        *,
        partner: Tensor | None = None,
        partner_images: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> Outputs:
        """Features, and what the heads make of them; arguments and errors as ``features``."""
        given = {"partner": partner, "partner_images": partner_images, "labels": labels}
        return self.classify(self.features(images, **given))

    def features(
        self,
        images: Tensor,
        *,
        partner: Tensor | None = None,
        partner_images: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> Features:
        """Each branch's feature. images: (B, 3, h, w), normalised.

        partner: (B,) indices of the distractors within the batch; sampled if not given.
        partner_images: (B, 3, h, w), the distractors themselves, for pairings that bring a second batch.
        labels: (B,) classes, for pairings that look at them, ``hardest`` and ``mixed``.
        All three are training only. Raises ValueError for what does not fit the pairing, and for a batch in which an
        image finds no partner.
        """
        targets, pairs = len(images), None
        if self.pwca is not None and self.training:
            images, pairs = self._second_stream(images, partner, partner_images, labels)
        if self.glca is None and pairs is None and len(images) == targets:
            return Features(self.backbone.plain_feature(images))
        return self.backbone.features(images, targets, self.glca, pairs)

    def classify(self, features: Features) -> Outputs:
        """What the heads make of the branches' features; PWCA goes through the self-attention branch's."""
        return Outputs(
            self.sa_head(features.sa),
            self.glca_head(features.glca) if features.glca is not None else None,
            self.sa_head(features.pwca, keep_statistics=True) if features.pwca is not None else None,
        )

    def _second_stream(
        self, images: Tensor, partner: Tensor | None, partner_images: Tensor | None, labels: Tensor | None
    ) -> tuple[Tensor, Pairs | None]:
        """The images that the blocks take, and how they are paired: as PWCA or a regulariser in its place has it.

        Without pairs the second stream is the second half of the images.
        """
        pwca = self.pwca
        if pwca.regulariser == "pwca":
            images, partner = self._pair(images, partner, partner_images, labels)
            return images, Pairs(partner, pwca.blocks, pwca.stream, len(images))
        if partner is not None or partner_images is not None:
            raise ValueError(f"regulariser={pwca.regulariser!r} pairs no images: give it no partners")
        if pwca.regulariser == "kv_noise":
            return images, Pairs(None, pwca.blocks, "own", len(images))
        again = noisy_images(images, pwca.noise) if pwca.regulariser == "image_noise" else images
        return torch.cat((images, again)), None

    def _pair(
        self, images: Tensor, partner: Tensor | None, partner_images: Tensor | None, labels: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The images whose self-attention stream is needed, and where in it each target's distractor lies."""
        pairing = self.pwca.pairing
        if self.pwca.brings_partners:
            if partner is not None:
                raise ValueError(
                    f"partner indices belong to pairing within the batch; pairing={pairing!r} takes partner_images"
                )
            if partner_images is None or partner_images.shape != images.shape:
                found = "none" if partner_images is None else tuple(partner_images.shape)
                raise ValueError(
                    f"pairing={pairing!r} needs partner_images of shape {tuple(images.shape)}, found {found}"
                )
            partner = torch.arange(len(images), 2 * len(images), device=images.device)
            return torch.cat((images, partner_images)), partner
        if partner_images is not None:
            raise ValueError(
                f"partner_images belong to pairing='loader' and its like; pairing={pairing!r} pairs within the batch"
            )
        if partner is None:
            partner = self._sampled(images, labels)
        elif partner.shape != (len(images),):
            raise ValueError(
                f"partner needs one index an image, {len(images)}; found shape {tuple(partner.shape)}"
            )
        if images.is_cuda and not partner.is_cuda:
            partner = partner.pin_memory()  # or the copy waits for all that is queued
        return images, partner.to(images.device, non_blocking=True)

    def _sampled(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Each image's partner in the batch."""
        if not self.pwca.pairs_by_features:
            return random_partners(len(images))
        if labels is None or labels.shape != (len(images),):
            found = "none" if labels is None else tuple(labels.shape)
            raise ValueError(
                f"pairing={self.pwca.pairing!r} needs labels of shape ({len(images)},), found {found}"
            )
        return sample_partners(self.pwca.pairing, labels, self._sa_features(images))

    @torch.no_grad()
    def _sa_features(self, images: Tensor) -> Tensor:
        """What inference sees, by the current weights: no path is dropped. One more forward pass."""
        training = [module for module in self.backbone.modules() if module.training]
        self.backbone.eval()
        try:
            return self.backbone.plain_feature(images)
        finally:
            for module in training:
                module.training = True
