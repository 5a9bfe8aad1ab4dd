"""Numbers of the ablations: gains over baseline and reference, against literal sums and resampling."""

import numpy as np
import pytest
from ablation_runs import IMAGES, ablation, answers, grid, missing, some_of_each, vehicles

from benchmark.config.ablations import ROWS
from tables import states
from tables.ablations.rows import has_ablation_runs, summarize


def row(result, title, group=""):
    (only,) = [item for item in result.rows if item.row.title == title and item.row.group.startswith(group)]
    return only


@pytest.fixture(scope="module")
def paper():
    return summarize("paper", some_of_each("paper", "full"))


def literal_interval(before, after, repeats=4000):
    """Percentiles of the mean difference over images drawn with replacement, in points."""
    random = np.random.default_rng(12345)
    difference = np.mean(
        [b.astype(float) - a.astype(float) for a, b in zip(before, after, strict=True)], axis=0
    )
    means = [random.choice(difference, difference.size).mean() for _ in range(repeats)]
    return 100 * np.percentile(means, [2.5, 97.5]), 100 * difference.std() / difference.size**0.5


def test_every_row_of_the_registry_is_a_row(paper):
    assert [item.row for item in paper.rows] == list(ROWS)


def test_a_gain_is_the_mean_difference_of_the_seeds_with_the_literal_interval(paper):
    before = [answers(300 + seed, seed)["both_correct"] for seed in (0, 1)]
    after = [answers(318 + seed, seed)["both_correct"] for seed in (0, 1)]
    gain = row(paper, "GLCA only").gain
    assert gain.measured.seed_values == pytest.approx({0: 100 * 18 / IMAGES, 1: 100 * 18 / IMAGES})
    (low, high), error = literal_interval(before, after)
    assert (gain.interval.low, gain.interval.high) == pytest.approx((low, high), abs=0.25 * error)
    assert gain.verdict.text == "yes"
    assert gain.published == 1.0


def test_the_gain_of_both_is_that_of_table_1(paper):
    gain = row(paper, "both", "Components: CUB").gain
    table = states.summarize(
        "table1", "paper", [run for run in some_of_each("paper", "full") if run.cell.table == "table1"]
    )
    expected = table.gains["cub", "deit_tiny", "top1"]
    assert (gain.measured, gain.interval, gain.verdict, gain.published) == (
        expected.measured, expected.interval, expected.verdict, expected.published,
    )  # fmt: skip


def test_sa_alone_is_compared_with_the_baseline_s_whole_prediction(paper):
    before = [answers(300 + seed, seed)["both_correct"] for seed in (0, 1)]
    after = [answers(330, seed)["sa_correct"] for seed in (0, 1)]
    result = row(paper, "both, SA alone at inference", "Components: CUB")
    assert result.cell.measured.mean == 100 * 325 / IMAGES
    assert result.gain.measured.mean == pytest.approx(100 * (325 - 300.5) / IMAGES)
    (low, high), error = literal_interval(before, after)
    assert (result.gain.interval.low, result.gain.interval.high) == pytest.approx(
        (low, high), abs=0.25 * error
    )
    assert result.gain.published == 2.2


def test_sa_alone_ranks_with_its_own_average_precision(paper):
    result = row(paper, "both, SA alone at inference", "Components: VeRi")
    assert result.cell.measured.mean == pytest.approx(79.0)
    assert result.gain.measured.mean == pytest.approx(0.5)
    assert result.gain.published == 2.0
    before, after = vehicles("baseline", 78.0), vehicles("dcal", 80.5, first=30)
    counted = before.predictions["both_first_hit"] > 0
    gap = (after.predictions["sa_ap"] - before.predictions["both_ap"])[counted]
    (low, high), error = literal_interval([np.zeros_like(gap)], [gap])
    assert (result.gain.interval.low, result.gain.interval.high) == pytest.approx(
        (low, high), abs=0.25 * error
    )


def test_an_alternative_is_compared_with_what_it_replaces(paper):
    random = row(paper, "random local queries")
    assert (random.reference_title, random.reference_gain.published, random.reference_gain.measured.mean) == (
        "GLCA",
        -0.5,
        0.0,
    )
    assert random.reference_gain.verdict.text == "no difference shown"
    (hardest,) = [item for item in paper.rows if item.row.cell == "cub/deit_tiny/pwca_hardest"]
    assert hardest.row.reference == "cub/deit_tiny/pwca"
    assert hardest.reference_gain.measured.mean == pytest.approx(100 * (270 - 302.5) / IMAGES)
    assert hardest.reference_gain.verdict.outcome == "hurts"


def test_a_baseline_gains_over_nothing(paper):
    assert row(paper, "baseline", "Components: CUB").gain is None
    assert row(paper, "GLCA only").reference_gain is None


def test_the_paper_s_number_is_compared_on_its_data_in_its_recipe_only(paper):
    assert row(paper, "GLCA only").cell.difference == pytest.approx(100 * 318.5 / IMAGES - 83.1)
    for profile, coverage in (("mini", "generated"), ("quick", "full"), ("paper", "subset")):
        result = summarize(profile, some_of_each(profile, coverage))
        assert row(result, "GLCA only").cell.difference is None
        assert row(result, "GLCA only").gain.difference is None


def test_a_row_names_the_setting_that_the_profile_really_has(paper):
    mini = summarize("mini", some_of_each())
    titles = [item.title for item in mini.groups["Sweep: local queries R, % of the patches, GLCA alone"]]
    assert titles == ["R = 1 % (here 1.6 %)", "R = 5 %", "R = 10 %", "R = 30 %", "R = 50 %"]
    assert row(paper, "R = 1 %").title == "R = 1 %"


def test_what_is_not_done_has_a_state_and_no_gain(paper):
    result = row(paper, "T = 4")
    assert (dict(result.cell.states), result.gain.measured.n) == ({"failed": 1, "missing": 1}, 0)
    assert result.gain.verdict.text == "open: only the baseline is done"


def test_unequal_seeds_are_open_and_named(paper):
    result = row(paper, "GLCA alone, mean read-out")
    assert result.gain.verdict.text == "open: unequal seeds"
    assert result.reference_gain.note == "gain over seed 0 only; only 'GLCA only' has seed 1"


def test_the_tables_own_runs_are_no_ablation():
    assert not has_ablation_runs(grid(ablation("baseline", 300), ablation("dcal", 320)))
    assert not has_ablation_runs([missing("cub/deit_tiny/glca", state="no-data")])
    assert has_ablation_runs([missing("cub/deit_tiny/glca", state="failed")])
