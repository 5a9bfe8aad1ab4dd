"""Rules of the verdicts, and verdicts with missing, unequal and unusable seeds."""

import dataclasses
from math import comb

import numpy as np
import pytest
from synthetic_runs import done, other, with_answers, with_ranking

from tables import verdicts
from tables.states import summarize
from tables.statistics import Interval, mean_interval
from tables.verdicts import gain_verdict, reproduction_verdict

BEFORE, AFTER = "cub/deit_tiny/baseline", "cub/deit_tiny/dcal"


def gain_of(*runs, profile="paper", overrides=(), metric="top1"):
    gains = summarize("table1", profile, runs, overrides).gains
    return gains["cub", "deit_tiny", metric]


def pairs(*tops, first=20, **kind):
    """Runs of both methods with predictions. tops: one ``(baseline, DCAL)`` for each seed."""
    return [
        with_answers(done(cell_id, seed, top, **kind), first=start)
        for seed, numbers in enumerate(tops)
        for cell_id, top, start in zip((BEFORE, AFTER), numbers, (0, first), strict=True)
    ]


# Does DCAL help?


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.1, 3.0, "yes"),
        (-3.0, -0.1, "hurts"),
        (-1.0, 1.0, "no difference shown"),
        (0.0, 3.0, "no difference shown"),
        (-3.0, 0.0, "no difference shown"),
        (0.0, 0.0, "no difference shown"),
        (1e-6, 3.0, "yes"),
    ],
)
def test_the_verdict_is_where_the_interval_lies(low, high, verdict):
    assert gain_verdict(Interval(low, high), 100, [1.0]).outcome == verdict


def errors_without_a_gain(differing):
    """Probability of the verdict yes or hurts where each image on which the methods differ is a fair coin."""
    wrong = 0.0
    for gained in range(differing + 1):
        total = np.zeros(300, np.int16)
        total[:differing], total[:gained] = -1, 1
        verdict = gain_verdict(mean_interval(total, "coins"), np.count_nonzero(total), [])
        wrong += comb(differing, gained) / 2**differing * (verdict.outcome in ("yes", "hurts"))
    return wrong


@pytest.mark.parametrize("differing", range(1, 16))
def test_however_few_images_differ_at_most_seven_percent_of_verdicts_are_wrong(differing):
    # Of eight coins seven or more fall alike in 7.03 % of cases.
    assert errors_without_a_gain(differing) <= 0.071


@pytest.mark.parametrize(("images", "verdict"), [(4, "no difference shown"), (6, "yes")])
def test_a_gain_of_few_images_is_no_verdict(images, verdict):
    gain = gain_of(*pairs((50.0, 50.0 + images / 10), first=0))
    assert gain.interval.low > 0
    assert gain.verdict.outcome == verdict


@pytest.mark.parametrize(
    ("gains", "flag"),
    [([], ""), ([2.0], ""), ([2.0, 1.0], ""), ([2.0, -1.0], "seeds disagree"), ([0.0, 1.0], "")],
)
def test_seeds_whose_gains_differ_in_sign_are_flagged(gains, flag):
    assert gain_verdict(Interval(0.1, 1.0), 100, gains).flag == flag


def test_a_large_gain_is_a_yes():
    gain = gain_of(*pairs((80.0, 90.0)))
    assert (gain.verdict.outcome, gain.verdict.text) == ("yes", "yes")
    assert gain.interval.low < 10.0 < gain.interval.high


def test_a_large_loss_hurts():
    assert gain_of(*pairs((90.0, 80.0))).verdict.outcome == "hurts"


def test_a_small_gain_is_no_difference_shown():
    assert gain_of(*pairs((84.0, 84.5), first=100)).verdict.outcome == "no difference shown"


def test_disagreeing_seeds_are_told_beside_the_verdict():
    gain = gain_of(*pairs((80.0, 90.0), (84.0, 83.0)))
    assert gain.verdict.text == "yes; seeds disagree"


def test_one_seed_has_an_interval_and_a_p_and_no_spread():
    gain = gain_of(*pairs((80.0, 90.0)))
    assert gain.measured.std is None
    assert gain.interval is not None
    assert set(gain.p_values) == {0}


# Open


def open_reason(*runs):
    verdict = gain_of(*runs).verdict
    assert verdict.outcome == "open"
    assert verdict.text == f"open: {verdict.reason}"
    return verdict.reason


def test_nothing_done_is_open():
    assert open_reason() == "neither method is done"
    assert open_reason(other(BEFORE, 0, "failed"), other(AFTER, 0, "running")) == "neither method is done"


@pytest.mark.parametrize(("place", "name"), [(0, "the baseline"), (1, "DCAL")])
def test_one_method_done_is_open(place, name):
    assert open_reason(pairs((80.0, 90.0))[place]) == f"only {name} is done"


