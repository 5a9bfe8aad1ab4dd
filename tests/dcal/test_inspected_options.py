"""inspect shows what a model with other keys and another selection does."""

import pytest
import torch
from small_cait import small_cait_dcal
from small_models import random_images, small_dcal

import dcal

FAMILIES = {"vit": small_dcal, "cait": small_cait_dcal}


def built(family, **settings):
    model = FAMILIES[family](glca=dcal.GLCASettings(ratio=0.25, readout="mean", **settings))
    return model.double().eval(), random_images(6).double()


@torch.no_grad()
@pytest.mark.parametrize("settings", [{"select": "attention"}, {"keys": "local"}], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_outputs_and_selected_patches_are_the_models_own(family, settings):
    model, images = built(family, **settings)
    chosen, select = [], model.glca.select
    model.glca.select = lambda *given: chosen.append(select(*given)) or chosen[-1]
    own = model(images)
    del model.glca.select
    seen = dcal.inspect(model, images)
    assert torch.equal(seen.selected, chosen[0][:, 1:] - 1)
    for name, branch in own.branches().items():
        torch.testing.assert_close(
            seen.outputs.branches()[name].logits, branch.logits, rtol=1e-10, atol=1e-12
        )


@torch.no_grad()
@pytest.mark.parametrize("family", FAMILIES)
def test_the_attention_of_the_last_block_before_glca_selects_others_than_the_rollout(family):
    """It is the rollout of that block alone: half of its patches' responses, in the same order."""
    model, images = built(family, select="attention")
    last = model.backbone.depth - 1
    seen, alone = dcal.inspect(model, images), dcal.inspect(model, images, (last, last))
    for row, selected in zip(alone.rollout[:, 1:], seen.selected, strict=True):
        assert selected.tolist() == sorted(range(16), key=lambda patch: -row[patch])[:4]
    rolled, _ = built(family)
    assert not torch.equal(dcal.inspect(rolled, images).selected, seen.selected)


@torch.no_grad()
@pytest.mark.parametrize(("family", "blocks"), [("vit", 1), ("vit", 2), ("cait", 1)])
def test_with_local_keys_glcas_row_lies_on_the_local_tokens_alone(family, blocks):
    model, images = built(family, keys="local", blocks=blocks)
    seen = dcal.inspect(model, images)
    for row, selected in zip(seen.glca, seen.selected, strict=True):
        assert row.nonzero()[:, 0].tolist() == sorted([0, *(selected + 1).tolist()])
    torch.testing.assert_close(seen.glca.sum(dim=1), torch.ones(6, dtype=torch.float64))
