"""Blocks run again in the backward pass: the same loss and gradients, and nothing kept from inside a block."""

import pytest
from blocks_again import assert_same_with_less_kept
from small_models import random_images, small_dcal

import dcal

METHODS = {
    "baseline": {},
    "dcal": {"glca": dcal.GLCASettings(ratio=0.25), "pwca": dcal.PWCASettings()},
    "figure, T = 5": {"pwca": dcal.PWCASettings(stream="figure", blocks=5)},
    "noise as keys and values": {"pwca": dcal.PWCASettings(regulariser="kv_noise")},
    "noise on images": {
        "glca": dcal.GLCASettings(ratio=0.25),
        "pwca": dcal.PWCASettings(regulariser="image_noise"),
    },
}


@pytest.mark.parametrize("settings", METHODS.values(), ids=METHODS)
def test_gradients_are_the_same_and_less_is_kept(settings):
    assert_same_with_less_kept(lambda: small_dcal(drop_path=0.3, **settings), random_images(6))