def test_unequal_seeds_are_refused_and_the_gain_over_the_common_ones_is_shown():
    runs = pairs((80.0, 90.0), (81.0, 91.0))[:-1]
    gain = gain_of(*runs)
    assert open_reason(*runs) == "unequal seeds"
    assert gain.measured.mean == pytest.approx(10.0)
    assert gain.measured.seeds == (0,)
    assert gain.interval.low < 10.0 < gain.interval.high
    assert "only the baseline has seed 1" in gain.note


def test_seeds_that_neither_method_has_done_do_not_refuse():
    missing = [other(cell_id, 1, "missing") for cell_id in (BEFORE, AFTER)]
    gain = gain_of(*pairs((80.0, 90.0)), *missing)
    assert gain.verdict.outcome == "yes"
    assert not gain.complete


def test_a_seed_with_other_data_is_refused():
    runs = pairs((80.0, 90.0), (81.0, 91.0))
    runs[-1].result["data"]["fingerprint"] = "b" * 64
    assert open_reason(*runs) == "different data"
    assert gain_of(*runs).measured.seeds == (0,)


def test_lacking_predictions_leave_the_gain_and_take_the_verdict():
    before, after = pairs((80.0, 90.0))
    runs = before, dataclasses.replace(after, predictions=None)
    gain = gain_of(*runs)
    assert open_reason(*runs) == "predictions lacking"
    assert gain.measured.mean == pytest.approx(10.0)
    assert (gain.interval, gain.p_values) == (None, {})
    assert gain.no_interval == "predictions lacking: dcal seed 0: it has none"


def test_the_two_metrics_of_retrieval_are_judged_apart():
    kind = {"table": "table2"}
    before = with_ranking(done("veri/deit_tiny/baseline", 0, None, mAP=60.0, R1=94.0, **kind))
    after = with_ranking(done("veri/deit_tiny/dcal", 0, None, mAP=70.0, R1=94.5, **kind), first=300)
    gains = summarize("table2", "paper", [before, after]).gains
    assert gains["veri", "deit_tiny", "mAP"].verdict.outcome == "yes"
    assert gains["veri", "deit_tiny", "R1"].verdict.outcome == "no difference shown"


# Is the published number reached?


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [
        (0.0, "reproduced"),
        (1.0, "reproduced"),
        (-1.0, "reproduced"),
        (83.1 - 82.1, "reproduced"),
        (84.1 - 83.1, "reproduced"),
        (1.01, "above"),
        (-1.01, "below"),
        (None, "not compared"),
    ],
)
def test_within_a_point_is_reproduced(difference, verdict):
    assert reproduction_verdict(difference) == verdict


def reached_by(*runs, profile="paper", overrides=()):
    cells = summarize("table1", profile, runs, overrides).cells
    return tuple(cells["cub", "deit_tiny", method, "top1"].reproduction for method in ("baseline", "dcal"))


def test_each_method_is_held_against_its_own_number():
    assert reached_by(done(BEFORE, 0, 82.5), done(AFTER, 0, 83.0)) == ("reproduced", "below")


def test_the_mean_over_seeds_counts():
    assert reached_by(done(BEFORE, 0, 80.0), done(BEFORE, 1, 84.0))[0] == "reproduced"


def test_what_was_not_measured_has_no_verdict():
    assert reached_by(done(BEFORE, 0, 82.0), other(AFTER, 0, "running")) == ("reproduced", "")


@pytest.mark.parametrize("profile", ["mini", "quick"])
def test_other_profiles_are_never_compared(profile):
    runs = pairs((82.1, 84.6))
    assert reached_by(*runs, profile=profile) == ("not compared", "not compared")
    assert not gain_of(*runs, profile=profile).compared
    # The verdict on the runs themselves stands, and nothing of the paper with it.
    assert gain_of(*runs, profile=profile).verdict.outcome in ("yes", "no difference shown")


@pytest.mark.parametrize("coverage", ["subset", "generated", "unknown"])
def test_other_data_are_never_compared(coverage):
    runs = pairs((82.1, 84.6), coverage=coverage)
    assert reached_by(*runs) == ("not compared", "not compared")
    assert not gain_of(*runs).compared


def test_a_changed_recipe_is_never_compared():
    runs = pairs((82.1, 84.6))
    assert reached_by(*runs, overrides=["train.epochs=3"]) == ("not compared", "not compared")


# The rules in words


def test_the_rules_name_their_numbers():
    assert f"{verdicts.LEVEL} % interval" in verdicts.HELPS_RULE
    assert f"{verdicts.TOLERANCE:.1f}" in verdicts.REACHED_RULE
    assert "not that of seeds" in verdicts.INTERVAL_RULE
    assert "never pooled" in verdicts.P_RULE


def test_the_tolerance_is_what_its_reason_says():
    # Two runs with std 0.35 each: their difference has std √2 · 0.35, and 95 % lie within twice that.
    assert 2 * 2**0.5 * 0.35 == pytest.approx(verdicts.TOLERANCE, abs=0.02)
