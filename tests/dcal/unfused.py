"""DCAL without any of the savings: the paper's equations on whole batches, one after the other.

What a straightforward implementation does, to measure ours against: every attention map is made and kept, the streams
run one after the other, each block computes its own queries, keys and values, the rollout is a product of matrices.
The paper's settings alone: M = 1, T = L, class-token read-outs, linear classifiers. Partners lie within the batch, and
their tokens are the batch's, or come from a stream of their own: the same numbers for more work.

Written from the equations, without a line of the suite's. Parameters come by their names in the model's state_dict;
their type (float32, float64) is that of everything here. X_l are the tokens behind block l; token 0 is the class token.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

Parameters = Mapping[str, Tensor]


@dataclass(frozen=True)
class Forward:
    """logits: sa, glca, pwca, each (B, classes). selected: (B, ⌊R·N⌋), token indices of the local queries."""

    logits: dict[str, Tensor]
    selected: Tensor


def forward(
    p: Parameters,
    images: Tensor,
    partner: Tensor,
    *,
    heads: int,
    patch: int,
    blocks: int,
    ratio: float,
    pair_streams: bool = False,
) -> Forward:
    """All three branches. images: (B, 3, h, w); partner: (B,), who distracts whom.

    pair_streams: each pair's second image runs through the self-attention blocks as well, as pairs are drawn in the
        paper's figure; otherwise its tokens are taken from the batch's own stream.
    """
    names = [f"backbone.vit.blocks.{l}" for l in range(blocks)]
    X, means = [embedded(p, images, patch)], []
    for name in names:
        x, S = attention_block(p, name, X[-1], X[-1], heads)
        X.append(x)
        means.append(S.detach().mean(dim=1))

    selected = top_patches(rollout(means[:-1]), ratio)
    every = torch.cat((torch.zeros_like(selected[:, :1]), selected), dim=1)
    local = X[-2].gather(1, every[:, :, None].expand(-1, -1, X[-2].shape[2]))
    local, _ = attention_block(p, "glca.blocks.0", local, X[-2], heads)

    distractors = (
        distractor_stream(p, names, images[partner], patch, heads)
        if pair_streams
        else (x[partner] for x in X[:-1])
    )
    z = X[0]
    for name, x_2 in zip(names, distractors, strict=True):
        z = pairwise_block(p, name, z, x_2, heads)

    logits = {
        "sa": linear(p, "sa_head.classifier", norm(p, "backbone.vit.norm", X[-1])[:, 0]),
        "glca": linear(p, "glca_head.classifier", norm(p, "glca.norm", local)[:, 0]),
        "pwca": linear(p, "sa_head.classifier", norm(p, "backbone.vit.norm", z)[:, 0]),
    }
    return Forward(logits, selected)


def loss(logits: Mapping[str, Tensor], labels: Tensor, w: Tensor) -> Tensor:
    """½ Σ_b (e^{−w_b} L_b + w_b) over the branches' cross-entropies."""
    branches = torch.stack([F.cross_entropy(one, labels) for one in logits.values()])
    return ((-w).exp() * branches + w).sum() / 2


def distractor_stream(
    p: Parameters, names: list[str], images: Tensor, patch: int, heads: int
) -> list[Tensor]:
    """What the pairs' second images are in front of each block: X_0 … X_{L−1}, (B, N+1, D) each."""
    X = [embedded(p, images, patch)]
    for name in names[:-1]:
        x, _ = attention_block(p, name, X[-1], X[-1], heads)
        X.append(x)
    return X


def attention_block(
    p: Parameters, block: str, queried: Tensor, x: Tensor, heads: int
) -> tuple[Tensor, Tensor]:
    """Eq. 1 and Eq. 3 in an encoder block: queries and residual of some tokens, keys and values of all.

    queried: (B, n, D); x: (B, N+1, D). Returns (B, n, D) and S, (B, H, n, N+1).
    """
    if queried is x:
        Q, K, V = projections(p, block, x, "QKV", heads)
    else:
        (Q,), (K, V) = projections(p, block, queried, "Q", heads), projections(p, block, x, "KV", heads)
    S = softmax_scores(Q, K)
    return behind_attention(p, block, queried, S @ V), S


