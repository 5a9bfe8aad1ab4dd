"""PWCA on Swin: the second stream, what it costs, and what Swin has not."""

import pytest
import torch
from blocks_again import assert_same_with_less_kept
from small_models import random_images
from small_swin import SIZES, small_swin_backbone, small_swin_dcal
from timm.layers import DropPath
from torch.nn import functional as F

import dcal
from dcal.pwca import Pairs

ROTATED = torch.tensor([1, 2, 0])


@pytest.mark.parametrize("blocks", [8, 5, 1])
@pytest.mark.parametrize("stream", ["own", "figure"])
def test_swins_image_that_is_its_own_distractor_gets_the_self_attention_output(stream, blocks):
    """Twice the same keys with twice the same bias and mask share the softmax evenly: Eq. 4 becomes Eq. 1."""
    model = small_swin_dcal(pwca=dcal.PWCASettings(stream=stream, blocks=blocks)).double()
    outputs = model(random_images(3, SIZES["filled"]).double(), partner=torch.arange(3))
    assert (outputs.pwca.feature - outputs.sa.feature).abs().max() < 1e-12


@pytest.mark.parametrize("stream", ["own", "figure"])
def test_another_distractor_changes_swins_pwca_and_leaves_its_self_attention(stream):
    model = small_swin_dcal(pwca=dcal.PWCASettings(stream=stream, blocks=2)).double()
    images = random_images(3, SIZES["filled"]).double()
    one, other = (model(images, partner=partner) for partner in (ROTATED, ROTATED[ROTATED]))
    assert (one.pwca.logits - other.pwca.logits).abs().amin(dim=0).max() > 1e-4
    assert torch.equal(one.sa.logits, other.sa.logits)


def test_swins_pwca_is_gone_in_eval_mode():
    model = small_swin_dcal(pwca=dcal.PWCASettings(blocks=8)).eval()
    plain = small_swin_dcal().eval()
    assert list(model.state_dict()) == list(plain.state_dict())
    images = random_images(2, SIZES["filled"])
    found, expected = model(images), plain(images)
    assert list(found.branches()) == ["sa"]
    assert torch.equal(found.sa.logits, expected.sa.logits)


def test_glca_on_swin_is_refused():
    with pytest.raises(ValueError, match=r"no class token.*PWCA only"):
        small_swin_dcal(glca=dcal.GLCASettings())


def test_more_pairwise_blocks_than_all_stages_have_are_refused():
    with pytest.raises(ValueError, match=r"T = 9 .* found 8"):
        small_swin_dcal(pwca=dcal.PWCASettings(blocks=9))


def test_swin_has_no_rollout_to_inspect():
    images = random_images(1)
    with pytest.raises(ValueError, match="no class token"):
        dcal.inspect(small_swin_dcal(SIZES["whole"]).eval(), images)
    with pytest.raises(ValueError, match="no class token"):
        dcal.inspect_vit(small_swin_backbone().eval(), images)


# ---- cost -------------------------------------------------------------------------------------------------


def test_swins_streams_share_block_1s_projections_and_run_as_one_batch_afterwards():
    """Images in each block's q, k, v projection, and in each merging of patches."""
    model = small_swin_dcal(pwca=dcal.PWCASettings(blocks=8))
    rows = {"qkv": [], "reduction": []}
    for name, layer in model.named_modules():
        if (last := name.split(".")[-1]) in rows:
            layer.register_forward_hook(
                lambda module, given, result, last=last: rows[last].append(len(result))
            )
    model(random_images(3, SIZES["filled"]))
    assert rows == {"qkv": [3] + [6] * 7, "reduction": [6] * 3}


