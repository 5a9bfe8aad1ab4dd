"""Swin's self-attention stream is timm's: with DCAL off, as DCAL's SA branch, and at the sizes of Swin-T's runs."""

import pytest
import timm
import torch
from small_models import random_images, spread_out
from small_swin import SIZES, small_swin_backbone, small_swin_dcal
from timm.models.swin_transformer import SwinTransformerBlock

import dcal
from dcal.backbones import make_adapter
from dcal.pwca import Pairs

SWIN_TINY = "swin_tiny_patch4_window7_224.ms_in1k"
FLOAT32 = {"rtol": 0, "atol": 1e-5}


def headed_swin(size: tuple[int, int]) -> torch.nn.Module:
    return spread_out(small_swin_backbone(num_classes=5, img_size=size)).eval()


def dcal_of(headed: torch.nn.Module, size: tuple[int, int], **settings) -> dcal.DCAL:
    """DCAL on a headed timm model's weights, with its classifier as the SA classifier."""
    headless = small_swin_backbone(img_size=size)
    headless.load_state_dict({k: v for k, v in headed.state_dict().items() if not k.startswith("head.")})
    model = dcal.DCAL(make_adapter(headless), 5, **settings)
    model.sa_head.classifier.load_state_dict(headed.head.fc.state_dict())
    return model


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_swins_baseline_logits_equal_timms_forward(size):
    headed = headed_swin(size)
    outputs = dcal_of(headed, size).eval()(random_images(3, size))
    assert list(outputs.branches()) == ["sa"]
    torch.testing.assert_close(outputs.sa.logits, headed(random_images(3, size)), **FLOAT32)


@pytest.mark.parametrize("blocks", [8, 3])
@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_swins_sa_branch_of_dcal_equals_timms_forward(size, mode, blocks):
    headed = headed_swin(size)
    model = dcal_of(headed, size, pwca=dcal.PWCASettings(blocks=blocks)).train(mode == "train")
    outputs = model(random_images(3, size))
    torch.testing.assert_close(outputs.sa.logits, headed(random_images(3, size)), **FLOAT32)


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        ({"global_pool": "max"}, "'max' pooling"),
        ({"strict_img_size": False}, "any input size"),
        ({"attn_drop_rate": 0.1}, r"block 1 .*without dropout"),
    ],
)
def test_swins_that_the_method_is_not_defined_on_are_refused(refused, why):
    with pytest.raises(ValueError, match=why):
        make_adapter(small_swin_backbone(**refused))


def test_swins_with_blocks_of_another_kind_are_refused():
    class OtherBlock(SwinTransformerBlock):
        pass

    vit = small_swin_backbone()
    vit.layers[1].blocks[1].__class__ = OtherBlock
    with pytest.raises(ValueError, match=r"block 4 .*OtherBlock"):
        make_adapter(vit)


def test_the_second_version_of_swin_is_refused():
    with torch.device("meta"):
        vit = timm.create_model("swinv2_cr_tiny_224")
    with pytest.raises(ValueError, match="no adapter for SwinTransformerV2Cr"):
        make_adapter(vit)


def test_timms_list_of_undecayed_parameters_holds_the_eight_bias_tables():
    model = small_swin_dcal()
    spared = {f"backbone.vit.{name}" for name in model.backbone.vit.no_weight_decay()}
    tables = {name for name, _ in model.named_parameters() if name.endswith("relative_position_bias_table")}
    assert spared == tables
    assert len(tables) == 8


# ---- Swin-T -------------------------------------------------------------------------------------------------


@torch.no_grad()
@pytest.mark.parametrize("size", [(448, 448), (256, 128)], ids=["cub", "msmt17"])
def test_swin_tiny_in_both_streams_equals_timms_forward(size):
    """One image that is its own distractor, so that both streams must give the feature of timm's own forward."""
    torch.manual_seed(0)
    vit = timm.create_model(SWIN_TINY, img_size=size, drop_path_rate=0.1).eval()
    backbone = make_adapter(vit)
    assert backbone.depth == 12
    assert backbone.width == 768
    image = random_images(1, size)
    found = backbone.features(image, 1, None, Pairs(torch.tensor([0]), 12, "own", images=1))
    expected = vit(image)
    for feature in (found.sa, found.pwca):
        torch.testing.assert_close(vit.get_classifier()(feature), expected, **FLOAT32)


def test_a_training_step_of_swin_tiny_reaches_every_parameter():
    torch.manual_seed(0)
    model = dcal.build(
        SWIN_TINY, 5, image_size=(256, 128), weights="random", head="bnneck", pwca=dcal.PWCASettings()
    )
    before = {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    branches = model.train()(random_images(2, (256, 128))).branches()
    assert list(branches) == ["sa", "pwca"]
    labels = torch.tensor([0, 1])
    sum(torch.nn.functional.cross_entropy(branch.logits, labels) for branch in branches.values()).backward()
    optimizer.step()
    for name, value in model.named_parameters():
        if value.requires_grad:
            assert value.isfinite().all(), name
            assert not torch.equal(value, before[name]), name
