"""CaiT's rollout and what GLCA takes of it; looking into CaiT models equals the matrices multiplied out."""

import pytest
import timm
import torch
from small_cait import HEADS, PATCH_BLOCKS, L, small_cait_dcal, visible
from small_models import random_images

import dcal

GRIDS = {"square": (32, (4, 4)), "tall": ((64, 32), (8, 4)), "wide": ((16, 40), (2, 5))}


def matrices(vit: torch.nn.Module, images: torch.Tensor) -> list[torch.Tensor]:
    """S̄ of every block, (B, N+1, N+1), from what the projections really put out in timm's own forward pass."""
    seen = {}

    def record(name: str):
        return lambda module, given, result: seen.__setitem__(name, result)

    hooks = []
    for l, block in enumerate(vit.blocks):
        hooks.append(block.attn.qkv.register_forward_hook(record(f"qkv{l}")))
    for m, block in enumerate(vit.blocks_token_only):
        hooks += [getattr(block.attn, w).register_forward_hook(record(f"{w}{m}")) for w in "qk"]
    vit(images)
    for hook in hooks:
        hook.remove()

    found = []
    for l, block in enumerate(vit.blocks):
        q, k, _ = seen[f"qkv{l}"].chunk(3, dim=2)
        d = q.shape[2] // HEADS
        scores = torch.stack(
            [q[..., h * d : (h + 1) * d] @ k[..., h * d : (h + 1) * d].mT / d**0.5 for h in range(HEADS)],
            dim=-1,
        )
        e = torch.exp(block.attn.proj_l(scores))  # before the second mixing
        s = (e / e.sum(dim=2, keepdim=True)).mean(dim=-1)
        whole = torch.eye(s.shape[1] + 1, dtype=s.dtype).repeat(len(s), 1, 1)
        whole[:, 1:, 1:] = s
        found.append(0.5 * whole + 0.5 * torch.eye(whole.shape[1], dtype=s.dtype))
    for m in range(len(vit.blocks_token_only)):
        q, k = seen[f"q{m}"], seen[f"k{m}"]
        d = q.shape[-1] // HEADS
        row = 0
        for h in range(HEADS):
            of = slice(h * d, (h + 1) * d)
            e = torch.exp((k[..., of] @ q[:, of, None]).squeeze(2) / d**0.5)
            row = row + e / e.sum(dim=1, keepdim=True) / HEADS
        whole = torch.eye(row.shape[1], dtype=row.dtype).repeat(len(row), 1, 1)
        whole[:, 0] = row
        found.append(0.5 * whole + 0.5 * torch.eye(whole.shape[1], dtype=row.dtype))
    return found


def first_row(matrices: list[torch.Tensor], first: int, last: int) -> torch.Tensor:
    """Of S̄_last … S̄_first, the whole matrices multiplied."""
    product = matrices[first - 1]
    for matrix in matrices[first:last]:
        product = matrix @ product
    return product[:, 0]


def built(grid: str = "square", **settings) -> tuple[dcal.DCAL, torch.Tensor]:
    size, _ = GRIDS[grid]
    return small_cait_dcal(image_size=size, **settings).double().eval(), random_images(2, size).double()


@torch.no_grad()
@pytest.mark.parametrize("grid", GRIDS)
def test_caits_rollout_of_every_range_that_ends_in_class_attention_is_the_products_first_row(grid):
    model, images = built(grid, glca=dcal.GLCASettings(ratio=0.25))
    expected = matrices(model.backbone.vit, images)
    assert len(expected) == L
    for last in range(PATCH_BLOCKS + 1, L + 1):
        for first in range(1, last + 1):
            seen = dcal.inspect(model, images, (first, last))
            torch.testing.assert_close(seen.rollout, first_row(expected, first, last), rtol=1e-10, atol=1e-14)
            assert seen.layers == (first, last)
            assert seen.grid == GRIDS[grid][1]
            torch.testing.assert_close(seen.rollout.sum(dim=1), torch.ones(2, dtype=torch.float64))


@torch.no_grad()
@pytest.mark.parametrize("glca", [None, dcal.GLCASettings(ratio=0.25)], ids=["baseline", "dcal"])
def test_by_default_caits_blocks_before_the_last_are_rolled_out(glca):
    model, images = built(glca=glca)
    assert dcal.inspect(model, images).layers == (1, L - 1)


@pytest.mark.parametrize(
    ("layers", "why"),
    [((1, 4), "attends from block 5 on"), ((2, 2), "attends from block 5 on"), ((1, 7), "1 ≤ a ≤ b ≤ 6")],
)
def test_layers_in_which_caits_class_token_attends_to_nothing_are_refused(layers, why):
    model, images = built()
    with pytest.raises(ValueError, match=why):
        dcal.inspect(model, images, layers)