def test_every_attention_is_fused_with_one_bias_for_all_images(monkeypatch):
    """An attention of each stream a block. Windows × heads at 32×32: 16·2, 4·4, 1·8, 1·16; 16 tokens, 4 in the
    last stage, and as many of the distractor's."""
    calls = []
    fused = F.scaled_dot_product_attention

    def record(q, k, v, attn_mask):
        calls.append((tuple(q.shape[:2]), tuple(attn_mask.shape)))
        return fused(q, k, v, attn_mask=attn_mask)

    monkeypatch.setattr(F, "scaled_dot_product_attention", record)
    small_swin_dcal(SIZES["whole"], pwca=dcal.PWCASettings(blocks=8))(random_images(3))
    expected = []
    for heads, tokens in ((32, 16), (16, 16), (8, 16), (16, 4)):
        for _ in range(2):
            expected += [((3, heads), (1, heads, tokens, keys)) for keys in (tokens, 2 * tokens)]
    assert calls == expected


@pytest.mark.parametrize(
    "settings",
    [{}, {"pwca": dcal.PWCASettings(blocks=8)}, {"pwca": dcal.PWCASettings(blocks=5, stream="figure")}],
    ids=["baseline", "own", "figure, T = 5"],
)
def test_swins_gradients_are_the_same_with_blocks_run_again_and_less_is_kept(settings):
    assert_same_with_less_kept(
        lambda: small_swin_dcal(drop_path=0.3, **settings), random_images(6, SIZES["filled"])
    )


# ---- stochastic depth ---------------------------------------------------------------------------------------


def test_swins_rate_grows_linearly_over_all_stages():
    model = small_swin_dcal(drop_path=0.1, pwca=dcal.PWCASettings(blocks=8))
    for drop_path in ("drop_path1", "drop_path2"):
        layers = [getattr(block, drop_path) for block in model.backbone.blocks]
        found = [layer.drop_prob if isinstance(layer, DropPath) else 0.0 for layer in layers]
        assert found == pytest.approx([0.1 * l / 7 for l in range(8)], abs=1e-7)


@torch.no_grad()
def test_swins_two_streams_draw_on_their_own():
    """64 images, rate ½ in the last block. Independent draws agree in about half of the rows, 32 ± 4 (one sigma);
    shared draws would agree in all 64."""
    model = small_swin_dcal(SIZES["tall"], drop_path=0.5, pwca=dcal.PWCASettings(blocks=8))
    dropped = {}
    for name in ("drop_path1", "drop_path2"):
        getattr(model.backbone.blocks[-1], name).register_forward_hook(
            lambda layer, given, result, name=name: dropped.update(
                {name: result.flatten(1).abs().amax(1) == 0}
            )
        )
    torch.manual_seed(0)
    model(random_images(64, SIZES["tall"]))
    for rows in dropped.values():
        assert len(rows) == 2 * 64
        assert 16 <= (rows[:64] == rows[64:]).sum() <= 48
    assert len(dropped) == 2


# ---- bf16 ---------------------------------------------------------------------------------------------------


def test_swins_gradients_in_bf16_autocast_are_as_near_to_float32s_as_timms_own():
    """With timm's initialisation and over all gradients together. Measured: 1.1 % from float32's in both streams and
    in timm's forward; bf16 keeps 8 bits, 0.4 %."""
    torch.manual_seed(0)
    model = dcal.build("small_swin.test", 5, image_size=SIZES["filled"], weights="random", drop_path=0.0)
    images, pairs = random_images(3, SIZES["filled"]), Pairs(ROTATED, 8, "own", images=3)

    def gradients(branch: str, *, bf16: bool) -> torch.Tensor:
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            if branch == "timm":
                feature = model.backbone.plain_feature(images)
            else:
                feature = getattr(model.backbone.features(images, 3, None, pairs), branch)
        feature.float().square().mean().backward()
        return torch.cat([parameter.grad.flatten() for parameter in model.backbone.parameters()])

    error = {}
    for branch in ("timm", "sa", "pwca"):
        exact = gradients(branch, bf16=False)
        error[branch] = ((gradients(branch, bf16=True) - exact).norm() / exact.norm()).item()
    assert error["timm"] > 1e-3  # it is bf16
    assert error["sa"] < 1.5 * error["timm"]
    assert error["pwca"] < 1.5 * error["timm"]
