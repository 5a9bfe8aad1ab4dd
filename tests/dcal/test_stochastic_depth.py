"""Stochastic depth: rates, whole residual branches, a draw for each stream."""

import pytest
import torch
from small_models import random_images, small_dcal
from timm.layers import DropPath

import dcal


def rate(layer: torch.nn.Module) -> float:
    return layer.drop_prob if isinstance(layer, DropPath) else 0.0


def test_rate_grows_linearly_from_0_to_a_tenth_and_is_a_tenth_in_glca():
    model = dcal.build(
        "small_vit.test",
        5,
        image_size=32,
        weights="random",
        glca=dcal.GLCASettings(),
        pwca=dcal.PWCASettings(),
    )
    linear = [0.1 * l / 11 for l in range(12)]
    for drop_path in ("drop_path1", "drop_path2"):
        found = [rate(getattr(block, drop_path)) for block in model.backbone.blocks]
        assert found == pytest.approx(linear, abs=1e-7)
        assert [rate(getattr(block, drop_path)) for block in model.glca.blocks] == pytest.approx([0.1])


def masks(model: torch.nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """What every DropPath of a forward pass multiplied its rows by, (rows,) a layer: 0 or 1/keep."""
    factors, handles = {}, []

    def record(name: str):
        def hook(layer, given, result) -> None:
            ratio = (result / given[0]).flatten(1)
            assert torch.allclose(ratio, ratio[:, :1].expand_as(ratio), atol=1e-4), (
                "a row is dropped whole or kept"
            )
            factors[name] = ratio[:, 0]

        return hook

    for name, layer in model.named_modules():
        if isinstance(layer, DropPath):
            handles.append(layer.register_forward_hook(record(name)))
    model(images)
    for handle in handles:
        handle.remove()
    return factors


@pytest.fixture(scope="module")
def stochastic():
    return small_dcal(drop_path=0.5, glca=dcal.GLCASettings(), pwca=dcal.PWCASettings())


@torch.no_grad()
def test_a_residual_branch_is_dropped_whole_or_rescaled_by_what_is_kept(stochastic):
    torch.manual_seed(0)
    seen = masks(stochastic.train(), random_images(32))
    assert len(seen) == 2 * 11 + 2  # block 1's rate is 0
    for name, factors in seen.items():
        keep = 1 - stochastic.get_submodule(name).drop_prob
        kept = factors != 0
        torch.testing.assert_close(factors[kept], torch.full_like(factors[kept], 1 / keep), rtol=1e-4, atol=0)
    last = seen["backbone.vit.blocks.11.drop_path1"]
    assert 0 < (last == 0).sum() < len(last)  # it does drop, which at a rate of ½ is sure


@torch.no_grad()
def test_the_two_streams_and_glca_draw_on_their_own(stochastic):
    """64 images, rate ½ in the last block. Independent draws agree in about half of the rows: 32 ± 4 (one sigma);
    shared draws would agree in all 64."""
    torch.manual_seed(0)
    seen = masks(stochastic.train(), random_images(64))
    last = seen["backbone.vit.blocks.11.drop_path1"] == 0
    assert len(last) == 2 * 64
    sa, pwca = last[:64], last[64:]
    glca = seen["glca.blocks.0.drop_path1"] == 0
    for one, other in ((sa, pwca), (sa, glca), (pwca, glca)):
        assert 16 <= (one == other).sum() <= 48


@torch.no_grad()
def test_eval_mode_drops_nothing(stochastic):
    seen = masks(stochastic.eval(), random_images(4))
    for factors in seen.values():
        torch.testing.assert_close(factors, torch.ones_like(factors), rtol=0, atol=0)


@torch.no_grad()
@pytest.mark.parametrize(("drop_path", "same"), [(0.0, True), (0.5, False)])
def test_training_outputs_are_deterministic_without_stochastic_depth_only(drop_path, same):
    model = small_dcal(drop_path=drop_path, glca=dcal.GLCASettings(), pwca=dcal.PWCASettings())
    images, partner = random_images(4), torch.tensor([1, 2, 3, 0])
    one, other = (model(images, partner=partner) for _ in range(2))
    for name, branch in one.branches().items():
        assert torch.equal(branch.logits, other.branches()[name].logits) is same
