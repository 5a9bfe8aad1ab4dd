"""CaiT's self-attention stream is timm's: with DCAL off and as DCAL's SA branch, on a small model and on CaiT-XS24."""

import pytest
import timm
import torch
from small_cait import small_cait_dcal, visible
from small_models import random_images
from timm.models.cait import LayerScaleBlock

import dcal
from dcal.backbones import make_adapter
from dcal.model import DCAL

FLOAT32 = {"rtol": 0, "atol": 1e-5}


def timm_and_dcal(architecture: str, size: int, **settings) -> tuple[torch.nn.Module, DCAL]:
    """A headed timm model with visible weights, and DCAL on them with its classifier as the SA classifier."""
    headed = visible(timm.create_model(architecture, num_classes=5, img_size=size)).eval()
    headless = timm.create_model(architecture, num_classes=0, img_size=size)
    headless.load_state_dict({k: v for k, v in headed.state_dict().items() if not k.startswith("head.")})
    model = DCAL(make_adapter(headless), 5, **settings)
    model.sa_head.classifier.load_state_dict(headed.head.state_dict())
    return headed, model


def test_cait_baseline_logits_equal_timms_forward():
    headed, model = timm_and_dcal("small_cait", 32)
    images = random_images(3)
    outputs = model.eval()(images)
    assert list(outputs.branches()) == ["sa"]
    torch.testing.assert_close(outputs.sa.logits, headed(images), **FLOAT32)


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_sa_branch_of_dcal_on_cait_equals_timms_forward(mode):
    """GLCA and PWCA run beside the self-attention stream and leave it alone."""
    both = {"glca": dcal.GLCASettings(), "pwca": dcal.PWCASettings(blocks=6)}
    headed, model = timm_and_dcal("small_cait", 32, **both)
    images = random_images(3)
    outputs = model.train(mode == "train")(images)
    torch.testing.assert_close(outputs.sa.logits, headed(images), **FLOAT32)


@torch.no_grad()
def test_cait_xs24_at_448_equals_timms_forward_as_baseline_and_beside_glca():
    """The paper's model and size, random weights, one image; logits are of size 1."""
    headed, model = timm_and_dcal("cait_xs24_384", 448, glca=dcal.GLCASettings())
    image = random_images(1, 448)
    expected = headed(image)
    model.eval()
    torch.testing.assert_close(model(image).sa.logits, expected, rtol=0, atol=1e-4)
    model.glca = None
    torch.testing.assert_close(model(image).sa.logits, expected, rtol=0, atol=1e-4)


def test_a_training_step_of_dcal_on_cait_xs24_reaches_every_parameter():
    """All 26 blocks pair-wise, LayerScale as timm starts it (1e-5), 64² pixels."""
    model = dcal.build(
        "cait_xs24_384.fb_dist_in1k",
        5,
        image_size=64,
        weights="random",
        glca=dcal.GLCASettings(),
        pwca=dcal.PWCASettings(blocks=26),
    )
    outputs = model.train()(random_images(2, 64))
    assert list(outputs.branches()) == ["sa", "glca", "pwca"]
    sum(branch.logits.square().mean() for branch in outputs.branches().values()).backward()
    for name, value in model.named_parameters():
        assert value.grad is not None, name
        assert value.grad.isfinite().all(), name


def test_cait_runs_in_bfloat16_autocast_close_to_float32():
    """Features of size 1 with bfloat16's 8 bits through 6 blocks: within 0.1, and every gradient is finite."""
    model = small_cait_dcal(glca=dcal.GLCASettings(), pwca=dcal.PWCASettings(blocks=6))
    images, partner = random_images(3), torch.tensor([1, 2, 0])
    exact = model(images, partner=partner)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = model(images, partner=partner)
        loss = sum(branch.logits.float().square().mean() for branch in outputs.branches().values())
    loss.backward()
    for name, branch in outputs.branches().items():
        torch.testing.assert_close(
            branch.feature.float(), exact.branches()[name].feature, rtol=0.1, atol=0.1, msg=name
        )
    assert all(value.grad.isfinite().all() for value in model.parameters() if value.grad is not None)


class OtherBlock(LayerScaleBlock):
    """Stands for a variant that the adapter does not know."""


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        ({"global_pool": "avg"}, "'avg' pooling"),
        ({"depth_token_only": 0}, "0 class-attention blocks"),
        ({"block_layers": OtherBlock}, "block 1 of Cait is a OtherBlock"),
        ({"attn_drop_rate": 0.1}, "without dropout on the attention"),
    ],
)
def test_cait_variants_that_the_method_is_not_defined_on_are_refused(refused, why):
    with pytest.raises(ValueError, match=why):
        make_adapter(timm.create_model("small_cait", num_classes=0, **refused))
