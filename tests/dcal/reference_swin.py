"""DCAL on Swin in float64, literally: PWCA on plain tensors, one image, one window and one head at a time.

Written from the settled reading of PWCA for Swin, the Swin paper and timm's conventions alone. A map of tokens is
(h, w, C). Windows are lists of places on the map, found by arithmetic on coordinates: nothing is rolled, padded,
reshaped into windows or shared between streams.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from reference import Result, classify, gelu, linear, softmax
from torch import Tensor

Parameters = Mapping[str, Tensor]
Place = tuple[int, int] | None  # row and column on the map; None: beyond it


@dataclass(frozen=True)
class Setup:
    """T = 0 switches PWCA off. window: side of a full window."""

    depths: tuple[int, ...]
    heads: tuple[int, ...]
    window: int
    patch: int
    T: int = 0
    stream: str = "own"
    head: str = "linear"


@dataclass(frozen=True)
class Block:
    """One block's name in the state_dict and its place: in stage s, and whether its windows are the shifted ones."""

    name: str
    stage: int
    heads: int
    window: int
    shifted: bool
    first_of_stage: bool


def blocks_of(setup: Setup) -> list[Block]:
    blocks = []
    for s, depth in enumerate(setup.depths):
        for i in range(depth):
            name = f"backbone.vit.layers.{s}.blocks.{i}"
            blocks.append(Block(name, s, setup.heads[s], setup.window, i % 2 == 1, i == 0))
    return blocks


