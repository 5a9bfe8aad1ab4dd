"""inspect: what is drawn and measured equals the attention maps multiplied out, and disturbs nothing."""

import pytest
import timm
import torch
from small_models import random_images, small_backbone, small_dcal, spread_out

import dcal

GRIDS = {  # name → (architecture, image size, patches)
    "square": ("small_vit.test", 32, (4, 4)),
    "tall": ("small_vit.test", (64, 32), (8, 4)),
    "wide": ("small_vit.test", (16, 40), (2, 5)),
    "hybrid": ("small_hybrid.test", (96, 64), (6, 4)),
}


def built(grid, glca, **settings):
    tag, size, _ = GRIDS[grid]
    torch.manual_seed(0)
    asked = dcal.GLCASettings(**({"ratio": 0.3} | settings)) if glca else None
    model = dcal.build(tag, 5, image_size=size, weights="random", glca=asked)
    return spread_out(model).double().eval(), random_images(2, size).double()


def maps_by_hand(vit, run):
    """S of every block, (B, H, N+1, N+1), from what the qkv layers really put out while ``run`` runs."""
    seen, hooks = [], []
    for block in vit.blocks:
        hooks.append(block.attn.qkv.register_forward_hook(lambda _m, _i, out: seen.append(out)))
    run()
    for hook in hooks:
        hook.remove()
    heads, maps = vit.blocks[0].attn.num_heads, []
    for out in seen:
        width = out.shape[2] // 3
        d = width // heads
        of_heads = []
        for h in range(heads):
            q = out[:, :, h * d : (h + 1) * d]
            k = out[:, :, width + h * d : width + (h + 1) * d]
            e = torch.exp(torch.einsum("bid,bjd->bij", q, k) / d**0.5)
            of_heads.append(e / e.sum(dim=2, keepdim=True))
        maps.append(torch.stack(of_heads, dim=1))
    assert len(maps) == len(vit.blocks)
    return maps


def product_by_hand(maps, first, last):
    """S̄_last … S̄_first, the whole matrices multiplied."""
    tokens = maps[0].shape[-1]
    product = torch.eye(tokens, dtype=torch.float64).expand(len(maps[0]), tokens, tokens)
    for s in maps[first - 1 : last]:
        product = (0.5 * s.mean(dim=1) + 0.5 * torch.eye(tokens, dtype=torch.float64)) @ product
    return product


@pytest.mark.parametrize("glca", [False, True], ids=["baseline", "dcal"])
@pytest.mark.parametrize("grid", GRIDS)
def test_rollout_of_every_range_of_layers_is_the_matrix_products_first_row(grid, glca):
    model, images = built(grid, glca)
    with torch.no_grad():
        maps = maps_by_hand(model.backbone.vit, lambda: model.backbone.vit(images))
    for first in range(1, 13):
        for last in range(first, 13):
            seen = dcal.inspect(model, images, (first, last))
            expected = product_by_hand(maps, first, last)[:, 0]
            torch.testing.assert_close(seen.rollout, expected, rtol=1e-10, atol=1e-14)
            assert seen.layers == (first, last)
            assert seen.grid == GRIDS[grid][2]


@pytest.mark.parametrize(
    ("settings", "last"),
    [(None, 11), ({"blocks": 1}, 11), ({"blocks": 3}, 9)],
    ids=["baseline", "M=1", "M=3"],
)
def test_by_default_the_blocks_before_glcas_are_rolled_out(settings, last):
    model, images = built("square", settings is not None, **(settings or {}))
    seen = dcal.inspect(model, images)
    assert seen.layers == (1, last)
    assert torch.equal(seen.rollout, dcal.inspect(model, images, (1, last)).rollout)


@pytest.mark.parametrize("grid", GRIDS)
def test_every_row_sums_to_one(grid):
    model, images = built(grid, True)
    seen = dcal.inspect(model.float(), images.float())
    torch.testing.assert_close(seen.rollout.sum(dim=1), torch.ones(2))
    torch.testing.assert_close(seen.glca.sum(dim=1), torch.ones(2))


@pytest.mark.parametrize("blocks", [1, 2])
@pytest.mark.parametrize("grid", GRIDS)
def test_glcas_row_is_the_softmax_of_its_class_token(grid, blocks):
    model, images = built(grid, True, blocks=blocks)
    block, normed = model.glca.blocks[-1], []
    hook = block.norm1.register_forward_hook(lambda _m, _i, out: normed.append(out))
    with torch.no_grad():
        model(images)
    hook.remove()
    local, every = sorted(normed, key=lambda x: x.shape[1])
    assert every.shape[1] == 1 + GRIDS[grid][2][0] * GRIDS[grid][2][1]
    heads, width = block.attn.num_heads, every.shape[2]
    weight, bias, d = block.attn.qkv.weight, block.attn.qkv.bias, width // heads
    expected = 0
    for h in range(heads):
        of_q, of_k = slice(h * d, (h + 1) * d), slice(width + h * d, width + (h + 1) * d)
        q = local[:, 0] @ weight[of_q].T + bias[of_q]
        k = every @ weight[of_k].T + bias[of_k]
        e = torch.exp((k @ q[:, :, None])[:, :, 0] / d**0.5)
        expected = expected + e / e.sum(dim=1, keepdim=True) / heads
    torch.testing.assert_close(dcal.inspect(model, images).glca, expected, rtol=1e-10, atol=1e-14)


