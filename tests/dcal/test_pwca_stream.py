"""PWCA: the second stream in training, nothing at all in inference."""

import cv2
import pytest
import torch
from small_models import random_images, small_dcal
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import dcal


@pytest.mark.parametrize("blocks", [12, 5, 1])
@pytest.mark.parametrize("stream", ["own", "figure"])
def test_an_image_that_is_its_own_distractor_gets_the_self_attention_output(stream, blocks):
    """Twice the same keys share the softmax evenly, so Eq. 4 becomes Eq. 1. Float64, 1e-12."""
    model = small_dcal(pwca=dcal.PWCASettings(stream=stream, blocks=blocks)).double()
    outputs = model(random_images(3).double(), partner=torch.arange(3))
    assert (outputs.pwca.feature - outputs.sa.feature).abs().max() < 1e-12
    assert (outputs.pwca.logits - outputs.sa.logits).abs().max() < 1e-12


@pytest.mark.parametrize("stream", ["own", "figure"])
def test_another_distractor_changes_pwca_and_leaves_self_attention(stream):
    model = small_dcal(pwca=dcal.PWCASettings(stream=stream, blocks=2)).double()
    images = random_images(3).double()
    one, other = (model(images, partner=torch.tensor(partner)) for partner in ([1, 2, 0], [2, 0, 1]))
    assert (one.pwca.logits - other.pwca.logits).abs().amin(dim=0).max() > 1e-4
    assert torch.equal(one.sa.logits, other.sa.logits)


def test_the_two_readings_of_the_stream_differ():
    images, partner = random_images(3).double(), torch.tensor([1, 2, 0])
    own, figure = (
        small_dcal(pwca=dcal.PWCASettings(stream=stream)).double()(images, partner=partner)
        for stream in ("own", "figure")
    )
    assert (own.pwca.logits - figure.pwca.logits).abs().max() > 1e-3


@torch.no_grad()
@pytest.mark.parametrize(
    ("stream", "blocks", "least", "most"),
    [("own", 12, 0.3, 1.0), ("figure", 12, 0.0, 1e-3), ("own", 1, 0.1, 1.0), ("figure", 1, 0.1, 1.0)],
)
def test_the_figures_stream_forgets_the_distractor_and_the_own_stream_does_not(
    stream, blocks, least, most, shared
):
    """How far PWCA's feature is from SA's, relative, on real DeiT-Tiny weights and photographs of 10 classes.

    Measured: own 0.63 with T = 12; figure 1e-5, because its right-hand stream takes its residual from image 1 in
    every block, so that image 2 is only in block 1's keys and values. With T = 1 the two readings are one: 0.25.
    """
    tag = "deit_tiny_patch16_224.fb_in1k"
    if not (shared / "weights" / f"{tag}.safetensors").is_file():
        pytest.skip("needs DeiT-Tiny's weights")
    folders = sorted((shared / "data/CUB_200_2011/images").glob("*"))[:10]
    if len(folders) < 10:
        pytest.skip("needs photographs of 10 CUB classes")
    model = dcal.build(
        tag,
        5,
        image_size=224,
        weights=shared / "weights",
        drop_path=0.0,
        pwca=dcal.PWCASettings(stream=stream, blocks=blocks),
    ).train()
    images = torch.stack([photograph(sorted(folder.glob("*.jpg"))[0], model) for folder in folders])
    outputs = model(images, partner=torch.arange(10).roll(1))
    sa, pwca = outputs.sa.feature, outputs.pwca.feature
    distance = ((pwca - sa).norm(dim=1) / sa.norm(dim=1)).mean().item()
    assert least <= distance <= most


def photograph(file, model) -> torch.Tensor:
    image = cv2.resize(cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB), (224, 224))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (model.mean, model.std))
    return (torch.from_numpy(image).permute(2, 0, 1) / 255 - mean) / std


def shapes_of(model, layer: str, images: int) -> list[tuple[int, int]]:
    """(rows, tokens) of what each block's layer puts out in a forward pass."""
    shapes = []
    for block in model.backbone.blocks:
        block.get_submodule(layer).register_forward_hook(
            lambda module, given, result: shapes.append((result.shape[0], result.shape[1]))
        )
    model(random_images(images))
    return shapes


