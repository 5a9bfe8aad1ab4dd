"""Random erasing: its box, its noise, and where the noise lands."""

import math

import numpy as np
import pytest
import torch

from benchmark.data.loader import Erasures, normalise
from benchmark.data.transforms import random_erasing, view_rng

SIZE = (256, 128)


@pytest.fixture(scope="module")
def drawn():
    return [random_erasing(SIZE, 0.5, view_rng(0, 0, index)) for index in range(4000)]


def test_half_of_the_pictures_are_erased(drawn):
    share = sum(erasure is not None for erasure in drawn) / len(drawn)
    assert share == pytest.approx(0.5, abs=0.03)  # four standard errors
    assert random_erasing(SIZE, 0.0, view_rng(0, 0, 0)) is None


def test_boxes_lie_inside_and_keep_to_area_and_aspect(drawn):
    areas, aspects = [], []
    for erasure in filter(None, drawn):
        _, height, width = erasure.noise.shape
        assert 0 <= erasure.top <= SIZE[0] - height
        assert 0 <= erasure.left <= SIZE[1] - width
        assert height < SIZE[0]
        assert width < SIZE[1]
        areas.append(height * width / (SIZE[0] * SIZE[1]))
        aspects.append(math.log(height / width))
    assert min(areas) > 0.018
    assert max(areas) < 0.34
    assert np.exp(min(aspects)) > 0.28
    assert np.exp(max(aspects)) < 3.5
    # Boxes that do not fit are drawn again, which takes some of the large wide ones away.
    rng = np.random.default_rng(1)
    area, aspect = rng.uniform(0.02, 1 / 3, 10**5), rng.uniform(np.log(0.3), -np.log(0.3), 10**5)
    pixels = area * SIZE[0] * SIZE[1]
    fits = (np.sqrt(pixels * np.exp(aspect)) < SIZE[0]) & (np.sqrt(pixels / np.exp(aspect)) < SIZE[1])
    assert np.mean(areas) == pytest.approx(area[fits].mean(), abs=0.008)  # four standard errors
    assert np.mean(aspects) == pytest.approx(aspect[fits].mean(), abs=0.06)


def test_noise_is_standard_normal_and_each_pixel_its_own(drawn):
    noise = np.concatenate([erasure.noise.ravel() for erasure in filter(None, drawn[:400])])
    assert noise.dtype == np.float32
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.std() == pytest.approx(1, abs=0.01)
    assert abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 0.01


def test_noise_fills_the_normalised_picture_inside_its_box_only():
    class Model:
        mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

    rng = np.random.default_rng(0)
    images = torch.from_numpy(rng.integers(0, 256, (3, 8, 6, 3), dtype=np.uint8))
    boxes = torch.tensor([[1, 2, 3, 4], [0, 0, 0, 0], [5, 0, 2, 1]])
    noise = torch.randn(3 * (3 * 4 + 2 * 1))
    prepare = normalise(Model, torch.device("cpu"), "half")
    found = prepare(images, Erasures(boxes, noise))
    for i, (top, left, height, width) in enumerate(boxes.tolist()):
        for y in range(8):
            for x in range(6):
                if top <= y < top + height and left <= x < left + width:
                    continue
                for c in range(3):
                    assert found[i, c, y, x].item() == pytest.approx(
                        (int(images[i, y, x, c]) / 255 - 0.5) / 0.5, abs=1e-5
                    )
    assert torch.equal(found[0, :, 1:4, 2:6], noise[:36].view(3, 3, 4))
    assert torch.equal(found[2, :, 5:7, 0:1], noise[36:].view(3, 2, 1))


def test_a_picture_too_small_for_any_box_stays_whole():
    assert random_erasing((1, 1), 1.0, view_rng(0, 0, 0)) is None
