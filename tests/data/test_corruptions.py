"""Pictures made worse: each kind against what it says it does, and the same for every model."""

import numpy as np
import pytest

from benchmark.data.corruptions import GREY, KINDS, Corruption, parse
from benchmark.errors import SettingsError


def picture(height=40, width=30, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def smooth(height=40, width=30):
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([4 * x + 60, 3 * y + 50, 2 * x + 2 * y + 40], -1).astype(np.uint8)


def gaussian(sigma):
    """Weights of a Gaussian cut off behind three standard deviations."""
    reach = int(np.ceil(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return weights / weights.sum()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_drawn_depends_on_the_place_of_the_picture_alone(kind):
    level = {"jpeg": 20, "blur": 1}.get(kind, 0.2)
    image = picture()
    before = image.copy()
    first = Corruption(kind, level)(image, 7)
    assert (first == Corruption(kind, level)(image, 7)).all()
    assert (image == before).all()
    assert first.dtype == np.uint8
    assert first.shape == image.shape
    assert (first != image).any()
    drawn = kind in ("noise", "occlude")
    assert (first != Corruption(kind, level)(image, 8)).any() == drawn


def test_noise_is_gaussian_of_the_level_in_units_of_255():
    grey = np.full((200, 200, 3), 128, np.uint8)
    difference = Corruption("noise", 0.1)(grey, 0).astype(float) - 128
    assert abs(difference.mean()) < 0.3
    assert difference.std() == pytest.approx(25.5, rel=0.01)
    beyond = np.abs(difference) > 2 * 25.5
    assert beyond.mean() == pytest.approx(0.0455, abs=0.004)
    channels = difference.reshape(-1, 3)
    assert abs(np.corrcoef(channels.T)[0, 1]) < 0.02


def test_noise_is_cut_off_and_does_not_wrap_around():
    white = Corruption("noise", 0.2)(np.full((50, 50, 3), 255, np.uint8), 0)
    assert (white == 255).mean() > 0.4  # half of the noise points upwards
    assert white.min() > 0


def test_two_levels_of_noise_are_the_same_noise():
    grey = np.full((30, 30, 3), 128, np.uint8)
    weak, strong = (Corruption("noise", level)(grey, 3).astype(float) - 128 for level in (0.05, 0.1))
    assert np.abs(strong - 2 * weak).max() <= 1.5  # each is rounded


@pytest.mark.parametrize("sigma", [0.5, 1, 2.5])
def test_blur_is_a_gaussian_mirrored_at_the_border(sigma):
    image, weights = picture(24, 20), gaussian(sigma)
    reach = len(weights) // 2
    literal = np.pad(image.astype(float), ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    for axis in (0, 1):
        literal = np.apply_along_axis(lambda line: np.convolve(line, weights, "valid"), axis, literal)
    assert np.abs(Corruption("blur", sigma)(image, 0) - literal).max() <= 1.5  # whole numbers in between


def test_jpeg_keeps_colours_in_place_and_loses_more_at_lower_quality():
    image = smooth()
    losses = [
        np.abs(Corruption("jpeg", quality)(image, 0).astype(int) - image).mean() for quality in (95, 30, 5)
    ]
    assert losses == sorted(losses)
    assert losses[0] < 2
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    found = Corruption("jpeg", 90)(red, 0)
    assert np.abs(found.astype(int) - red).max() < 10


@pytest.mark.parametrize("share", [0.1, 0.3, 0.9])
@pytest.mark.parametrize(("height", "width"), [(40, 40), (64, 32)])
def test_the_grey_box_covers_its_share_and_nothing_else_changes(share, height, width):
    image = np.where(picture(height, width) == GREY, GREY + 1, picture(height, width)).astype(np.uint8)
    places = set()
    for index in range(40):
        found = Corruption("occlude", share)(image, index)
        covered = (found == GREY).all(axis=2)
        assert (found[~covered] == image[~covered]).all()
        rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
        assert covered.sum() == len(rows) * len(columns)  # one box
        assert len(rows) == round(height * share**0.5)
        assert len(columns) == round(width * share**0.5)
        places.add((rows[0], columns[0]))
    assert len(places) > 1
    # The first and the last possible place are as likely as others.
    least = [min(place[axis] for place in places) for axis in (0, 1)]
    most = [max(place[axis] for place in places) for axis in (0, 1)]
    room = [size - round(size * share**0.5) for size in (height, width)]
    assert all(low <= 0.2 * space for low, space in zip(least, room, strict=True))
    assert all(high >= 0.8 * space for high, space in zip(most, room, strict=True))


def test_several_kinds_and_levels_in_the_order_they_were_asked_for():
    asked = parse("noise=0.1,0.05 jpeg=10 blur=2 occlude=0.3")
    assert [one.text for one in asked] == ["noise=0.1", "noise=0.05", "jpeg=10", "blur=2", "occlude=0.3"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("fog=1", "unknown kind 'fog' of noise, blur, jpeg, occlude"),
        ("noise", "has no value"),
        ("noise=0", "a number above 0, up to 1"),
        ("noise=nan", "a number above 0, up to 1"),
        ("noise=0.1,2", "noise=2"),
        ("blur=-1", "blur=-1"),
        ("blur=true", "blur=True"),
        ("jpeg=10.5", "a whole number from 1 to 100"),
        ("jpeg=0", "a whole number from 1 to 100"),
        ("occlude=much", "occlude=much"),
        ("noise=0.1 noise=0.10", "noise=0.1 stands twice"),
    ],
)
def test_what_makes_no_sense_is_refused(text, said):
    with pytest.raises(SettingsError, match=said):
        parse(text)