def test_both_streams_share_block_1s_projections_and_run_as_one_batch_afterwards():
    """B rows in block 1's q, k, v projection, where the streams are still equal, then 2B. (The last block's is read in
    parts.)"""
    assert shapes_of(small_dcal(pwca=dcal.PWCASettings()), "attn.qkv", 3) == [(3, 17)] + [(6, 17)] * 10


@pytest.mark.parametrize(
    "settings", [{"pwca": dcal.PWCASettings()}, {"glca": dcal.GLCASettings()}], ids=["pwca", "glca"]
)
def test_the_last_block_computes_the_class_tokens_row_alone(settings):
    """Nobody reads its patches: the equations hold all the same (test_equations.py)."""
    shapes = shapes_of(small_dcal(**settings), "mlp", 3)
    assert [tokens for _, tokens in shapes] == [17] * 11 + [1]


def test_more_pairwise_blocks_than_the_backbone_has_are_refused():
    with pytest.raises(ValueError, match="T = 13"):
        small_dcal(pwca=dcal.PWCASettings(blocks=13))


def test_no_pairwise_blocks_are_refused():
    with pytest.raises(ValueError, match="T = 0"):
        dcal.PWCASettings(blocks=0)


@pytest.mark.parametrize("option", ["stream", "pairing", "regulariser"])
def test_an_unknown_pwca_option_is_refused_with_its_choices(option):
    with pytest.raises(ValueError, match=f"{option} is 'neither': expected one of"):
        dcal.PWCASettings(**{option: "neither"})


# ---- gone in inference ------------------------------------------------------------------------------------


def with_and_without() -> tuple[dcal.DCAL, dcal.DCAL]:
    """Two models from the same seed, the second without PWCA. Weights are the constructor's own."""
    settings = {"image_size": 32, "weights": "random", "glca": dcal.GLCASettings()}
    models = []
    for pwca in (dcal.PWCASettings(), None):
        torch.manual_seed(0)
        models.append(dcal.build("small_vit.test", 5, pwca=pwca, **settings))
    return tuple(models)


def test_pwca_adds_no_parameter_no_state_and_no_random_draw_to_the_model():
    model, plain = with_and_without()
    assert list(model.state_dict()) == list(plain.state_dict())
    for name, value in model.state_dict().items():
        assert torch.equal(value, plain.state_dict()[name]), name


def test_pwca_is_gone_from_the_outputs_in_eval_mode():
    model, plain = (m.eval() for m in with_and_without())
    images = random_images(2)
    found, expected = model(images), plain(images)
    assert found.pwca is None
    assert list(found.branches()) == ["sa", "glca"]
    for branch, output in found.branches().items():
        assert torch.equal(output.logits, expected.branches()[branch].logits)
        assert torch.equal(output.feature, expected.branches()[branch].feature)


def test_pwca_costs_nothing_in_eval_mode():
    """Multiply-adds, attention included (the math kernel shows it to the counter), equal those without PWCA."""
    model, plain = (m.eval() for m in with_and_without())
    counts = {}
    for name, m in (("with", model), ("without", plain)):
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            m(random_images(1))
        counts[name] = counter.get_flop_counts()["Global"]
    assert counts["with"] == counts["without"]
    # 12 blocks: QKᵀ and SV of 17 tokens, width 48; at least so much attention must have been seen.
    assert counts["with"][torch.ops.aten.bmm] >= 12 * 2 * (2 * 17 * 17 * 48)


def test_pwca_reaches_no_parameter_in_eval_mode():
    reached = []
    for model in with_and_without():
        model.eval()
        sum(branch.logits.square().sum() for branch in model(random_images(2)).branches().values()).backward()
        reached.append({name for name, value in model.named_parameters() if value.grad is not None})
    assert reached[0] == reached[1]
    assert reached[0]


def test_eval_mode_takes_a_batch_of_one():
    model, _ = with_and_without()
    assert model.eval()(random_images(1)).glca.logits.shape == (1, 5)
