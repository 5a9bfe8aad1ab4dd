"""Heads fused by mean, highest or lowest: the rows' chain equals the product of matrices, and what is renormalised."""

import pytest
import timm
import torch
from small_cait import HEADS, PATCH_BLOCKS, L, small_cait, visible  # noqa: F401 (small_cait registers itself)
from small_models import random_images, small_dcal

import dcal
from dcal import attention_rollout

FUSIONS = ("mean", "max", "min")


def fused(maps, fusion):
    """One map of a list of heads' maps (n, n), entry by entry."""
    out = torch.zeros_like(maps[0])
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            heads = [float(one[i, j]) for one in maps]
            out[i, j] = {"mean": sum(heads) / len(heads), "max": max(heads), "min": min(heads)}[fusion]
    return out


def s_bar(one, fusion):
    """0.5·S + 0.5·E; its rows divided by their sums where S is no mean."""
    matrix = 0.5 * one + 0.5 * torch.eye(len(one), dtype=one.dtype)
    return matrix if fusion == "mean" else matrix / matrix.sum(dim=1, keepdim=True)


def heads_maps(q, k):
    """S of every head of one image."""
    return [(q[h] @ k[h].T / q.shape[2] ** 0.5).softmax(dim=1) for h in range(len(q))]


def queries_keys(blocks=3, batch=2, heads=3, tokens=9, width=4):
    generator = torch.Generator().manual_seed(0)
    draw = lambda: 1.5 * torch.randn(batch, heads, tokens, width, generator=generator, dtype=torch.float64)  # noqa: E731
    return [(draw(), draw()) for _ in range(blocks)]


def literal(pairs, image, fusion):
    product = torch.eye(pairs[0][0].shape[2], dtype=torch.float64)
    for q, k in pairs:
        product = s_bar(fused(heads_maps(q[image], k[image]), fusion), fusion) @ product
    return product


@pytest.mark.parametrize("budget", [0, 3000, 10**9], ids=["row by row", "some rows", "at once"])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_row_equals_the_first_row_of_the_literal_product(fusion, budget, monkeypatch):
    monkeypatch.setattr(attention_rollout, "SCORE_BYTES", budget)
    pairs = queries_keys()
    row = dcal.rollout_row(pairs, fusion)
    for image in range(2):
        assert (row[image] - literal(pairs, image, fusion)[0]).abs().max() < 1e-14


def test_matrix_of_bfloat16_maps_is_made_in_float32_also_under_autocast():
    maps = [torch.stack(heads_maps(q[0], k[0]))[None].bfloat16() for q, k in queries_keys()]
    with torch.autocast("cpu", torch.bfloat16):
        found = dcal.rollout_matrix(maps)
    expected = dcal.rollout_matrix([one.double() for one in maps])
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() < 1e-6


@pytest.mark.parametrize("fusion", FUSIONS)
def test_matrix_of_explicit_maps_equals_the_literal_product(fusion):
    pairs = queries_keys()
    matrix = dcal.rollout_matrix((dcal.attention_map(q, k) for q, k in pairs), fusion)
    for image in range(2):
        assert (matrix[image] - literal(pairs, image, fusion)).abs().max() < 1e-14


@pytest.mark.parametrize("fusion", FUSIONS)
def test_rows_sum_to_one_with_any_fusion(fusion):
    assert (dcal.rollout_row(queries_keys(blocks=11), fusion).sum(dim=1) - 1).abs().max() < 1e-12


def test_the_three_fusions_say_different_things():
    rows = [dcal.rollout_row(queries_keys(), fusion) for fusion in FUSIONS]
    assert min((a - b).abs().max() for a, b in [rows[:2], rows[1:], rows[::2]]) > 0.01


def test_max_holds_no_map_of_a_head_beyond_its_budget(monkeypatch):
    """Row by row of a 65-token map, at most (B, H, 65) scores at a time."""
    monkeypatch.setattr(attention_rollout, "SCORE_BYTES", 0)
    sizes, maps = [], attention_rollout.attention_map
    monkeypatch.setattr(
        attention_rollout, "attention_map", lambda q, k: sizes.append(maps(q, k)) or sizes[-1]
    )
    dcal.rollout_row(queries_keys(tokens=65), "max")
    assert {tuple(made.shape) for made in sizes} == {(2, 3, 1, 65)}


def test_an_unknown_fusion_is_refused_with_those_there_are():
    for call in (
        lambda: dcal.rollout_row(queries_keys(), "median"),
        lambda: dcal.rollout_matrix([], "median"),
        lambda: dcal.rollout(small_dcal().eval(), random_images(1), head_fusion="median"),
    ):
        with pytest.raises(ValueError, match="'median': expected one of mean, max, min"):
            call()


# ---- CaiT: talking heads on patches, then class attention ---------------------------------------------------


def cait_matrices(vit, images, fusion):
    """S̄ of every block of one image, from what the projections put out in timm's own forward pass."""
    seen, hooks = {}, []
    for l, block in enumerate([*vit.blocks, *vit.blocks_token_only]):
        names = ["qkv"] if l < PATCH_BLOCKS else ["q", "k"]
        for name in names:
            layer, key = getattr(block.attn, name), (l, name)
            hooks.append(layer.register_forward_hook(lambda _m, _i, out, key=key: seen.update({key: out[0]})))
    vit(images)
    for hook in hooks:
        hook.remove()
    matrices = []
    for l in range(L):
        if l < PATCH_BLOCKS:
            q, k, _ = seen[l, "qkv"].chunk(3, dim=1)
            d = q.shape[1] // HEADS
            scores = [q[:, h * d : (h + 1) * d] @ k[:, h * d : (h + 1) * d].T / d**0.5 for h in range(HEADS)]
            mixed = vit.blocks[l].attn.proj_l(torch.stack(scores, dim=-1))
            one = fused([mixed[..., h].softmax(dim=1) for h in range(HEADS)], fusion)
            whole = torch.eye(len(one) + 1, dtype=one.dtype)
            whole[1:, 1:] = one
        else:
            q, k = seen[l, "q"], seen[l, "k"]
            d = k.shape[1] // HEADS
            of = [slice(h * d, (h + 1) * d) for h in range(HEADS)]
            rows = [(k[:, h] @ q.flatten()[h] / d**0.5).softmax(dim=0)[None] for h in of]
            whole = torch.eye(len(k), dtype=k.dtype)
            whole[:1] = fused(rows, fusion)
        matrices.append(s_bar(whole, fusion))
    return matrices


@torch.no_grad()
@pytest.mark.parametrize("fusion", FUSIONS)
def test_caits_fused_rollout_is_the_matrix_products_first_row(fusion):
    vit = visible(timm.create_model("small_cait", num_classes=0)).double().eval()
    images = random_images(1).double()
    product = torch.eye(17, dtype=torch.float64)
    for matrix in cait_matrices(vit, images, fusion):
        product = matrix @ product
    row = dcal.rollout(vit, images, (1, L), head_fusion=fusion).row
    assert (row[0] - product[0]).abs().max() < 1e-12
