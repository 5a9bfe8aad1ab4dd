"""PWCA on CaiT: the second stream through all 26 blocks in training, nothing at all in inference; what is kept."""

import gc

import pytest
import torch
from blocks_again import assert_same_with_less_kept
from small_cait import PATCH_BLOCKS, L, small_cait_dcal
from small_models import random_images
from timm.layers import DropPath
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

import dcal


@pytest.mark.parametrize("blocks", [L, 3, 2, 1])
@pytest.mark.parametrize("stream", ["own", "figure"])
def test_an_image_that_is_its_own_distractor_gets_caits_self_attention_output(stream, blocks):
    """Twice the same keys share the softmax evenly. The second mixing's bias is added to each of the 2N places, so that
    it has to be 0 here (test_the_second_mixings_bias_counts_each_of_the_2n_keys). Float64, 1e-12."""
    model = small_cait_dcal(pwca=dcal.PWCASettings(stream=stream, blocks=blocks)).double()
    with torch.no_grad():
        for block in model.backbone.vit.blocks:
            block.attn.proj_w.bias.zero_()
    outputs = model(random_images(3).double(), partner=torch.arange(3))
    assert (outputs.pwca.feature - outputs.sa.feature).abs().max() < 1e-12


@pytest.mark.parametrize("blocks", [L, 1])
@pytest.mark.parametrize("stream", ["own", "figure"])
def test_another_distractor_changes_caits_pwca_and_leaves_self_attention(stream, blocks):
    model = small_cait_dcal(pwca=dcal.PWCASettings(stream=stream, blocks=blocks)).double()
    images = random_images(3).double()
    one, other = (model(images, partner=torch.tensor(partner)) for partner in ([1, 2, 0], [2, 0, 1]))
    assert (one.pwca.logits - other.pwca.logits).abs().amin(dim=0).max() > 1e-4
    assert torch.equal(one.sa.logits, other.sa.logits)


def test_both_streams_share_caits_first_projections_and_run_as_one_batch_afterwards():
    """Rows in each block's q, k, v: B in block 1, where the streams are still equal, then 2B."""
    model = small_cait_dcal(pwca=dcal.PWCASettings(blocks=L))
    rows = []
    for block in model.backbone.blocks:
        projection = block.attn.qkv if hasattr(block.attn, "qkv") else block.attn.k
        projection.register_forward_hook(lambda module, given, result: rows.append(len(result)))
    model(random_images(3))
    assert rows == [3] + [6] * (L - 1)


def test_more_pairwise_blocks_than_cait_has_are_refused():
    with pytest.raises(ValueError, match=r"T = 7 PWCA blocks.*found 6"):
        small_cait_dcal(pwca=dcal.PWCASettings(blocks=L + 1))


def test_caits_pwca_is_gone_in_eval_mode():
    """The same names and outputs as without it, and no second row in any block."""
    model, plain = (
        small_cait_dcal(glca=dcal.GLCASettings(), pwca=pwca).eval()
        for pwca in (dcal.PWCASettings(blocks=L), None)
    )
    assert list(model.state_dict()) == list(plain.state_dict())
    rows = []
    for block in model.backbone.blocks:
        block.mlp.register_forward_hook(lambda module, given, result: rows.append(len(result)))
    images = random_images(2)
    found, expected = model(images), plain(images)
    assert list(found.branches()) == ["sa", "glca"]
    assert rows == [2] * L
    for name, branch in found.branches().items():
        assert torch.equal(branch.logits, expected.branches()[name].logits)


@torch.no_grad()
def test_caits_two_streams_draw_stochastic_depth_on_their_own():
    """64 images, rate ½ in every patch block, as timm gives CaiT, none in class attention. Independent draws agree in
    about half of the rows: 32 ± 4 (one sigma); shared draws would agree in all 64."""
    model = small_cait_dcal(drop_path=0.5, glca=dcal.GLCASettings(), pwca=dcal.PWCASettings(blocks=L))
    rates = [m.drop_prob for m in model.modules() if isinstance(m, DropPath)]
    assert rates == [0.5] * PATCH_BLOCKS
    dropped = []
    model.backbone.vit.blocks[2].drop_path.register_forward_hook(
        lambda module, given, result: dropped.append((result == 0).flatten(1).all(dim=1))
    )
    torch.manual_seed(0)
    model(random_images(64))
    assert [len(rows) for rows in dropped] == [128, 128]  # behind attention, behind the FFN
    for rows in dropped:
        assert 16 <= (rows[:64] == rows[64:]).sum() <= 48


class Maps(TorchDispatchMode):
    """Storages of all tensors made that are as large as a map of all heads."""

    def __init__(self, elements: int) -> None:
        super().__init__()
        self.elements, self.seen = elements, []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (list, tuple)) else (result,):
            if isinstance(tensor, torch.Tensor) and tensor.numel() >= self.elements:
                self.seen.append(StorageWeakRef(tensor.untyped_storage()))
        return result


@pytest.mark.parametrize("again", [False, True], ids=["as it is", "blocks again in backward"])
def test_no_map_of_caits_outlives_its_block(again):
    """256 patches, so that a map is far larger than any activation: 3·256·256 against 257·96 numbers an image."""
    model = small_cait_dcal(image_size=128, glca=dcal.GLCASettings(), pwca=dcal.PWCASettings(blocks=L))
    model.set_grad_checkpointing(again)
    with Maps(2 * 3 * 256 * 256) as maps:
        outputs = model(random_images(2, 128))
    gc.collect()
    assert len(maps.seen) > 4 * PATCH_BLOCKS
    assert [storage for storage in maps.seen if not storage.expired()] == []
    sum(branch.logits.square().mean() for branch in outputs.branches().values()).backward()
    assert model.backbone.vit.blocks[0].attn.proj_l.weight.grad.abs().max() > 0


SETTINGS = {
    "baseline": {},
    "dcal": {"glca": dcal.GLCASettings(ratio=0.25), "pwca": dcal.PWCASettings(blocks=L)},
    "figure, T = 3": {"pwca": dcal.PWCASettings(stream="figure", blocks=3)},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_caits_gradients_are_the_same_when_blocks_run_again_in_backward(settings):
    """With stochastic depth, drawn from the same state; bytes kept outside the blocks fall below 0.6."""
    assert_same_with_less_kept(lambda: small_cait_dcal(drop_path=0.3, **settings), random_images(6))