@torch.no_grad()
def test_what_is_seen_of_cait_is_what_the_model_does():
    """Selected patches as GLCA ranks them, GLCA's class-token row by hand, outputs the model's own."""
    model, images = built("tall", glca=dcal.GLCASettings(ratio=0.25, readout="mean"))
    indices, normed = [], []
    select = model.glca.select
    model.glca.select = lambda *given: indices.append(select(*given)) or indices[-1]
    hook = model.glca.blocks[0].norm1.register_forward_hook(lambda _m, _i, out: normed.append(out))
    own = model(images)
    hook.remove()
    del model.glca.select
    seen = dcal.inspect(model, images)

    assert torch.equal(seen.selected, indices[0][:, 1:] - 1)
    for row, selected in zip(seen.rollout[:, 1:], seen.selected, strict=True):
        assert selected.tolist() == sorted(range(32), key=lambda patch: -row[patch])[:8]

    local, every = sorted(normed, key=lambda x: x.shape[1])
    assert (local.shape[1], every.shape[1]) == (1 + 8, 1 + 32)
    attn = model.glca.blocks[0].attn
    q, k = attn.q(local[:, 0]), attn.k(every)
    d, expected = q.shape[1] // HEADS, 0
    for h in range(HEADS):
        of = slice(h * d, (h + 1) * d)
        e = torch.exp((k[..., of] @ q[:, of, None]).squeeze(2) / d**0.5)
        expected = expected + e / e.sum(dim=1, keepdim=True) / HEADS
    torch.testing.assert_close(seen.glca, expected, rtol=1e-10, atol=1e-14)

    for name, branch in own.branches().items():
        torch.testing.assert_close(
            seen.outputs.branches()[name].logits, branch.logits, rtol=1e-10, atol=1e-12
        )


@torch.no_grad()
def test_a_plain_cait_is_seen_with_its_own_classifier():
    cait = visible(timm.create_model("small_cait", num_classes=7)).double().eval()
    images = random_images(2).double()
    seen = dcal.inspect_vit(cait, images, (2, L))
    torch.testing.assert_close(seen.rollout, first_row(matrices(cait, images), 2, L), rtol=1e-10, atol=1e-14)
    torch.testing.assert_close(seen.outputs.sa.logits, cait(images), rtol=1e-10, atol=1e-12)
    assert seen.glca is None


# ---- GLCA beside class attention ---------------------------------------------------------------------------


def test_glca_beside_all_class_attention_blocks_is_refused():
    with pytest.raises(ValueError, match=r"M = 2 GLCA blocks beside 2 class-attention blocks.*at most 1"):
        small_cait_dcal(glca=dcal.GLCASettings(blocks=2))


def test_glca_on_cait_starts_as_a_copy_of_the_last_class_attention_block():
    model = small_cait_dcal(glca=None)
    glca = model.backbone.make_glca(dcal.GLCASettings())
    beside = model.backbone.vit.blocks_token_only[-1]
    assert glca.blocks[0].state_dict().keys() == beside.state_dict().keys()
    for name, value in glca.blocks[0].state_dict().items():
        assert torch.equal(value, beside.state_dict()[name])
        assert value.data_ptr() != beside.state_dict()[name].data_ptr()


def test_glca_on_cait_starts_at_random_as_timm_starts_a_block():
    model = small_cait_dcal(glca=None)
    glca = model.backbone.make_glca(dcal.GLCASettings(init="random"))
    fresh = timm.create_model("cait_xs24_384", num_classes=0).blocks_token_only[0].state_dict()
    for name, value in glca.blocks[0].state_dict().items():
        if name.endswith("weight") and value.ndim == 2:
            assert value.std().item() == pytest.approx(fresh[name].std().item(), rel=0.1)
        else:  # norms, biases and LayerScale start as constants
            assert value.unique().tolist() == fresh[name].unique().tolist(), name


@pytest.mark.parametrize(("blocks", "matters"), [(4, True), (1, True), (5, True), (6, False)])
def test_caits_rollout_covers_the_blocks_before_glcas_own_and_no_other(blocks, matters):
    """All blocks but one attend evenly; other queries in that one change the selection unless it is the last."""
    images, selections = random_images(8).double(), []
    for seed in (5, 6):
        model = small_cait_dcal(glca=dcal.GLCASettings(ratio=0.25)).double().eval()
        noise = torch.randn(24, 24, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        with torch.no_grad():
            for l, block in enumerate(model.backbone.blocks, start=1):
                projection = block.attn.qkv if l <= PATCH_BLOCKS else block.attn.q
                projection.weight[:24] = noise if l == blocks else 0
                projection.bias[:24] = 0
        selections.append(dcal.inspect(model, images).selected)
    assert torch.equal(*selections) is not matters
