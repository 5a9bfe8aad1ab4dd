"""The measures of attention against literal loops."""

import math

import numpy as np
import pytest

from reports.heatmaps.attention_maps import (
    AttentionMeasures,
    distribution,
    entropy,
    picture_measures,
    summary,
    top_share,
)
from tables.statistics import mean_interval


def rows(count=6, patches=25, seed=0):
    result = np.random.default_rng(seed).random((count, patches + 1)) ** 4
    return result / result.sum(axis=1, keepdims=True)


def test_the_class_tokens_own_share_is_left_out_and_the_rest_sums_to_one():
    p = distribution(np.array([[0.5, 0.125, 0.375], [0.0, 0.5, 0.5]]))
    np.testing.assert_allclose(p, [[0.25, 0.75], [0.5, 0.5]])


def test_entropy_is_the_literal_sum():
    p = distribution(rows())
    expected = [-sum(value * math.log(value) for value in row) for row in p]
    np.testing.assert_allclose(entropy(p), expected)


def test_entropy_knows_its_ends():
    assert entropy(np.full((1, 64), 1 / 64))[0] == pytest.approx(math.log(64))
    assert entropy(np.eye(1, 64))[0] == 0


@pytest.mark.parametrize("patches", [20, 25, 64, 128, 784])
def test_the_top_tenth_is_the_literal_sum_with_a_fraction_of_the_last_patch(patches):
    p = distribution(rows(patches=patches))
    for result, row in zip(top_share(p), p, strict=True):
        left, mass = patches / 10, 0.0
        for value in sorted(row, reverse=True):
            taken = min(1.0, left)
            mass += taken * value
            left -= taken
            if left <= 0:
                break
        assert result == pytest.approx(mass)


@pytest.mark.parametrize("patches", [1, 9, 38, 64, 128, 784])
def test_uniform_attention_has_a_tenth_in_its_top_tenth(patches):
    assert top_share(np.full((1, patches), 1 / patches))[0] == pytest.approx(0.1)


def test_what_lies_inside_is_counted_by_area():
    attention, covered = rows(2, 4), np.array([[1, 0.5, 0, 0], [np.nan] * 4])
    result = picture_measures(attention, covered)
    p = attention[0, 1:] / attention[0, 1:].sum()
    assert result["inside_box"][0] == pytest.approx(p[0] + p[1] / 2)
    assert np.isnan(result["inside_box"][1])
    np.testing.assert_allclose(result["effective_patches"], np.exp(result["entropy"]))
    np.testing.assert_allclose(result["entropy_share"], result["entropy"] / math.log(4))
    assert "inside_box" not in picture_measures(attention, None)


def test_a_summary_has_means_and_the_paired_difference_with_its_interval():
    random = np.random.default_rng(0)
    covered = (random.random((40, 16)) < 0.4).astype(float)
    covered[7] = np.nan
    maps = {
        name: picture_measures(rows(40, 16, seed), covered)
        for seed, name in enumerate(("baseline", "dcal", "glca"))
    }
    area = covered.mean(axis=1)
    result = summary(AttentionMeasures(tuple(map(str, range(40))), maps, area), "cub/deit_tiny/seed0")
    for measure in ("entropy", "top_tenth"):
        old, new = maps["baseline"][measure], maps["dcal"][measure]
        assert result[measure]["baseline"] == pytest.approx(old.mean())
        assert result[measure]["glca"] == pytest.approx(maps["glca"][measure].mean())
        assert result[measure]["difference"]["mean"] == pytest.approx((new - old).mean())
        interval = mean_interval(new - old, f"cub/deit_tiny/seed0/{measure}")
        assert (result[measure]["difference"]["low"], result[measure]["difference"]["high"]) == (
            interval.low,
            interval.high,
        )
        assert result[measure]["pictures"] == 40
    with_box = np.delete(np.arange(40), 7)  # one picture does not show its box
    inside = result["inside_box"]
    assert inside["pictures"] == 39
    assert inside["baseline"] == pytest.approx(maps["baseline"]["inside_box"][with_box].mean())
    assert inside["uniform"] == pytest.approx(area[with_box].mean())
    assert inside["over_uniform"]["dcal"] == pytest.approx(
        (maps["dcal"]["inside_box"] - area)[with_box].mean()
    )


def test_uniform_attention_has_the_boxs_area_inside():
    covered = np.random.default_rng(0).random((5, 16))
    result = picture_measures(np.full((5, 17), 1 / 17), covered)
    np.testing.assert_allclose(result["inside_box"], covered.mean(axis=1))


def test_where_no_picture_shows_its_box_the_other_measures_are_left():
    none = np.full((40, 16), np.nan)
    maps = {
        name: picture_measures(rows(40, 16, seed), none) for seed, name in enumerate(("baseline", "dcal"))
    }
    result = summary(
        AttentionMeasures(tuple(map(str, range(40))), maps, none.mean(axis=1)), "cub/deit_tiny/seed0"
    )
    assert set(result) == {"entropy", "effective_patches", "entropy_share", "top_tenth"}
