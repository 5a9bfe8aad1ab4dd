"""dcal.rollout: one call for every model with a class token."""

import pytest
import timm
import torch
from small_cait import L, small_cait_dcal
from small_models import random_images, small_backbone, small_dcal, spread_out
from torchvision.models.vision_transformer import VisionTransformer

import dcal


def vit(**arguments):
    return spread_out(small_backbone(depth=4, **arguments)).eval()


def test_of_a_dcal_model_it_is_what_inspect_sees():
    model, images = small_dcal(glca=dcal.GLCASettings(blocks=2)).eval(), random_images(2)
    seen = dcal.rollout(model, images)
    assert torch.equal(seen.row, dcal.inspect(model, images).rollout)
    assert (seen.layers, seen.grid, seen.prefix) == ((1, 10), (4, 4), 1)


@pytest.mark.parametrize("layers", [None, (2, 4)])
def test_of_a_timm_vit_it_is_what_inspect_vit_sees(layers):
    model, images = vit(num_classes=3), random_images(2)
    seen, inspected = dcal.rollout(model, images, layers), dcal.inspect_vit(model, images, layers)
    torch.testing.assert_close(seen.row, inspected.rollout)
    assert (seen.layers, seen.grid) == (inspected.layers, inspected.grid)


def test_registers_are_taken_apart_from_the_patches():
    seen = dcal.rollout(vit(reg_tokens=2), random_images(2))
    assert seen.row.shape == (2, 3 + 16)
    assert torch.equal(seen.heatmap().flatten(1), seen.row[:, 3:])


@pytest.mark.parametrize("whole", [True, False], ids=["dcal", "timm"])
def test_of_a_cait_it_starts_in_class_attention(whole):
    model = small_cait_dcal().eval()
    seen = dcal.rollout(model if whole else model.backbone.vit, random_images(2))
    assert seen.layers == (1, L - 1)
    torch.testing.assert_close(seen.row.sum(dim=1), torch.ones(2))


def test_torchvisions_vit_is_heard_by_hooks():
    model = spread_out(VisionTransformer(32, 8, 3, 2, 24, 32)).eval()
    images = random_images(2)
    with torch.no_grad(), dcal.RolloutHooks(model) as hooks:
        model(images)
    assert torch.equal(dcal.rollout(model, images, (1, 2)).row, hooks.rollout((1, 2)).row)


@pytest.mark.parametrize("fusion", ["mean", "max"])
@pytest.mark.parametrize(
    "model",
    [vit(), small_dcal(glca=dcal.GLCASettings()), small_cait_dcal()],
    ids=["vit", "dcal", "cait"],
)
def test_a_batch_of_no_pictures_has_no_rows(model, fusion):
    assert dcal.rollout(model.eval(), random_images(0), head_fusion=fusion).row.shape == (0, 17)


@pytest.mark.parametrize(
    "model", [vit(), small_dcal(), small_cait_dcal().backbone.vit], ids=["vit", "dcal", "cait"]
)
def test_training_mode_is_refused(model):
    with pytest.raises(ValueError, match="eval mode"):
        dcal.rollout(model.train(), random_images(1))


def test_a_model_without_attention_is_refused():
    with pytest.raises(ValueError, match=r"ResNet has no attention that is known"):
        dcal.rollout(timm.create_model("resnet18", pretrained=False).eval(), random_images(1))
