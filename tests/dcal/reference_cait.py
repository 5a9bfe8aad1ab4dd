"""DCAL on CaiT in float64, literally: one image and one head at a time, as ``reference.py`` has it for ViT.

Written from CaiT's paper (Touvron et al. 2021: talking heads after Shazeer et al. 2020, class attention, LayerScale)
and the settled readings. Nothing here is fast, fused, batched, in parts or shared between streams.

X_l are the patches behind block l (X_0 the embedded ones), c_m the class token behind class-attention block m; blocks
are counted through, first those on patches, then those of class attention.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from reference import (
    Parameters,
    Result,
    classify,
    gelu,
    heads_of,
    layer_norm,
    linear,
    response,
    softmax,
    top_patches,
)
from torch import Tensor


@dataclass(frozen=True)
class CaitSetup:
    """M = 0 or T = 0 switches the branch off."""

    heads: int = 3
    patch: int = 8
    patch_blocks: int = 4
    class_blocks: int = 2
    M: int = 0
    R: float = 0.25
    readout: str = "cls"
    select: str = "rollout"
    keys: str = "global"
    T: int = 0
    stream: str = "own"
    head: str = "linear"

    @property
    def L(self) -> int:
        return self.patch_blocks + self.class_blocks


# ---- blocks on patches: talking heads ---------------------------------------------------------------------


def talking_maps(p: Parameters, block: str, Q: list[Tensor], K: list[Tensor]) -> list[Tensor]:
    """S^h = softmax(Σ_g W_l[h, g] Q^g K^gᵀ/√d + b_l[h]), before the second mixing."""
    W, b = p[f"{block}.attn.proj_l.weight"], p[f"{block}.attn.proj_l.bias"]
    heads = range(len(Q))
    scores = [Q[g] @ K[g].T / math.sqrt(Q[g].shape[1]) for g in heads]
    return [softmax(sum(W[h, g] * scores[g] for g in heads) + b[h]) for h in heads]


def talking_output(p: Parameters, block: str, S: list[Tensor], V: list[Tensor]) -> list[Tensor]:
    """(Σ_g W_w[h, g] S^g + b_w[h]) V^h."""
    W, b = p[f"{block}.attn.proj_w.weight"], p[f"{block}.attn.proj_w.bias"]
    heads = range(len(S))
    return [(sum(W[h, g] * S[g] for g in heads) + b[h]) @ V[h] for h in heads]


def queries_keys_values(p: Parameters, block: str, x: Tensor, heads: int) -> tuple[list, list, list]:
    """Q, K, V of the normalised patches, a list over heads of (N, d) each."""
    projected = linear(p, f"{block}.attn.qkv", layer_norm(p, f"{block}.norm1", x))
    return tuple(heads_of(part, heads) for part in projected.chunk(3, dim=1))


def behind_attention(p: Parameters, block: str, x: Tensor, attended: Sequence[Tensor]) -> Tensor:
    """Projection, residual, LN, FFN, residual, each scaled by LayerScale's diagonal."""
    x = x + p[f"{block}.gamma_1"] * linear(p, f"{block}.attn.proj", torch.cat(list(attended), dim=1))
    hidden = gelu(linear(p, f"{block}.mlp.fc1", layer_norm(p, f"{block}.norm2", x)))
    return x + p[f"{block}.gamma_2"] * linear(p, f"{block}.mlp.fc2", hidden)


def sa_block(p: Parameters, block: str, x: Tensor, heads: int) -> tuple[Tensor, list[Tensor]]:
    Q, K, V = queries_keys_values(p, block, x, heads)
    S = talking_maps(p, block, Q, K)
    return behind_attention(p, block, x, talking_output(p, block, S, V)), S


def pwca_block(p: Parameters, block: str, x_1: Tensor, x_2: Tensor, heads: int) -> Tensor:
    """Eq. 4: both images' keys and values side by side before the heads are mixed, one softmax over 2N."""
    Q_1, K_1, V_1 = queries_keys_values(p, block, x_1, heads)
    _, K_2, V_2 = queries_keys_values(p, block, x_2, heads)
    K_c = [torch.cat([K_1[h], K_2[h]]) for h in range(heads)]
    V_c = [torch.cat([V_1[h], V_2[h]]) for h in range(heads)]
    attended = talking_output(p, block, talking_maps(p, block, Q_1, K_c), V_c)
    return behind_attention(p, block, x_1, attended)


# ---- class attention --------------------------------------------------------------------------------------


def class_attention(
    p: Parameters, block: str, querying: Tensor, attended_to: Sequence[Tensor], heads: int
) -> tuple[Tensor, list[Tensor]]:
    """Tokens (n, D) query the tokens of one or two images, (N+1, D) each. Returns them behind the block, and S^h."""
    q = heads_of(linear(p, f"{block}.attn.q", layer_norm(p, f"{block}.norm1", querying)), heads)
    u = torch.cat([layer_norm(p, f"{block}.norm1", tokens) for tokens in attended_to])
    k, v = (heads_of(linear(p, f"{block}.attn.{name}", u), heads) for name in "kv")
    S = [softmax(q[h] @ k[h].T / math.sqrt(q[h].shape[1])) for h in range(heads)]
    return behind_attention(p, block, querying, [S[h] @ v[h] for h in range(heads)]), S


