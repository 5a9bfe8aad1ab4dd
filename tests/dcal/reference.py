"""DCAL in float64, literally: the paper's equations on plain tensors, one image and one head at a time.

Written from the paper's text and from the settled readings alone. Weights come as a dictionary of tensors under
the names of the model's state_dict. Nothing here is fast, fused, batched or shared between streams.

X_l are the tokens behind block l, X_0 the embedded tokens; token 0 is the class token.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

Parameters = Mapping[str, Tensor]


@dataclass(frozen=True)
class Setup:
    """M = 0 or T = 0 switches the branch off."""

    heads: int = 3
    patch: int = 8
    L: int = 12
    M: int = 0
    R: float = 0.25
    readout: str = "cls"
    select: str = "rollout"
    keys: str = "global"
    T: int = 0
    stream: str = "own"
    head: str = "linear"


@dataclass
class Result:
    """logits and features by branch, each (B, ·); selected: the local queries of every image."""

    logits: dict[str, Tensor] = field(default_factory=dict)
    features: dict[str, Tensor] = field(default_factory=dict)
    selected: list[Tensor] = field(default_factory=list)


# ---- the pieces of an encoder block -----------------------------------------------------------------------


def linear(p: Parameters, name: str, x: Tensor) -> Tensor:
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def layer_norm(p: Parameters, name: str, x: Tensor) -> Tensor:
    mean = x.mean(dim=-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(dim=-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-6) * p[f"{name}.weight"] + p[f"{name}.bias"]


def gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def softmax(scores: Tensor) -> Tensor:
    e = torch.exp(scores - scores.max(dim=-1, keepdim=True).values)
    return e / e.sum(dim=-1, keepdim=True)


def heads_of(x: Tensor, heads: int) -> list[Tensor]:
    d = x.shape[1] // heads
    return [x[:, h * d : (h + 1) * d] for h in range(heads)]


def queries_keys_values(p: Parameters, block: str, x: Tensor, heads: int) -> tuple[list, list, list]:
    """Q = XW_Q, K = XW_K, V = XW_V of the normalised tokens, a list over heads of (n, d) each."""
    x = layer_norm(p, f"{block}.norm1", x)
    weight, bias = p[f"{block}.attn.qkv.weight"], p[f"{block}.attn.qkv.bias"]
    width = x.shape[1]
    W_Q, W_K, W_V = weight[:width].T, weight[width : 2 * width].T, weight[2 * width :].T
    b_Q, b_K, b_V = bias[:width], bias[width : 2 * width], bias[2 * width :]
    return heads_of(x @ W_Q + b_Q, heads), heads_of(x @ W_K + b_K, heads), heads_of(x @ W_V + b_V, heads)


def scores(Q: Tensor, K: Tensor) -> Tensor:
    """S = softmax(QKᵀ/√d)."""
    return softmax(Q @ K.T / math.sqrt(Q.shape[1]))


def behind_attention(p: Parameters, block: str, x: Tensor, attended: Sequence[Tensor]) -> Tensor:
    """Concatenated heads through the output projection, residual, LN, FFN, residual."""
    x = x + linear(p, f"{block}.attn.proj", torch.cat(list(attended), dim=1))
    hidden = gelu(linear(p, f"{block}.mlp.fc1", layer_norm(p, f"{block}.norm2", x)))
    return x + linear(p, f"{block}.mlp.fc2", hidden)


# ---- the three attentions ---------------------------------------------------------------------------------


def sa_block(p: Parameters, block: str, x: Tensor, heads: int) -> tuple[Tensor, list[Tensor]]:
    """Eq. 1 in a block. Returns the tokens behind it and S of every head."""
    Q, K, V = queries_keys_values(p, block, x, heads)
    S = [scores(Q[h], K[h]) for h in range(heads)]
    return behind_attention(p, block, x, [S[h] @ V[h] for h in range(heads)]), S


def glca_block(p: Parameters, block: str, local: Tensor, x: Tensor, heads: int) -> Tensor:
    """Eq. 3 in a block: queries of the local tokens, keys and values of all tokens."""
    Q_l, _, _ = queries_keys_values(p, block, local, heads)
    _, K_g, V_g = queries_keys_values(p, block, x, heads)
    return behind_attention(p, block, local, [scores(Q_l[h], K_g[h]) @ V_g[h] for h in range(heads)])


def pwca_block(p: Parameters, block: str, x_1: Tensor, x_2: Tensor, heads: int) -> Tensor:
    """Eq. 4 in a block: x_1 queries and carries the residual, x_2 is the distractor."""
    Q_1, K_1, V_1 = queries_keys_values(p, block, x_1, heads)
    _, K_2, V_2 = queries_keys_values(p, block, x_2, heads)
    attended = []
    for h in range(heads):
        K_c = torch.cat([K_1[h], K_2[h]])
        V_c = torch.cat([V_1[h], V_2[h]])
        attended.append(scores(Q_1[h], K_c) @ V_c)
    return behind_attention(p, block, x_1, attended)


# ---- rollout and selection --------------------------------------------------------------------------------


def rollout(S: Sequence[Sequence[Tensor]]) -> Tensor:
    """Eq. 2: Ŝ_i = S̄_i … S̄_1 from S[l][h] of blocks 1 … i."""
    product = torch.eye(S[0][0].shape[0], dtype=S[0][0].dtype)
    for S_l in S:
        mean = sum(S_l) / len(S_l)
        S_bar = 0.5 * mean + 0.5 * torch.eye(mean.shape[0], dtype=mean.dtype)
        product = S_bar @ product
    return product


def response(S: Sequence[Sequence[Tensor]], select: str) -> Tensor:
    """What local queries are selected by: the rollout of blocks 1 … i, or S of block i, the mean over its heads."""
    return rollout(S) if select == "rollout" else sum(S[-1]) / len(S[-1])


def top_patches(S_hat: Tensor, R: float) -> Tensor:
    """Token indices (1 … N) of the ⌊R·N⌋ highest responses in the class token's row."""
    response = S_hat.detach()[0, 1:]
    count = int(R * len(response) + 1e-9)
    ranked = sorted(range(len(response)), key=lambda patch: -response[patch].item())
    return torch.tensor(ranked[:count]) + 1


