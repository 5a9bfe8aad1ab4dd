"""Views against literal numpy, and resizing against what aliasing would do."""

from collections import Counter
from itertools import product

import cv2
import numpy as np
import pytest
from PIL import Image

from benchmark.data.transforms import ViewSettings, drop_banner, resize, test_view, train_view, view_rng
from benchmark.errors import DataError, SettingsError


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def checkerboard(height, width):
    y, x = np.mgrid[0:height, 0:width]
    return np.repeat((255 * ((x + y) % 2)).astype(np.uint8)[..., None], 3, -1)


def stripes(height, width):
    """Rows of black and white, one pixel high."""
    return np.repeat(np.repeat((255 * (np.arange(height) % 2))[:, None], width, 1)[..., None], 3, -1).astype(
        np.uint8
    )


def test_fine_detail_averages_out_instead_of_aliasing():
    image = checkerboard(1000, 1000)
    assert np.abs(resize(image, (160, 160)).astype(int) - 127).max() <= 5
    linear = cv2.resize(image, (160, 160), interpolation=cv2.INTER_LINEAR)
    assert np.abs(linear.astype(int) - 127).max() > 60


def test_the_shrinking_axis_is_averaged_when_the_other_grows():
    image = stripes(700, 50)
    small = resize(image, (100, 80))  # 7 rows to one: 3 or 4 of them white
    assert small.shape == (100, 80, 3)
    assert np.abs(small.astype(int) - 127).max() <= 20
    for mode in (cv2.INTER_LINEAR, cv2.INTER_AREA):
        at_once = cv2.resize(image, (80, 100), interpolation=mode)
        assert np.abs(at_once.astype(int) - 127).max() > 80


def test_whole_factors_are_block_means():
    image = noise(24, 36)
    means = image.reshape(8, 3, 9, 4, 3).mean((1, 3))
    assert np.abs(resize(image, (8, 9)) - means).max() <= 1


def bilinear(line, size):
    """One row of samples, interpolated at pixel centres, edges repeated."""
    at = np.clip((np.arange(size) + 0.5) * len(line) / size - 0.5, 0, len(line) - 1)
    return np.interp(at, np.arange(len(line)), line)


def test_growing_is_bilinear():
    image = noise(10, 12)
    rows = np.apply_along_axis(bilinear, 0, image.astype(float), 25)
    expected = np.apply_along_axis(bilinear, 1, rows, 18)
    assert np.abs(resize(image, (25, 18)) - expected).max() <= 1.5


def test_a_mixed_resize_is_the_mean_of_one_axis_and_bilinear_on_the_other():
    image = noise(30, 12)
    rows = image.reshape(10, 3, 12, 3).mean(1)
    expected = np.apply_along_axis(bilinear, 1, rows, 18)
    assert np.abs(resize(image, (10, 18)) - expected).max() <= 2


@pytest.mark.parametrize("size", [(20, 30), (10, 15), (40, 60), (10, 60), (40, 15), (20, 15)])
def test_resizing_returns_a_new_contiguous_array(size):
    image = noise(20, 30)
    before = image.copy()
    result = resize(image, size)
    assert result.shape == (*size, 3)
    assert result.dtype == np.uint8
    assert result.flags.c_contiguous
    assert not np.shares_memory(result, image)
    np.testing.assert_array_equal(image, before)


def literal_train_view(image, view, rng):
    image = resize(image, view.resize)
    top = rng.integers(view.resize[0] - view.crop[0] + 1)
    left = rng.integers(view.resize[1] - view.crop[1] + 1)
    flip = rng.random() < view.flip
    out = np.zeros((*view.crop, 3), np.uint8)
    for y, x in product(range(view.crop[0]), range(view.crop[1])):
        out[y, x] = image[top + y, left + (view.crop[1] - 1 - x if flip else x)]
    return out


@pytest.mark.parametrize("flip", [0.0, 0.5, 1.0])
def test_training_views_are_literal_crops_and_flips(flip):
    view = ViewSettings((24, 30), (16, 17), flip)
    for index in range(12):
        image = noise(33, 21, index)
        expected = literal_train_view(image, view, view_rng(3, 1, index))
        actual = train_view(image, view, view_rng(3, 1, index))
        np.testing.assert_array_equal(actual, expected)
        assert actual.flags.c_contiguous
        assert actual.dtype == np.uint8


@pytest.mark.parametrize("shape", [(375, 500), (700, 600), (500, 640)], ids=["grows", "shrinks", "both"])
def test_paper_sized_views_are_bit_for_bit_resized_then_cropped_then_flipped(shape):
    """Whatever is done for speed: OpenCV's whole picture at 550 × 550, numpy's crop and numpy's mirror image."""
    image, view = noise(*shape), ViewSettings()
    seen = set()
    for index in range(4):
        rng = view_rng(0, 0, index)
        top, left, flip = rng.integers(103), rng.integers(103), rng.random() < 0.5
        expected = resize(image, (550, 550))[top : top + 448, left : left + 448][:, :: -1 if flip else 1]
        np.testing.assert_array_equal(train_view(image, view, view_rng(0, 0, index)), expected)
        seen.add(bool(flip))
    assert seen == {True, False}