# ---- from an image to its patches, the rollout's matrices ---------------------------------------------------


def embedded_patches(p: Parameters, image: Tensor, patch: int) -> Tensor:
    """X_0 of one image (3, h, w): patches in rows, projected, positions added. No class token."""
    kernel = p["backbone.vit.patch_embed.proj.weight"].flatten(1)
    rows = []
    for top in range(0, image.shape[1], patch):
        for left in range(0, image.shape[2], patch):
            rows.append(image[:, top : top + patch, left : left + patch].flatten())
    patches = torch.stack(rows) @ kernel.T + p["backbone.vit.patch_embed.proj.bias"]
    return patches + p["backbone.vit.pos_embed"][0]


def with_class_row(S: Tensor) -> Tensor:
    """A patch map (N, N) among N+1 tokens: the class token is not there and stays itself."""
    whole = torch.eye(S.shape[0] + 1, dtype=S.dtype)
    whole[1:, 1:] = S
    return whole


def with_patch_rows(row: Tensor) -> Tensor:
    """The class token's row (1, N+1) among N+1 tokens: patches are not renewed and stay themselves."""
    whole = torch.eye(row.shape[1], dtype=row.dtype)
    whole[0] = row[0]
    return whole


# ---- the whole --------------------------------------------------------------------------------------------


@dataclass
class Stream:
    """x[l]: what enters block l + 1: patches (N, D), from the first class-attention block on (N+1, D) with the class
    token in front; the last entry is what the norm gets. S[l][h]: the map of block l + 1 as (N+1, N+1)."""

    x: list[Tensor]
    S: list[list[Tensor]]


def sa_stream(p: Parameters, image: Tensor, setup: CaitSetup) -> Stream:
    x, S = [embedded_patches(p, image, setup.patch)], []
    for l in range(setup.patch_blocks):
        behind, maps = sa_block(p, f"backbone.vit.blocks.{l}", x[-1], setup.heads)
        x.append(behind)
        S.append([with_class_row(m) for m in maps])
    x[-1] = torch.cat([p["backbone.vit.cls_token"][0], x[-1]])
    for m in range(setup.class_blocks):
        u = x[-1]
        c, rows = class_attention(p, f"backbone.vit.blocks_token_only.{m}", u[:1], [u], setup.heads)
        x.append(torch.cat([c, u[1:]]))
        S.append([with_patch_rows(row) for row in rows])
    return Stream(x, S)


def pwca_stream(p: Parameters, sa: Stream, distractor: Stream, setup: CaitSetup) -> Tensor:
    """The class token of the PWCA stream behind block L, not yet normalised."""
    first = setup.L - setup.T
    z = sa.x[first] if setup.stream == "own" else distractor.x[first]
    for l in range(first, setup.L):
        if l == setup.patch_blocks and len(z) < len(sa.x[l]):
            z = torch.cat([p["backbone.vit.cls_token"][0], z])
        one, two = (z, distractor.x[l]) if setup.stream == "own" else (sa.x[l], z)
        if l < setup.patch_blocks:
            z = pwca_block(p, f"backbone.vit.blocks.{l}", one, two, setup.heads)
        else:
            name = f"backbone.vit.blocks_token_only.{l - setup.patch_blocks}"
            c, _ = class_attention(p, name, one[:1], [one, two], setup.heads)
            z = torch.cat([c, z[1:]])
    return z[0]


def forward(
    p: Parameters,
    images: Tensor,
    setup: CaitSetup,
    *,
    partner: Sequence[int] | None = None,
    partner_images: Tensor | None = None,
) -> Result:
    """All branches in training mode. The distractor of image i is images[partner[i]] or partner_images[i]."""
    streams = [sa_stream(p, image, setup) for image in images]
    if partner_images is not None:
        distractors = [sa_stream(p, image, setup) for image in partner_images]
    elif partner is not None:
        distractors = [streams[i] for i in partner]

    result = Result()
    sa, glca, pwca = [], [], []
    for i, stream in enumerate(streams):
        sa.append(layer_norm(p, "backbone.vit.norm", stream.x[-1])[0])

        if setup.M:
            before = setup.L - setup.M
            chosen = top_patches(response(stream.S[:before], setup.select), setup.R)
            result.selected.append(chosen)
            local = stream.x[before][torch.cat([torch.tensor([0]), chosen])]
            for m in range(setup.M):
                x = stream.x[before + m] if setup.keys == "global" else local
                local, _ = class_attention(p, f"glca.blocks.{m}", local, [x], setup.heads)
            local = layer_norm(p, "glca.norm", local)
            glca.append(local[0] if setup.readout == "cls" else local[1:].mean(dim=0))

        if setup.T:
            pwca.append(layer_norm(p, "backbone.vit.norm", pwca_stream(p, stream, distractors[i], setup)))

    for branch, rows, head in (("sa", sa, "sa_head"), ("glca", glca, "glca_head"), ("pwca", pwca, "sa_head")):
        if rows:
            result.features[branch] = torch.stack(rows)
            result.logits[branch] = classify(p, head, setup.head, result.features[branch])
    return result
