"""Points of the sweeps: position, mean and interval, against scipy's exact binomial limits and a literal mean."""

import numpy as np
import pytest
import scipy.stats
from ablation_runs import IMAGES, ablation, answers, grid, missing

from tables.ablations.rows import summarize
from tables.ablations.tables import curves


def sweep_curve(name, *runs, profile="mini", seeds=(0,)):
    sweeps = {
        curve.sweep.name: curve
        for curve in curves(summarize(profile, grid(*runs, seeds=seeds, profile=profile)))
    }
    return sweeps[name]


def test_a_point_is_the_mean_with_an_interval_close_to_the_exact_binomial_one():
    curve = sweep_curve("R", ablation("glca", 318), ablation("baseline", 300))
    (point,) = curve.points
    assert (point.x, point.mean, dict(point.seed_values)) == (
        10.0,
        100 * 318 / IMAGES,
        {0: 100 * 318 / IMAGES},
    )
    exact = scipy.stats.binomtest(318, IMAGES).proportion_ci(0.95)
    # Clopper and Pearson's limits are a little wider than the percentiles: by less than a point here.
    assert point.interval.low == pytest.approx(100 * exact.low, abs=0.8)
    assert point.interval.high == pytest.approx(100 * exact.high, abs=0.8)
    assert curve.baseline.mean == 75.0


def test_with_several_seeds_an_image_counts_with_its_mean():
    runs = [ablation("glca", 310 + seed, seed, answer_seed=seed) for seed in (0, 1, 2)]
    (point,) = sweep_curve("M", *runs, seeds=(0, 1, 2)).points
    shares = np.mean([answers(310 + seed, seed)["both_correct"] for seed in (0, 1, 2)], axis=0)
    error = 100 * shares.std() / IMAGES**0.5
    assert point.mean == pytest.approx(100 * shares.mean())
    assert point.interval.low == pytest.approx(100 * shares.mean() - 1.96 * error, abs=0.25 * error)
    assert point.interval.high == pytest.approx(100 * shares.mean() + 1.96 * error, abs=0.25 * error)


def test_points_lie_where_the_runs_really_are_in_ascending_order():
    runs = [ablation(method, 300) for method in ("glca_r50", "glca_r1", "glca")]
    assert [point.x for point in sweep_curve("R", *runs).points] == [1.6, 10.0, 50.0]
    runs = [ablation(method, 300, profile="paper") for method in ("pwca", "pwca_t1")]
    assert [point.x for point in sweep_curve("T", *runs, profile="paper").points] == [1.0, 12.0]


def test_what_is_not_done_is_named():
    curve = sweep_curve("M", ablation("glca", 300), missing("cub/deit_tiny/glca_m3", state="failed"))
    assert curve.lacking == ("M = 2", "M = 3")
    assert curve.baseline is None


def test_without_predictions_a_point_has_no_interval_and_the_reason():
    run = ablation("glca", 300)
    spoiled = type(run)(run.cell, 0, "done", "", run.result, {"labels": np.zeros(3)}, run.config)
    (point,) = sweep_curve("R", spoiled).points
    assert point.interval is None
    assert point.reason == "glca seed 0: its predictions have no both_correct"


def test_the_paper_s_numbers_are_there_for_runs_that_may_be_compared_only():
    for profile, coverage, expected in (
        ("paper", "full", 83.1),
        ("paper", "subset", None),
        ("quick", "full", None),
    ):
        (point,) = sweep_curve(
            "M", ablation("glca", 330, profile=profile, coverage=coverage), profile=profile
        ).points
        assert point.published == expected