def layer_norm(p: Parameters, name: str, x: Tensor) -> Tensor:
    """Swin's ε is 1e-5."""
    mean = x.mean(dim=-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(dim=-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-5) * p[f"{name}.weight"] + p[f"{name}.bias"]


# ---- windows ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Window:
    """tokens: what lies at each of its places, row by row; regions: places of different regions do not see each
    other."""

    tokens: tuple[Place, ...]
    regions: tuple[tuple[int, int], ...]


def along(length: int, block: Block) -> tuple[int, int, int]:
    """Side of a window, shift and filled-up length in one direction. A map no longer than a window is one window, and
    is not shifted."""
    side = min(length, block.window)
    shift = block.window // 2 if block.shifted and length > side else 0
    return side, shift, math.ceil(length / side) * side


def region(i: int, side: int, shift: int, filled: int) -> int:
    """0 before the last window, 1 in it before what the shift brought round, 2 after."""
    if shift == 0 or i < filled - side:
        return 0
    return 1 if i < filled - shift else 2


@functools.cache
def windows_of(height: int, width: int, block: Block) -> tuple[list[Window], tuple[int, int]]:
    """All windows of the shifted map, and their sides."""
    side_y, shift_y, filled_y = along(height, block)
    side_x, shift_x, filled_x = along(width, block)
    windows = []
    for top in range(0, filled_y, side_y):
        for left in range(0, filled_x, side_x):
            tokens, regions = [], []
            for y in range(top, top + side_y):
                for x in range(left, left + side_x):
                    inside = y < height and x < width
                    tokens.append(((y + shift_y) % height, (x + shift_x) % width) if inside else None)
                    regions.append(
                        (region(y, side_y, shift_y, filled_y), region(x, side_x, shift_x, filled_x))
                    )
            windows.append(Window(tuple(tokens), tuple(regions)))
    return windows, (side_y, side_x)


@functools.cache
def bias_index_and_mask(window: Window, sides: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """For every pair of places of a window: where its bias stands in the table, and 0 or −100; (a, a) each."""
    side_y, side_x = sides
    index, mask = [], []
    for i, region_i in enumerate(window.regions):
        index.append([])
        mask.append([])
        for j, region_j in enumerate(window.regions):
            dy, dx = i // side_x - j // side_x, i % side_x - j % side_x
            index[-1].append((dy + side_y - 1) * (2 * side_x - 1) + dx + side_x - 1)
            mask[-1].append(0.0 if region_i == region_j else -100.0)
    return torch.tensor(index), torch.tensor(mask, dtype=torch.float64)


# ---- a block ----------------------------------------------------------------------------------------------


def window_tokens(x: Tensor, window: Window) -> Tensor:
    """(a, C); zeros beyond the map."""
    return torch.stack([x[place] if place else torch.zeros_like(x[0, 0]) for place in window.tokens])


def projection(p: Parameters, block: Block, part: int, x: Tensor) -> list[Tensor]:
    """XW_Q (part 0), XW_K (1) or XW_V (2), a list over heads of (a, d)."""
    weight, bias = p[f"{block.name}.attn.qkv.weight"], p[f"{block.name}.attn.qkv.bias"]
    width = weight.shape[0] // 3
    rows = slice(part * width, (part + 1) * width)
    y, d = x @ weight[rows].T + bias[rows], width // block.heads
    return [y[:, h * d : (h + 1) * d] for h in range(block.heads)]


def swin_block(p: Parameters, block: Block, x_1: Tensor, x_2: Tensor | None = None) -> Tensor:
    """Self-attention in the windows of x_1 (x_2 None), or Eq. 4: x_1 queries and carries the residual, and the window
    of the distractor x_2 at the same place is attended to, with the bias and the mask of x_1's window again."""
    y_1 = layer_norm(p, f"{block.name}.norm1", x_1)
    y_2 = None if x_2 is None else layer_norm(p, f"{block.name}.norm1", x_2)
    table = p[f"{block.name}.attn.relative_position_bias_table"]
    windows, sides = windows_of(*x_1.shape[:2], block)
    behind = {}
    for window in windows:
        index, mask = bias_index_and_mask(window, sides)
        own = window_tokens(y_1, window)
        Q, K, V = (projection(p, block, part, own) for part in (0, 1, 2))
        if y_2 is not None:
            other = window_tokens(y_2, window)
            K_2, V_2 = (projection(p, block, part, other) for part in (1, 2))
        attended = []
        for h in range(block.heads):
            added = table[:, h][index] + mask
            scores, values = Q[h] @ K[h].T / math.sqrt(Q[h].shape[1]) + added, V[h]
            if y_2 is not None:
                distractor = Q[h] @ K_2[h].T / math.sqrt(Q[h].shape[1]) + added
                scores, values = torch.cat([scores, distractor], dim=1), torch.cat([values, V_2[h]])
            attended.append(softmax(scores) @ values)
        merged = linear(p, f"{block.name}.attn.proj", torch.cat(attended, dim=1))
        behind |= {place: merged[i] for i, place in enumerate(window.tokens) if place}
    height, width, _ = x_1.shape
    x = x_1 + torch.stack([torch.stack([behind[y, x] for x in range(width)]) for y in range(height)])
    hidden = gelu(linear(p, f"{block.name}.mlp.fc1", layer_norm(p, f"{block.name}.norm2", x)))
    return x + linear(p, f"{block.name}.mlp.fc2", hidden)


# ---- between blocks ---------------------------------------------------------------------------------------


def embedded_tokens(p: Parameters, image: Tensor, patch: int) -> Tensor:
    kernel = p["backbone.vit.patch_embed.proj.weight"].flatten(1)
    rows = []
    for top in range(0, image.shape[1], patch):
        patches = [
            image[:, top : top + patch, left : left + patch].flatten()
            for left in range(0, image.shape[2], patch)
        ]
        rows.append(torch.stack(patches) @ kernel.T + p["backbone.vit.patch_embed.proj.bias"])
    return layer_norm(p, "backbone.vit.patch_embed.norm", torch.stack(rows))


def merged_patches(p: Parameters, stage: int, x: Tensor) -> Tensor:
    """2×2 neighbours, the left column before the right one, become one token; beyond an odd map lie zeros."""
    height, width, _ = x.shape
    zero = torch.zeros_like(x[0, 0])
    rows = []
    for top in range(0, height, 2):
        row = []
        for left in range(0, width, 2):
            four = [(top, left), (top + 1, left), (top, left + 1), (top + 1, left + 1)]
            row.append(torch.cat([x[y, x_] if y < height and x_ < width else zero for y, x_ in four]))
        rows.append(torch.stack(row))
    name = f"backbone.vit.layers.{stage}.downsample"
    return layer_norm(p, f"{name}.norm", torch.stack(rows)) @ p[f"{name}.reduction.weight"].T


def into(p: Parameters, block: Block, x: Tensor) -> Tensor:
    """What the block gets of the map behind the block before."""
    return merged_patches(p, block.stage, x) if block.first_of_stage and block.stage else x


def read_out(p: Parameters, x: Tensor) -> Tensor:
    return layer_norm(p, "backbone.vit.norm", x).mean(dim=(0, 1))


# ---- the whole --------------------------------------------------------------------------------------------


def forward(
    p: Parameters,
    images: Tensor,
    setup: Setup,
    *,
    partner: Sequence[int] | None = None,
    partner_images: Tensor | None = None,
) -> Result:
    """Both branches in training mode. The distractor of image i is images[partner[i]] or partner_images[i]."""
    blocks = blocks_of(setup)
    L, T = len(blocks), setup.T

    def sa_stream(image: Tensor) -> tuple[list[Tensor], Tensor]:
        """What each block gets, and the map behind the last."""
        x, gets = embedded_tokens(p, image, setup.patch), []
        for block in blocks:
            gets.append(into(p, block, x))
            x = swin_block(p, block, gets[-1])
        return gets, x

    streams = [sa_stream(image) for image in images]
    if partner_images is not None:
        distractors = [sa_stream(image)[0] for image in partner_images]
    elif partner is not None:
        distractors = [streams[i][0] for i in partner]

    features = {"sa": [read_out(p, last) for _, last in streams]}
    if T:
        features["pwca"] = []
        for i, (X, _) in enumerate(streams):
            X_2 = distractors[i]
            z = X[L - T] if setup.stream == "own" else X_2[L - T]
            for l in range(L - T, L):
                z = into(p, blocks[l], z) if l > L - T else z
                if setup.stream == "own":
                    z = swin_block(p, blocks[l], z, X_2[l])
                else:
                    z = swin_block(p, blocks[l], X[l], z)
            features["pwca"].append(read_out(p, z))

    result = Result()
    for branch, rows in features.items():
        result.features[branch] = torch.stack(rows)
        result.logits[branch] = classify(p, "sa_head", setup.head, result.features[branch])
    return result
