"""DCAL: a backbone's self-attention stream, GLCA beside its last blocks, PWCA through its blocks in training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dcal.attention import self_attention
from dcal.backbones import PlainViT, queries_keys_values, rest_of_block
from dcal.glca import GLCA, gather_tokens
from dcal.heads import HEADS, Branch
from dcal.pwca import paired_block, random_partners
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
        backbone: PlainViT,
        classes: int,
        *,
        head: str = "linear",
        glca: GLCASettings | None = None,
        pwca: PWCASettings | None = None,
    ) -> None:
        super().__init__()
        if head not in HEADS:
            raise ValueError(f"unknown head {head!r}: expected one of {', '.join(HEADS)}")
        depth = len(backbone.blocks)
        if glca and glca.blocks >= depth:
            raise ValueError(
                f"M = {glca.blocks} GLCA blocks beside {depth} blocks leave none for the rollout"
            )
        if pwca and pwca.blocks > depth:
            raise ValueError(
                f"T = {pwca.blocks} PWCA blocks need as many self-attention blocks, found {depth}"
            )
        self.backbone = backbone
        self.pwca = pwca
        self.sa_head = HEADS[head](backbone.width, classes)
        self.glca = self.glca_head = None
        if glca:
            patches = backbone.grid[0] * backbone.grid[1]
            self.glca = GLCA(backbone.blocks[depth - glca.blocks :], backbone.norm, patches, glca)
            self.glca_head = HEADS[head](backbone.width, classes)

    @property
    def branch_names(self) -> tuple[str, ...]:
        """The branches that are trained."""
        return ("sa", *(("glca",) if self.glca else ()), *(("pwca",) if self.pwca else ()))

    def forward(
        self, images: Tensor, *, partner: Tensor | None = None, partner_images: Tensor | None = None
    ) -> Outputs:
        """images: (B, 3, h, w), normalised.

        partner: (B,) indices of the distractors within the batch; drawn at random if not given.
        partner_images: (B, 3, h, w), the distractors themselves, for ``pairing="loader"``.
        Both are training only. Raises ValueError for a batch of one with in-batch pairing.
        """
        targets = len(images)
        pairing = self.pwca is not None and self.training
        if self.glca is None and not pairing:
            return Outputs(self.sa_head(self.backbone.class_token(images)))
        if pairing:
            images, partner = self._pair(images, partner, partner_images)

        depth = len(self.backbone.blocks)
        first_glca = depth - self.glca.settings.blocks if self.glca else depth
        first_pwca = depth - self.pwca.blocks if pairing else depth
        streams = len(images)
        x = self.backbone.embed(
            images
        )  # X_0; the PWCA stream, once it exists, lies behind the self-attention stream
        local = None
        queries_keys = []
        for l, block in enumerate(self.backbone.blocks):
            if l >= first_glca:
                if local is None:
                    local = gather_tokens(x[:targets], self.glca.select(queries_keys))
                local = self.glca.step(l - first_glca, local, x[:targets])
            if l >= first_pwca:
                x, (q, k) = paired_block(block, x, streams, partner, self.pwca.stream)
            else:
                q, k, v = queries_keys_values(block, x)
                x = rest_of_block(block, x, self_attention(q, k, v))
            if l < first_glca and self.glca:
                queries_keys.append((q[:targets].detach(), k[:targets].detach()))

        class_tokens = self.backbone.norm(x[:, 0])
        return Outputs(
            self.sa_head(class_tokens[:targets]),
            self.glca_head(self.glca.read_out(local)) if self.glca else None,
            self.sa_head(class_tokens[streams:], keep_statistics=True) if pairing else None,
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
        return images, partner.to(images.device)
