"""Which tokens query in GLCA, and what that can and cannot change."""

import pytest
import torch
from small_models import random_images, small_backbone, small_dcal
from torch.nn import functional as F

import dcal
from dcal.glca import GLCA

LABELS = torch.tensor([0, 1, 2, 3])


@pytest.mark.parametrize(
    ("ratio", "patches", "count"),
    [(0.1, 784, 78), (0.3, 128, 38), (0.3, 256, 76), (0.29, 100, 29), (1.0, 16, 16), (0.0625, 16, 1)],
)
def test_number_of_local_queries_is_the_floor_of_r_times_n(ratio, patches, count):
    """The class token comes on top: it queries always and is not counted in R."""
    vit = small_backbone()
    glca = GLCA(vit.blocks[-1:], vit.norm, patches, dcal.GLCASettings(ratio=ratio))
    assert glca.count == count
    row = torch.rand(1, patches + 1)
    index = glca.select(row)
    assert index.shape == (1, 1 + count)
    assert index[0, 0] == 0
    assert 1 <= index[0, 1:].min() <= index[0, 1:].max() <= patches
    assert index.unique().numel() == 1 + count


def test_a_ratio_that_selects_no_patch_is_refused():
    with pytest.raises(ValueError, match="selects none"):
        small_dcal(glca=dcal.GLCASettings(ratio=0.05))  # 0.05 · 16 = 0.8


@pytest.mark.parametrize("ratio", [0.0, -0.1, 1.1])
def test_a_ratio_outside_0_to_1_is_refused(ratio):
    with pytest.raises(ValueError, match="share of the patch tokens"):
        dcal.GLCASettings(ratio=ratio)


@pytest.mark.parametrize("option", ["init", "readout", "select", "keys"])
def test_an_unknown_glca_option_is_refused_with_its_choices(option):
    with pytest.raises(ValueError, match=f"{option} is 'other': expected one of"):
        dcal.GLCASettings(**{option: "other"})


def test_as_many_glca_blocks_as_self_attention_blocks_are_refused():
    with pytest.raises(ValueError, match="M = 12"):
        small_dcal(glca=dcal.GLCASettings(blocks=12))


# ---- the rollout's blocks ---------------------------------------------------------------------------------


def selection(model: dcal.DCAL, images: torch.Tensor) -> torch.Tensor:
    """Selected patches of every image, sorted, (B, ⌊R·N⌋)."""
    kept = []
    select = model.glca.select
    model.glca.select = lambda *given: kept.append(select(*given)) or kept[-1]
    model(images)
    del model.glca.select
    return kept[0][:, 1:].sort(dim=1).values


