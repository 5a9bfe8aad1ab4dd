"""RolloutHooks on timm's and torchvision's ViTs: what is heard is the model's own attention, and nothing is changed."""

import pytest
import timm
import torch
from small_models import random_images, small_backbone, spread_out
from torch import nn
from torchvision.models.vision_transformer import VisionTransformer

import dcal

TIMM = {  # name → (arguments of the small ViT, prefix tokens)
    "deit": ({}, 1),
    "hybrid": ({}, 1),
    "registers": ({"reg_tokens": 3}, 4),
    "norms": ({"qk_norm": True, "init_values": 0.5}, 1),
    "dynamic": ({"dynamic_img_size": True}, 1),
}


def timm_vit(name="deit"):
    arguments, _ = TIMM[name]
    family = "r50_vit_base" if name == "hybrid" else "deit_tiny"
    return spread_out(small_backbone(family, num_classes=7, depth=4, **arguments)).double().eval()


def torchvision_vit(heads=4):
    """heads: torch's fused kernel takes an even number of them."""
    vit = VisionTransformer(
        image_size=32, patch_size=8, num_layers=3, num_heads=heads, hidden_dim=24, mlp_dim=32, num_classes=7
    )
    return spread_out(vit).double().eval()


def images_for(vit, count=2):
    size = getattr(vit, "image_size", None) or vit.patch_embed.img_size
    return random_images(count, size).double()


def product(maps, first, last):
    """First row of S̄_last … S̄_first, the whole matrices multiplied; maps (B, H, n, n)."""
    eye = torch.eye(maps[0].shape[-1], dtype=torch.float64)
    out = eye
    for s in maps[first - 1 : last]:
        out = (0.5 * s.mean(dim=1) + 0.5 * eye) @ out
    return out[:, 0]


def unfused_maps(vit, images):
    """timm's own maps: with the fused kernel off, attn_drop is given S."""
    maps, hooks = [], []
    for block in vit.blocks:
        block.attn.fused_attn = False
        hooks.append(block.attn.attn_drop.register_forward_hook(lambda _m, args, _out: maps.append(args[0])))
    vit(images)
    for hook in hooks:
        hook.remove()
    return maps


def multihead_maps(vit, images):
    """torchvision's: its attention modules asked for the weights."""
    maps = []
    for block in vit.encoder.layers:

        def again(module, args, _out):
            x = args[0]
            forward = nn.MultiheadAttention.forward
            maps.append(forward(module, x, x, x, need_weights=True, average_attn_weights=False)[1])

        block.self_attention.register_forward_hook(again)
    vit(images)
    return maps


def heard(model, images):
    with dcal.RolloutHooks(model) as hooks:
        model(images)
    return hooks


@torch.no_grad()
@pytest.mark.parametrize("name", TIMM)
def test_timms_rollout_is_made_of_its_own_maps(name):
    vit = timm_vit(name)
    images = images_for(vit)
    hooks = heard(vit, images)
    maps = unfused_maps(vit, images)
    assert len(maps) == 4
    for layers in [(1, 4), (2, 3), (4, 4)]:
        seen = hooks.rollout(layers)
        torch.testing.assert_close(seen.row, product(maps, *layers), rtol=1e-10, atol=1e-14)
        assert (seen.layers, seen.prefix, seen.grid) == (layers, TIMM[name][1], (4, 4))


@torch.no_grad()
def test_a_distilled_deits_second_token_is_no_patch():
    torch.manual_seed(0)
    vit = timm.create_model(
        "deit_tiny_distilled_patch16_224", img_size=32, embed_dim=24, num_heads=3, depth=2
    ).eval()
    seen = heard(vit, random_images(2)).rollout((1, 2))
    assert seen.row.shape == (2, 2 + 4)
    assert torch.equal(seen.cls_attention(), seen.row[:, 2:])
    assert seen.top_tokens(0.5).min() >= 2


