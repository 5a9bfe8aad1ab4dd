"""DCAL: the self-attention stream of a backbone, GLCA beside its last blocks, PWCA through its blocks in training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dcal.backbones import Backbone
from dcal.heads import HEADS, Branch, Features
from dcal.pair_sampling import sample_partners
from dcal.pwca import Pairs, noisy_images, random_partners
from dcal.settings import GLCASettings, PWCASettings


@dataclass(frozen=True)
class Outputs:
    """Logits and feature of each branch; None for a branch that is off, and for PWCA in eval mode."""

    sa: Branch
    glca: Branch | None = None
    pwca: Branch | None = None

    def branches(self) -> dict[str, Branch]:
        """The branches that are not None, by name."""
        branches = {"sa": self.sa, "glca": self.glca, "pwca": self.pwca}
        return {name: branch for name, branch in branches.items() if branch is not None}


class DCAL(nn.Module):
    """The architecture of the paper: L self-attention, M GLCA and T PWCA blocks.

    backbone: adapter of a timm model, which has its pretrained weights already.
    classes: number of classes (FGVC) or training identities (Re-ID).
    head: ``linear`` or ``bnneck``.
    glca, pwca: settings of the two cross-attentions; None: off. With both off this is the paper's baseline, by timm's
        own forward pass.

    Raises ValueError for M or T above the backbone's number of blocks, and for T below it where noise on images or
    labels takes PWCA's place.
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
        """Keep for the backward pass only the tokens between the backbone's blocks, and run each block again there."""
        self.backbone.vit.set_grad_checkpointing(enable)

    def forward(
        self,
        images: Tensor,
        *,
        partner: Tensor | None = None,
        partner_images: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> Outputs:
        """Logits and feature of each branch; arguments and errors as ``features``."""
        distractors = {"partner": partner, "partner_images": partner_images, "labels": labels}
        return self.classify(self.features(images, **distractors))

    def features(
        self,
        images: Tensor,
        *,
        partner: Tensor | None = None,
        partner_images: Tensor | None = None,
        labels: Tensor | None = None,
    ) -> Features:
        """Feature of each branch, (B, D).

        images: (B, 3, h, w), normalised.
        partner: (B,), index in the batch of each image's distractor; None: drawn here.
        partner_images: (B, 3, h, w), the distractors, for pairings with a second batch.
        labels: (B,), classes, for the pairings ``hardest`` and ``mixed``.
        All three are for training only. Raises ValueError for arguments that do not fit the pairing, and for a batch in
        which an image has no possible partner.
        """
        targets, pairs = len(images), None
        if self.pwca is not None and self.training:
            images, pairs = self._second_stream(images, partner, partner_images, labels)
        if self.glca is None and pairs is None and len(images) == targets:
            return Features(self.backbone.plain_feature(images))
        return self.backbone.features(images, targets, self.glca, pairs)

    def classify(self, features: Features) -> Outputs:
        """Logits of each branch's feature. PWCA uses the self-attention branch's head."""
        return Outputs(
            self.sa_head(features.sa),
            self.glca_head(features.glca) if features.glca is not None else None,
            self.sa_head(features.pwca, keep_statistics=True) if features.pwca is not None else None,
        )

    def _second_stream(
        self, images: Tensor, partner: Tensor | None, partner_images: Tensor | None, labels: Tensor | None
    ) -> tuple[Tensor, Pairs | None]:
        """Images for the blocks, (S, 3, h, w), and their pairs, for PWCA or a regulariser in its place.

        Without pairs, the second stream is the second half of the images. Arguments as ``features``.
        """
        pwca = self.pwca
        if pwca.regulariser == "pwca":
            images, partner = self._pair(images, partner, partner_images, labels)
            return images, Pairs(partner, pwca.blocks, pwca.stream, len(images))
        if partner is not None or partner_images is not None:
            raise ValueError(f"regulariser={pwca.regulariser!r} pairs no images: give it no partners")
        if pwca.regulariser == "kv_noise":
            return images, Pairs(None, pwca.blocks, "own", len(images))
        repeated = noisy_images(images, pwca.noise) if pwca.regulariser == "image_noise" else images
        return torch.cat((images, repeated)), None

    def _pair(
        self, images: Tensor, partner: Tensor | None, partner_images: Tensor | None, labels: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Images of the self-attention stream, (S, 3, h, w), and each target's distractor among them, (B,)."""
        pairing = self.pwca.pairing
        if self.pwca.brings_partners:
            if partner is not None:
                raise ValueError(
                    f"partner indices belong to pairing within the batch; pairing={pairing!r} takes partner_images"
                )
            if partner_images is None or partner_images.shape != images.shape:
                shape = "none" if partner_images is None else tuple(partner_images.shape)
                raise ValueError(
                    f"pairing={pairing!r} needs partner_images of shape {tuple(images.shape)}, found {shape}"
                )
            partner = torch.arange(len(images), 2 * len(images), device=images.device)
            return torch.cat((images, partner_images)), partner
        if partner_images is not None:
            raise ValueError(
                f"partner_images belong to pairing='loader' and its like; pairing={pairing!r} pairs within the batch"
            )
        if partner is None:
            partner = self._draw_partners(images, labels)
        elif partner.shape != (len(images),):
            raise ValueError(
                f"partner needs one index an image, {len(images)}; found shape {tuple(partner.shape)}"
            )
        if images.is_cuda and not partner.is_cuda:
            partner = partner.pin_memory()  # or the copy would wait for all work in the queue
        return images, partner.to(images.device, non_blocking=True)

    def _draw_partners(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Index of each image's partner in the batch, (B,)."""
        if not self.pwca.pairs_by_features:
            return random_partners(len(images))
        if labels is None or labels.shape != (len(images),):
            shape = "none" if labels is None else tuple(labels.shape)
            raise ValueError(
                f"pairing={self.pwca.pairing!r} needs labels of shape ({len(images)},), found {shape}"
            )
        return sample_partners(self.pwca.pairing, labels, self._sa_features(images))

    @torch.no_grad()
    def _sa_features(self, images: Tensor) -> Tensor:
        """SA's features in eval mode, (B, D): current weights, no stochastic depth. One more forward pass."""
        training = [module for module in self.backbone.modules() if module.training]
        self.backbone.eval()
        try:
            return self.backbone.plain_feature(images)
        finally:
            for module in training:
                module.training = True


# --- Predictions from the branches' outputs (the paper's inference), for each branch and for both together ---


def class_scores(outputs: Outputs) -> dict[str, Tensor]:
    """FGVC: class probabilities of SA and GLCA and their sum, each (B, classes), float32; keys sa, glca, both.

    The sum is the paper's prediction ("we add class probabilities output by classifiers of SA and GLCA"). Without GLCA,
    ``both`` is SA alone and there is no ``glca``.
    """
    scores = {"sa": outputs.sa.logits.float().softmax(dim=-1)}
    if outputs.glca is None:
        return scores | {"both": scores["sa"]}
    scores["glca"] = outputs.glca.logits.float().softmax(dim=-1)
    return scores | {"both": scores["sa"] + scores["glca"]}


def retrieval_features(outputs: Outputs) -> dict[str, Tensor]:
    """Re-ID: L2-normalised features before the neck, SA and GLCA, (B, D), and both concatenated, (B, 2D), float32; keys
    sa, glca, both.

    The concatenation is the paper's prediction ("concat two final class tokens of SA and GLCA"). Without GLCA, ``both``
    is SA alone and there is no ``glca``.
    """
    sa = outputs.sa.feature.float()
    if outputs.glca is None:
        return {"sa": F.normalize(sa), "both": F.normalize(sa)}
    glca = outputs.glca.feature.float()
    return {
        "sa": F.normalize(sa),
        "glca": F.normalize(glca),
        "both": F.normalize(torch.cat((sa, glca), dim=1)),
    }