@pytest.mark.parametrize(
    ("blocks", "changed", "matters"),
    [(1, 12, False), (1, 11, True), (1, 1, True), (2, 11, False), (2, 10, True)],
)
def test_rollout_covers_the_blocks_before_glcas_own_and_no_other(blocks, changed, matters):
    """Blocks 1 … L−M decide. All blocks but one attend evenly; other queries and keys in that one change the
    selection if it is block 11 (with M = 2: 10) or before, and leave it as it was if it comes later."""
    model = small_dcal(glca=dcal.GLCASettings(blocks=blocks, ratio=0.25)).double()
    images = random_images(8).double()
    selections = []
    for seed in (5, 6):
        noise = torch.randn(96, 48, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            for l, block in enumerate(model.backbone.blocks, start=1):
                block.attn.qkv.bias[:96] = 0
                block.attn.qkv.weight[:96] = noise if l == changed else 0
        selections.append(selection(model, images))
    assert torch.equal(*selections) is not matters


def test_random_selection_draws_as_many_patches_and_anew_every_time():
    model = small_dcal(glca=dcal.GLCASettings(ratio=0.25, select="random"))
    images = random_images(8)
    first, second = selection(model, images), selection(model, images)
    assert first.shape == (8, 4)
    assert not torch.equal(first, second)


def test_random_selection_leaves_the_global_random_state_alone():
    model = small_dcal(glca=dcal.GLCASettings(ratio=0.25, select="random"))
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    model(random_images(2))
    assert torch.equal(torch.rand(2), expected)


# ---- what selection cannot change -------------------------------------------------------------------------


def step(seed: int = 4, **settings) -> tuple[dict, dict, torch.Tensor]:
    """Logits, gradients and selected patches of a float32 training step with stochastic depth and PWCA.

    The weights are the same whatever the settings, and so are the random draws outside the selection.
    """
    model = small_dcal(drop_path=0.3, glca=dcal.GLCASettings(**settings), pwca=dcal.PWCASettings())
    images = random_images(4)
    torch.manual_seed(seed)
    chosen = []
    select = model.glca.select
    model.glca.select = lambda *given: chosen.append(select(*given)) or chosen[-1]
    outputs = model(images)
    loss = sum(F.cross_entropy(branch.logits, LABELS) for branch in outputs.branches().values())
    loss.backward()
    logits = {name: branch.logits.detach() for name, branch in outputs.branches().items()}
    gradients = {name: value.grad for name, value in model.named_parameters()}
    return logits, gradients, chosen[0][:, 1:].sort(dim=1).values


def identical(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("select", ["random", "attention"])
@pytest.mark.parametrize("blocks", [1, 2])
def test_class_token_read_out_is_bit_for_bit_the_same_for_any_selection(blocks, select):
    """Logits and gradients of rollout and another selection, stochastic depth on. Queries never meet: keys and values
    are the self-attention stream's, so the class token's row sees no other local query, for any M."""
    logits, gradients, chosen = step(blocks=blocks, ratio=0.25, select="rollout")
    other_logits, other_gradients, other_chosen = step(blocks=blocks, ratio=0.25, select=select)
    assert not torch.equal(chosen, other_chosen)
    assert identical(logits, other_logits)
    assert identical(gradients, other_gradients)


@pytest.mark.parametrize("blocks", [1, 2])
def test_class_token_read_out_is_the_same_for_any_ratio_up_to_rounding(blocks):
    """R = 0.1 and R = 0.9 in float32: 1e-5 on logits of about 1, 1e-4 of the largest gradient."""
    logits, gradients, _ = step(blocks=blocks, ratio=0.1)
    other_logits, other_gradients, _ = step(blocks=blocks, ratio=0.9)
    torch.testing.assert_close(logits, other_logits, rtol=0, atol=1e-5)
    largest = max(value.abs().max().item() for value in gradients.values())
    torch.testing.assert_close(gradients, other_gradients, rtol=0, atol=1e-4 * largest)


@pytest.mark.parametrize("blocks", [1, 2])
def test_mean_read_out_depends_on_the_selection(blocks):
    """Rollout against random selection: GLCA's logits differ by more than 0.01, SA's and PWCA's not at all."""
    logits, _, _ = step(blocks=blocks, ratio=0.25, readout="mean", select="rollout")
    other, _, _ = step(blocks=blocks, ratio=0.25, readout="mean", select="random")
    assert (logits["glca"] - other["glca"]).abs().max() > 0.01
    assert torch.equal(logits["sa"], other["sa"])
    assert torch.equal(logits["pwca"], other["pwca"])


@pytest.mark.parametrize("blocks", [1, 2])
def test_with_local_keys_the_class_token_depends_on_the_selection(blocks):
    """It attends to the selected patches alone: GLCA's logits differ by more than 0.01, SA's and PWCA's not at all."""
    logits, _, _ = step(blocks=blocks, ratio=0.25, keys="local", select="rollout")
    other, _, _ = step(blocks=blocks, ratio=0.25, keys="local", select="random")
    assert (logits["glca"] - other["glca"]).abs().max() > 0.01
    assert torch.equal(logits["sa"], other["sa"])
    assert torch.equal(logits["pwca"], other["pwca"])


def test_mean_read_out_depends_on_the_ratio():
    logits, _, _ = step(ratio=0.1, readout="mean")
    other, _, _ = step(ratio=0.9, readout="mean")
    assert (logits["glca"] - other["glca"]).abs().max() > 0.01


def test_random_selection_continues_from_a_saved_state():
    settings = {"ratio": 0.25, "select": "random", "readout": "mean"}
    model, resumed = (small_dcal(glca=dcal.GLCASettings(**settings)) for _ in range(2))
    images = random_images(8)
    selection(model, images)
    resumed.load_state_dict(model.state_dict())
    resumed.glca.generator.set_state(
        model.glca.generator.get_state()
    )  # the trainer keeps it in its checkpoints
    assert torch.equal(selection(model, images), selection(resumed, images))
