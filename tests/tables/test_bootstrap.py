"""The bootstrap interval against scipy's, against the normal limit, and its two ways of drawing against each other."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from tables import statistics
from tables.statistics import REPEATS, mean_interval

ROOT = Path(__file__).parents[2]
# By chance a limit of 4,000 repeats is off by 4 % of the standard error (std), the difference of two by 6 %.
FOUR_SIGMA = 0.25
SEEDS = range(5)


def answers(seed, images=2000):
    """Differences of yes/no answers: −1, 0 and 1, most of them 0."""
    return np.random.default_rng(seed).choice([-1, 0, 1], size=images, p=[0.03, 0.92, 0.05])


def precisions(seed, queries=400):
    """Differences of average precision: real, skewed, none equal."""
    random = np.random.default_rng(seed)
    return random.beta(2, 1, queries) - random.beta(3, 2, queries)


def error(values):
    return values.std() / values.size**0.5


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sample", [answers, precisions])
def test_the_limits_are_those_of_scipy(sample, seed):
    values = sample(seed)
    interval = mean_interval(values, f"case {seed}")
    expected = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=REPEATS, method="percentile", batch=500, rng=seed
    ).confidence_interval
    assert abs(interval.low - expected.low) < FOUR_SIGMA * error(values)
    assert abs(interval.high - expected.high) < FOUR_SIGMA * error(values)


@pytest.mark.parametrize("sample", [answers, precisions])
def test_of_many_images_the_limits_are_the_normal_distributions(sample):
    values = sample(0, 5794)
    interval = mean_interval(values, "many")
    assert interval.low == pytest.approx(values.mean() - 1.96 * error(values), abs=0.2 * error(values))
    assert interval.high == pytest.approx(values.mean() + 1.96 * error(values), abs=0.2 * error(values))


@pytest.mark.parametrize("seed", SEEDS)
def test_drawing_by_level_and_image_by_image_give_one_distribution(seed):
    values = answers(seed, 300)
    by_level = statistics.means_by_level(values, np.random.default_rng(1))
    by_image = statistics.means_by_image(values.astype(float), np.random.default_rng(2))
    assert by_level.shape == by_image.shape == (REPEATS,)
    # Ties make the test's p only larger.
    assert scipy.stats.ks_2samp(by_level, by_image).pvalue > 0.001


def test_a_sample_by_level_has_as_many_images_as_the_test_set():
    # Each image differs by 1, so the mean of any sample is 1.
    assert set(statistics.means_by_level(np.ones(37, dtype=int), np.random.default_rng(0))) == {1.0}


def test_no_difference_anywhere_is_an_interval_of_zero():
    interval = mean_interval(np.zeros(100, dtype=int), "none")
    assert (interval.low, interval.high) == (0.0, 0.0)


def test_the_same_comparison_has_the_same_interval_and_another_one_has_its_own():
    values = precisions(0)
    assert mean_interval(values, "cub/deit_tiny/top1") == mean_interval(values, "cub/deit_tiny/top1")
    assert mean_interval(values, "cub/deit_tiny/top1") != mean_interval(values, "cub/deit_small/top1")


def test_the_interval_is_the_same_in_every_process():
    code = (
        "import numpy as np; from tables.statistics import mean_interval; "
        "print(mean_interval(np.arange(90) % 4 - 1.25, 'veri/vit_base/mAP'))"
    )
    interval = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert interval == {f"{mean_interval(np.arange(90) % 4 - 1.25, 'veri/vit_base/mAP')}\n"}


@pytest.mark.parametrize("shape", [(0,), (3, 2)])
def test_what_is_no_list_of_differences_is_refused(shape):
    with pytest.raises(ValueError, match="expected"):
        mean_interval(np.zeros(shape), "wrong")