def pairwise_block(p: Parameters, block: str, x_1: Tensor, x_2: Tensor, heads: int) -> Tensor:
    """Eq. 4 in an encoder block: K and V are computed for both images, one softmax over the keys of both."""
    Q_1, K_1, V_1 = projections(p, block, x_1, "QKV", heads)
    K_2, V_2 = projections(p, block, x_2, "KV", heads)
    S = softmax_scores(Q_1, torch.cat((K_1, K_2), dim=2))
    return behind_attention(p, block, x_1, S @ torch.cat((V_1, V_2), dim=2))


def projections(p: Parameters, block: str, x: Tensor, which: str, heads: int) -> tuple[Tensor, ...]:
    """Neighbours among Q, K, V = LN(X)W. x: (B, n, D); each result: (B, H, n, d)."""
    first, last = "QKV".index(which[0]), "QKV".index(which[-1]) + 1
    rows = slice(first * x.shape[2], last * x.shape[2])
    weight, bias = p[f"{block}.attn.qkv.weight"][rows], p[f"{block}.attn.qkv.bias"][rows]
    projected = F.linear(norm(p, f"{block}.norm1", x), weight, bias)
    parts = projected.reshape(*x.shape[:2], last - first, heads, x.shape[2] // heads)
    return parts.permute(2, 0, 3, 1, 4).unbind()


def softmax_scores(Q: Tensor, K: Tensor) -> Tensor:
    """S = softmax(QKᵀ/√d), the whole map."""
    return (Q @ K.transpose(-2, -1) / math.sqrt(Q.shape[-1])).softmax(dim=-1)


def behind_attention(p: Parameters, block: str, x: Tensor, attended: Tensor) -> Tensor:
    """Heads put together, output projection, residual, LN, FFN, residual."""
    x = x + linear(p, f"{block}.attn.proj", attended.transpose(1, 2).flatten(2))
    hidden = F.gelu(linear(p, f"{block}.mlp.fc1", norm(p, f"{block}.norm2", x)))
    return x + linear(p, f"{block}.mlp.fc2", hidden)


def rollout(means: list[Tensor]) -> Tensor:
    """Eq. 2: Ŝ_i = S̄_i … S̄_1, (B, N+1, N+1), from the mean of the heads' S of blocks 1 … i."""
    E = torch.eye(means[0].shape[1], dtype=means[0].dtype, device=means[0].device)
    product = E
    for mean in means:
        product = (0.5 * mean + 0.5 * E) @ product
    return product


def top_patches(S_hat: Tensor, ratio: float) -> Tensor:
    """Token indices (1 … N) of the ⌊R·N⌋ highest responses in the class token's row."""
    response = S_hat[:, 0, 1:]
    return response.topk(int(ratio * response.shape[1] + 1e-9), dim=1).indices + 1


def embedded(p: Parameters, images: Tensor, patch: int) -> Tensor:
    """X_0, (B, N+1, D): patches projected, class token in front, positions added."""
    kernel, bias = p["backbone.vit.patch_embed.proj.weight"], p["backbone.vit.patch_embed.proj.bias"]
    patches = F.conv2d(images, kernel, bias, stride=patch).flatten(2).transpose(1, 2)
    tokens = torch.cat((p["backbone.vit.cls_token"].expand(len(images), -1, -1), patches), dim=1)
    return tokens + p["backbone.vit.pos_embed"]


def norm(p: Parameters, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"], eps=1e-6)


def linear(p: Parameters, name: str, x: Tensor) -> Tensor:
    return F.linear(x, p[f"{name}.weight"], p[f"{name}.bias"])
