"""The tokens with the highest response, as GLCA selects them and as a function."""

import pytest
import torch
from small_models import random_images, small_dcal

import dcal


@pytest.mark.parametrize(
    ("ratio", "patches", "count"), [(0.1, 784, 78), (0.3, 128, 38), (0.29, 100, 29), (1.0, 5, 5)]
)
def test_as_many_as_the_floor_of_r_times_n_best_first_and_never_the_class_token(ratio, patches, count):
    row = torch.rand(3, 1 + patches, generator=torch.Generator().manual_seed(0))
    row[:, 0] = 2
    found = dcal.select_top_tokens(row, ratio)
    assert found.shape == (3, count)
    for image in range(3):
        ranked = sorted(range(1, 1 + patches), key=lambda token: -row[image, token].item())
        assert found[image].tolist() == ranked[:count]


def test_more_tokens_in_front_are_neither_selected_nor_counted():
    row = torch.tensor([[9.0, 8.0, 0.1, 0.4, 0.2, 0.3]])
    assert dcal.select_top_tokens(row, 0.5, prefix=2).tolist() == [[3, 5]]


def test_the_mask_marks_the_selected_tokens_alone():
    row = torch.tensor([[9.0, 0.1, 0.4, 0.2, 0.3]])
    assert dcal.top_token_mask(row, 0.5).tolist() == [[False, False, True, False, True]]


@pytest.mark.parametrize(
    ("ratio", "said"), [(0.1, "selects none"), (0.0, "selects none"), (1.2, "selects 6: R is a share")]
)
def test_a_ratio_that_selects_nothing_or_too_much_is_refused(ratio, said):
    with pytest.raises(ValueError, match=said):
        dcal.select_top_tokens(torch.rand(1, 6), ratio)


def test_glca_selects_by_the_same_function(monkeypatch):
    """What it returns is what queries: reversed ranks make GLCA take the lowest responses."""
    model = small_dcal(glca=dcal.GLCASettings(ratio=0.25)).eval()
    images = random_images(2)
    row = dcal.rollout(model, images).row
    selected = dcal.inspect(model, images).selected
    assert torch.equal(selected + 1, dcal.select_top_tokens(row, 0.25))
    select = dcal.select_top_tokens
    monkeypatch.setattr(
        "dcal.attention_rollout.select_top_tokens", lambda row, *a, **k: select(-row, *a, **k)
    )
    assert torch.equal(dcal.inspect(model, images).selected + 1, select(-row, 0.25))