# ---- from an image to its tokens, from a class token to its logits ------------------------------------------


def embedded_tokens(p: Parameters, image: Tensor, patch: int) -> Tensor:
    """X_0 of one image (3, h, w): patches in rows, projected, class token prepended, positions added."""
    kernel = p["backbone.vit.patch_embed.proj.weight"].flatten(1)
    rows = []
    for top in range(0, image.shape[1], patch):
        for left in range(0, image.shape[2], patch):
            rows.append(image[:, top : top + patch, left : left + patch].flatten())
    patches = torch.stack(rows) @ kernel.T + p["backbone.vit.patch_embed.proj.bias"]
    return torch.cat([p["backbone.vit.cls_token"][0], patches]) + p["backbone.vit.pos_embed"][0]


def classify(p: Parameters, head: str, kind: str, features: Tensor) -> Tensor:
    """Linear classifier, or batch normalisation by the batch's own statistics and a classifier without bias."""
    if kind == "linear":
        return linear(p, f"{head}.classifier", features)
    mean = features.mean(dim=0)
    variance = ((features - mean) ** 2).mean(dim=0)
    normalised = (features - mean) / torch.sqrt(variance + 1e-5)
    return (normalised * p[f"{head}.neck.weight"] + p[f"{head}.neck.bias"]) @ p[f"{head}.classifier.weight"].T


# ---- the whole --------------------------------------------------------------------------------------------


def sa_names(setup: Setup) -> list[str]:
    return [f"backbone.vit.blocks.{l}" for l in range(setup.L)]


def sa_stream(p: Parameters, image: Tensor, setup: Setup) -> tuple[list[Tensor], list[list[Tensor]]]:
    """X_0 … X_L and S of every block and head."""
    X, S = [embedded_tokens(p, image, setup.patch)], []
    for name in sa_names(setup):
        x, s = sa_block(p, name, X[-1], setup.heads)
        X.append(x)
        S.append(s)
    return X, S