def test_selected_patches_are_the_rollouts_largest_whatever_layers_are_asked_for():
    model, images = built("tall", True)
    default = dcal.inspect(model, images)
    assert default.selected.shape == (2, 9)  # ⌊0.3 · 32⌋
    for row, selected in zip(default.rollout[:, 1:], default.selected, strict=True):
        assert selected.tolist() == sorted(range(32), key=lambda patch: -row[patch])[:9]
    assert torch.equal(dcal.inspect(model, images, (2, 5)).selected, default.selected)


OUTPUTS = {
    "baseline": (False, {}),
    "dcal": (True, {}),
    "two blocks and mean": (True, {"blocks": 2, "readout": "mean"}),
    "random selection": (True, {"select": "random", "readout": "mean"}),
}


@pytest.mark.parametrize(("glca", "settings"), OUTPUTS.values(), ids=OUTPUTS)
def test_outputs_are_the_models_own(glca, settings):
    model, images = built("square", glca, **settings)
    seen = dcal.inspect(model, images).outputs
    with torch.no_grad():
        own = model(images)
    assert seen.branches().keys() == own.branches().keys()
    for name, branch in own.branches().items():
        torch.testing.assert_close(seen.branches()[name].logits, branch.logits, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(seen.branches()[name].feature, branch.feature, rtol=1e-10, atol=1e-12)


def test_looking_does_not_move_the_generator_of_random_selection():
    model, images = built("square", True, select="random")
    first, again = dcal.inspect(model, images), dcal.inspect(model, images)
    assert torch.equal(first.selected, again.selected)
    indices = []
    select = model.glca.select
    model.glca.select = lambda *given: indices.append(select(*given)) or indices[-1]
    with torch.no_grad():
        model(images)
        model(images)
    assert torch.equal(indices[0][:, 1:] - 1, first.selected)  # what the model itself draws next
    assert not torch.equal(indices[0], indices[1])


def test_a_dcal_model_with_pwca_shows_what_it_does_at_inference():
    model = small_dcal(glca=dcal.GLCASettings(), pwca=dcal.PWCASettings()).eval()
    images = random_images(3)
    seen = dcal.inspect(model, images)
    assert seen.outputs.pwca is None
    torch.testing.assert_close(seen.outputs.glca.logits, model(images).glca.logits)


@pytest.mark.parametrize("layers", [(0, 3), (5, 4), (1, 13), (-2, 1), (13, 13)])
def test_layers_that_are_none_are_refused_with_the_legal_range(layers):
    model, images = built("square", True)
    with pytest.raises(ValueError, match=r"1 ≤ a ≤ b ≤ 12"):
        dcal.inspect(model, images, layers)


def test_training_mode_is_refused():
    model, images = built("square", True)
    with pytest.raises(ValueError, match="eval mode"):
        dcal.inspect(model.train(), images)


def test_nothing_asks_for_a_gradient():
    model, images = built("square", True)
    seen = dcal.inspect(model, images)
    assert not any(tensor.requires_grad for tensor in (seen.rollout, seen.glca, seen.outputs.sa.logits))


def test_a_plain_vit_is_seen_with_its_own_classifier():
    vit = spread_out(small_backbone(num_classes=7)).double().eval()
    images = random_images(2).double()
    with torch.no_grad():
        maps = maps_by_hand(vit, lambda: vit(images))
        logits = vit(images)
    seen = dcal.inspect_vit(vit, images, (3, 8))
    torch.testing.assert_close(seen.rollout, product_by_hand(maps, 3, 8)[:, 0], rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(seen.outputs.sa.logits, logits, rtol=1e-10, atol=1e-12)
    assert dcal.inspect_vit(vit, images).layers == (1, 11)
    assert seen.glca is None
    assert seen.selected is None


def test_a_plain_vit_without_classifier_says_nothing():
    vit = spread_out(small_backbone(num_classes=0)).eval()
    assert dcal.inspect_vit(vit, random_images(1)).outputs is None


def test_a_family_without_adapter_is_refused():
    with pytest.raises(ValueError, match="no adapter"):
        dcal.inspect_vit(timm.create_model("resnet18", pretrained=False).eval(), random_images(1))