def test_every_crop_and_both_flips_occur_equally_often():
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 0], image[..., 1] = np.mgrid[0:4, 0:4]
    view = ViewSettings((4, 4), (3, 3))
    seen = [tuple(train_view(image, view, view_rng(0, 0, index))[0, 0, :2]) for index in range(1600)]
    # the corner's row is the crop's top; its column is left, or left + 2 when flipped
    counts = {corner: seen.count(corner) for corner in product((0, 1), (0, 1, 2, 3))}
    assert sum(counts.values()) == 1600
    assert all(140 < count < 260 for count in counts.values()), counts


def test_views_depend_on_seed_epoch_and_index_only_not_on_the_order():
    keys = list(product((0, 1, 2**40), (0, 1, 99), (0, 1, 5994)))
    forward = {key: view_rng(*key).random(4).tolist() for key in keys}
    backward = {key: view_rng(*key).random(4).tolist() for key in reversed(keys)}
    assert forward == backward
    assert len({tuple(values) for values in forward.values()}) == len(keys)


def test_streams_of_neighbouring_images_do_not_overlap():
    draws = np.concatenate([view_rng(7, 0, index).random(1000) for index in range(4)])
    assert len(np.unique(draws)) == 4000


def test_numbers_of_first_draws_are_uniform_over_images():
    draws = np.array([view_rng(0, 3, index).random() for index in range(4000)])
    counts, _ = np.histogram(draws, bins=10, range=(0, 1))
    assert ((counts - 400) ** 2 / 400).sum() < 27.9  # chi-squared with 9 degrees of freedom, p = 0.001


def test_the_stream_of_a_view_never_changes():
    """A resumed run goes on with the views of the run that was interrupted, whatever was updated since."""
    assert view_rng(1, 2, 3).bit_generator.random_raw(2).tolist() == [
        1170280437898119671,
        13051159143091778299,
    ]


def test_the_center_view_is_the_middle_of_the_resized_image():
    image, view = noise(40, 50), ViewSettings((30, 36), (20, 21))
    result = test_view(image, view)
    np.testing.assert_array_equal(result, resize(image, (30, 36))[5:25, 7:28])
    assert result.flags.c_contiguous


def test_the_whole_view_shows_the_borders_that_the_center_view_cuts():
    image = np.full((60, 60, 3), 255, np.uint8)
    image[10:50, 10:50] = 0
    sizes = {"resize": (60, 60), "crop": (40, 40)}
    assert test_view(image, ViewSettings(**sizes, test_crop="center")).max() == 0
    whole = test_view(image, ViewSettings(**sizes, test_crop="whole"))
    assert whole.shape == (40, 40, 3)
    np.testing.assert_array_equal(whole, resize(image, (40, 40)))
    assert whole[0, 0, 0] == 255


def test_views_never_share_memory_with_the_image():
    image, view = noise(16, 16), ViewSettings((16, 16), (16, 16), flip=0.0)
    assert not np.shares_memory(train_view(image, view, view_rng(0, 0, 0)), image)
    assert not np.shares_memory(test_view(image, view), image)


def test_the_paper_s_view_is_the_default():
    assert ViewSettings() == ViewSettings((550, 550), (448, 448), 0.5, "center")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resize": (440, 550), "crop": (448, 448)}, "larger than resize"),
        ({"resize": (550, 440), "crop": (448, 448)}, "larger than resize"),
        ({"resize": (10, 10), "crop": (0, 10)}, "expected 1 pixel and more"),
        ({"flip": 1.5}, "flip is 1.5"),
        ({"flip": float("nan")}, "flip is nan"),
        ({"test_crop": "centre"}, "test_crop is 'centre', expected 'center' or 'whole'"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        ViewSettings(**settings)


def test_the_banner_is_the_bottom_20_rows():
    image = noise(21, 5)
    np.testing.assert_array_equal(drop_banner(image), image[:1])
    with pytest.raises(DataError, match="found an image 20 px high"):
        drop_banner(image[:20])


def test_bicubic_is_pillows():
    image = noise(37, 50)
    for size in ((64, 32), (20, 20), (37, 50), (80, 90)):
        expected = np.array(Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC))
        np.testing.assert_array_equal(resize(image, size, "bicubic"), expected)


def test_padding_is_black_and_every_crop_of_the_padded_picture_occurs():
    image = np.full((6, 4, 3), 200, np.uint8)
    view = ViewSettings((6, 4), (6, 4), flip=0.0, interpolation="bicubic", pad=2)
    seen = Counter()
    for index in range(2500):
        result = train_view(image, view, view_rng(0, 0, index))
        assert result.shape == (6, 4, 3)
        bright = np.argwhere(result[..., 0] == 200)
        rows, columns = (np.ptp(bright[:, axis]) + 1 for axis in (0, 1))
        assert (result == 200).sum() == 3 * rows * columns  # one block of the picture, the rest black
        assert result[result != 200].sum() == 0
        padded = np.pad(image, ((2, 2), (2, 2), (0, 0)))
        top, left = next(
            (y, x) for y in range(5) for x in range(5) if np.array_equal(padded[y : y + 6, x : x + 4], result)
        )
        seen[top, left] += 1
    assert len(seen) == 25
    assert max(seen.values()) < 2 * min(seen.values())


def test_reid_pictures_are_evaluated_whole():
    image = noise(40, 30)
    view = ViewSettings((16, 8), (16, 8), interpolation="bicubic", pad=2)
    np.testing.assert_array_equal(test_view(image, view), resize(image, (16, 8), "bicubic"))