@torch.no_grad()
@pytest.mark.parametrize("heads", [3, 4], ids=["odd", "even"])
def test_torchvisions_rollout_is_made_of_the_weights_its_attention_gives(heads):
    vit = torchvision_vit(heads)
    images = images_for(vit)
    seen = heard(vit, images).rollout((1, 3))
    torch.testing.assert_close(seen.row, product(multihead_maps(vit, images), 1, 3), rtol=1e-10, atol=1e-14)
    assert (seen.prefix, seen.grid) == (1, (4, 4))


@pytest.mark.parametrize("grad", [True, False], ids=["with gradient", "without"])
@pytest.mark.parametrize("make", [timm_vit, torchvision_vit])
def test_outputs_and_gradients_are_bit_for_bit_those_without_hooks(make, grad):
    vit = make()
    images = images_for(vit).requires_grad_(grad)
    results = []
    for run in (lambda: vit(images), lambda: heard_output(vit, images), lambda: vit(images)):
        with torch.set_grad_enabled(grad):
            out = run()
        results.append((out, *torch.autograd.grad(out.sum(), images)) if grad else (out,))
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


def heard_output(vit, images):
    with dcal.RolloutHooks(vit):
        return vit(images)


@torch.no_grad()
def test_by_default_all_blocks_but_the_last_are_rolled_out_by_the_mean():
    vit = timm_vit()
    images = images_for(vit)
    hooks, maps = heard(vit, images), unfused_maps(vit, images)
    expected = product(maps, 1, 3)
    torch.testing.assert_close(hooks.rollout().row, expected, rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(hooks.cls_attention(), expected[:, 1:], rtol=1e-10, atol=1e-14)
    assert torch.equal(hooks.top_tokens(0.25), dcal.select_top_tokens(expected, 0.25))


@torch.no_grad()
def test_layers_and_head_fusion_reach_the_shortcuts():
    hooks = heard(vit := timm_vit(), images_for(vit))
    seen = hooks.rollout((2, 4), "max")
    assert torch.equal(hooks.cls_attention((2, 4), "max"), seen.row[:, 1:])
    assert torch.equal(hooks.top_tokens(0.25, (2, 4), "max"), seen.top_tokens(0.25))
    assert not torch.allclose(seen.row, hooks.rollout((2, 4)).row)


@torch.no_grad()
def test_the_last_forward_pass_counts_and_stays_readable_behind_the_with_block():
    vit = timm_vit()
    first, second = images_for(vit, 2), images_for(vit, 3)[1:]
    with dcal.RolloutHooks(vit) as hooks:
        vit(first)
        vit.forward_features(second)
    vit(first)
    torch.testing.assert_close(hooks.rollout().row, heard(vit, second).rollout().row)


@torch.no_grad()
def test_no_hook_stays_behind():
    vit = timm_vit()
    heard(vit, images_for(vit))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in vit.modules())


@torch.no_grad()
def test_the_vit_may_be_a_part_of_the_model():
    vit = timm_vit()
    whole, images = nn.Sequential(nn.BatchNorm2d(3).double().eval(), vit), images_for(vit)
    torch.testing.assert_close(heard(whole, images).rollout().row, heard(vit, whole[0](images)).rollout().row)


@torch.no_grad()
def test_pictures_of_another_size_have_another_grid():
    vit = timm_vit("dynamic")
    seen = heard(vit, random_images(2, (16, 40)).double()).rollout()
    assert seen.heatmap().shape == (2, 2, 5)
    assert torch.equal(seen.heatmap().flatten(1), seen.cls_attention())


def test_what_is_kept_in_training_asks_for_no_gradient_and_gradient_checkpointing_changes_nothing():
    vit = spread_out(small_backbone(depth=4)).train()
    vit.set_grad_checkpointing()
    with dcal.RolloutHooks(vit) as hooks:
        vit(random_images(2)).sum().backward()
    assert not any(tensor.requires_grad for pair in hooks.queries_keys for tensor in pair)
    torch.testing.assert_close(hooks.rollout().row, dcal.rollout(vit.eval(), random_images(2)).row)