def forward(
    p: Parameters,
    images: Tensor,
    setup: Setup,
    *,
    partner: Sequence[int] | None = None,
    partner_images: Tensor | None = None,
) -> Result:
    """All branches in training mode. The distractor of image i is images[partner[i]] or partner_images[i]."""
    L, M, T = setup.L, setup.M, setup.T
    names = sa_names(setup)
    streams = [sa_stream(p, image, setup) for image in images]
    if partner_images is not None:
        distractors = [sa_stream(p, image, setup)[0] for image in partner_images]
    elif partner is not None:
        distractors = [streams[i][0] for i in partner]

    result = Result()
    sa, glca, pwca = [], [], []
    for i, (X, S) in enumerate(streams):
        sa.append(layer_norm(p, "backbone.vit.norm", X[L])[0])

        if M:
            chosen = top_patches(response(S[: L - M], setup.select), setup.R)
            result.selected.append(chosen)
            local = X[L - M][torch.cat([torch.tensor([0]), chosen])]
            for m in range(M):
                x = X[L - M + m] if setup.keys == "global" else local
                local = glca_block(p, f"glca.blocks.{m}", local, x, setup.heads)
            local = layer_norm(p, "glca.norm", local)
            glca.append(local[0] if setup.readout == "cls" else local[1:].mean(dim=0))

        if T:
            X_2 = distractors[i]
            z = X[L - T] if setup.stream == "own" else X_2[L - T]
            for l in range(L - T, L):
                if setup.stream == "own":
                    z = pwca_block(p, names[l], z, X_2[l], setup.heads)
                else:
                    z = pwca_block(p, names[l], X[l], z, setup.heads)
            pwca.append(layer_norm(p, "backbone.vit.norm", z)[0])

    for branch, rows, head in (("sa", sa, "sa_head"), ("glca", glca, "glca_head"), ("pwca", pwca, "sa_head")):
        if rows:
            result.features[branch] = torch.stack(rows)
            result.logits[branch] = classify(p, head, setup.head, result.features[branch])
    return result


# ---- losses and the optimizer -----------------------------------------------------------------------------


def cross_entropy(logits: Tensor, labels: Sequence[int]) -> Tensor:
    rows = [-torch.log(softmax(row)[label]) for row, label in zip(logits, labels, strict=True)]
    return sum(rows) / len(rows)


def soft_margin_triplet(features: Tensor, labels: Sequence[int]) -> Tensor:
    """Batch-hard: farthest image of the same identity, nearest image of another, log(1 + e^{d_p − d_n})."""
    total = 0.0
    for a in range(len(labels)):
        to = [
            torch.sqrt(((features[a] - features[b]) ** 2).sum()) if b != a else None
            for b in range(len(labels))
        ]
        positives = [to[b] for b in range(len(labels)) if b != a and labels[b] == labels[a]]
        negatives = [to[b] for b in range(len(labels)) if labels[b] != labels[a]]
        total = total + torch.log(1 + torch.exp(torch.stack(positives).max() - torch.stack(negatives).min()))
    return total / len(labels)


def uncertainty_loss(losses: Sequence[Tensor], w: Tensor) -> Tensor:
    """L = ½ (e^{−w_1} L_SA + e^{−w_2} L_GLCA + e^{−w_3} L_PWCA + w_1 + w_2 + w_3)."""
    total = 0.0
    for b, loss in enumerate(losses):
        total = total + loss / torch.exp(w[b]) + w[b]
    return total / 2


def adamw_step(
    value: Tensor, gradient: Tensor, moments: tuple[Tensor, Tensor], step: int, lr: float, decay: float
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Adam with decoupled weight decay, β = (0.9, 0.999), ε = 1e-8; step counts from 1."""
    first = 0.9 * moments[0] + 0.1 * gradient
    second = 0.999 * moments[1] + 0.001 * gradient**2
    unbiased = first / (1 - 0.9**step), second / (1 - 0.999**step)
    value = value - lr * decay * value
    return value - lr * unbiased[0] / (torch.sqrt(unbiased[1]) + 1e-8), (first, second)
