"""The numbers of the tables against the statistics module and against sums done by hand."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_runs import SyntheticRun, cell, done, everything, extras_runs, other

from benchmark.config.grid import TABLES
from tables.cells import measure
from tables.states import summarize

PERCENT = st.floats(min_value=0, max_value=100, allow_nan=False)
BY_SEED = st.dictionaries(st.integers(0, 9), PERCENT, min_size=1, max_size=6)
BEFORE, AFTER = "cub/deit_tiny/baseline", "cub/deit_tiny/dcal"
CUB = ("cub", "deit_tiny")


def summary_of(*runs, profile="paper", table="table1"):
    return summarize(table, profile, runs)


@given(BY_SEED)
def test_mean_and_std_are_those_of_the_statistics_module(values):
    summary = measure(values)
    assert summary.mean == pytest.approx(statistics.mean(values.values()))
    assert summary.n == len(values)
    if len(values) == 1:
        assert summary.std is None
    else:
        assert summary.std == pytest.approx(statistics.stdev(values.values()), abs=1e-12)


@given(before=BY_SEED, after=BY_SEED)
def test_the_gain_is_the_mean_over_common_seeds(before, after):
    runs = [done(BEFORE, seed, value) for seed, value in before.items()]
    runs += [done(AFTER, seed, value) for seed, value in after.items()]
    gain = summary_of(*runs).gains[*CUB, "top1"]
    pairs = [after[seed] - before[seed] for seed in before.keys() & after.keys()]
    assert gain.measured.n == len(pairs)
    if not pairs:
        assert gain.measured.mean is None
        assert gain.difference is None
    else:
        assert gain.measured.mean == pytest.approx(statistics.mean(pairs), abs=1e-9)
        assert gain.difference == pytest.approx(statistics.mean(pairs) - 2.5, abs=1e-9)
    if len(pairs) > 1:
        assert gain.measured.std == pytest.approx(statistics.stdev(pairs), abs=1e-9)


def test_three_seeds_by_hand():
    summary = summary_of(*(done(BEFORE, seed, top1) for seed, top1 in enumerate([81.0, 82.0, 84.5])))
    number = summary.cells[*CUB, "baseline", "top1"]
    assert number.measured.mean == pytest.approx(82.5)  # 247.5 / 3
    assert number.measured.std == pytest.approx(3.25**0.5)  # ((1.5² + 0.5² + 2²) / 2)^½
    assert number.difference == pytest.approx(0.4)  # 82.5 − 82.1
    assert number.coverage == ("full",)


def test_published_gains_are_exact_tenths():
    gains = summary_of().gains
    assert [gains["cub", key, "top1"].published for key in TABLES["table1"].backbones] == [
        2.5,
        1.8,
        0.8,
        0.6,
        0.7,
    ]


def test_a_gain_uses_common_seeds_only_and_says_so():
    gain = summarize("table1", "paper", everything()).gains["cub", "deit_small", "top1"]
    assert gain.measured.seeds == (1,)
    assert gain.measured.mean == pytest.approx(88.0 - 86.0)
    assert gain.note == "gain over seed 1 only; only the baseline has seed 0; only DCAL has seed 2"


def test_no_common_seed_gives_no_gain():
    gain = summarize("table1", "paper", everything()).gains["cub", "deit_base", "top1"]
    assert gain.measured.mean is None
    assert gain.note == "no gain; only the baseline has seed 0; only DCAL has seed 1"


def test_runs_on_different_data_are_not_paired():
    subset = {"coverage": "subset", "text": "subset: 25 of 200 classes"}
    gain = summary_of(done(BEFORE, 0, 80.0), done(AFTER, 0, 95.0, **subset)).gains[*CUB, "top1"]
    assert gain.measured.mean is None
    assert gain.note == "no gain; the two methods saw different data in seed 0"


@pytest.mark.parametrize("profile", ["mini", "quick", "paper-like"])
def test_only_the_paper_profile_has_differences(profile):
    summary = summary_of(*everything(), profile=profile)
    assert all(number.difference is None for number in (*summary.cells.values(), *summary.gains.values()))


@pytest.mark.parametrize("coverage", ["subset", "generated", "unknown"])
def test_one_run_on_partial_data_forbids_the_difference(coverage):
    summary = summary_of(done(BEFORE, 0, 81.0), done(BEFORE, 1, 82.0, coverage=coverage))
    number = summary.cells[*CUB, "baseline", "top1"]
    assert number.measured.mean == pytest.approx(81.5)
    assert number.difference is None


def test_seeds_without_a_number_are_counted_by_state():
    summary = summary_of(
        done(BEFORE, 0, 81.0),
        other(BEFORE, 1, "failed", "x"),
        other(BEFORE, 2, "failed"),
        done(BEFORE, 3, None),
    )
    number = summary.cells[*CUB, "baseline", "top1"]
    assert number.states == {"done": 1, "failed": 2, "no-number": 1}
    assert (number.measured.n, number.complete) == (1, False)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "84.0", None, True, [84.0]])
def test_a_metric_that_is_no_number_is_never_averaged(value):
    broken = SyntheticRun(cell(BEFORE), 1, "done", "", {"metrics": {"top1": value}})
    number = summary_of(done(BEFORE, 0, 81.0), broken).cells[*CUB, "baseline", "top1"]
    assert (number.measured.mean, number.measured.n) == (81.0, 1)


def test_the_best_epoch_is_never_used():
    number = summary_of(done(BEFORE, 0, 81.0)).cells[*CUB, "baseline", "top1"]
    assert number.measured.mean == 81.0  # the record's best epoch says 99.9


def test_a_result_is_used_only_where_the_state_is_done():
    stale = SyntheticRun(cell(BEFORE), 0, "stale", "other settings", done(BEFORE, 0, 81.0).result)
    assert summary_of(stale).cells[*CUB, "baseline", "top1"].measured.n == 0


def test_table_2_has_two_metrics_a_cell():
    runs = [
        done("market/vit_base/baseline", 0, None, table="table2", mAP=87.0, R1=94.0),
        done("market/vit_base/dcal", 0, None, table="table2", mAP=88.0, R1=94.5),
    ]
    summary = summary_of(*runs, table="table2")
    assert len(summary.cells) == 64
    assert summary.cells["market", "vit_base", "baseline", "mAP"].difference == pytest.approx(-0.1)
    assert summary.cells["market", "vit_base", "dcal", "R1"].difference == pytest.approx(-0.2)
    assert summary.gains["market", "vit_base", "mAP"].measured.mean == pytest.approx(1.0)


def test_the_extras_mix_metrics_and_add_the_rank1_that_the_paper_leaves_out():
    summary = summary_of(table="extras")
    assert {key: gain.published for key, gain in summary.gains.items()} == {
        ("cub", "cait_xs24", "top1"): 1.2,
        ("cub", "swin_tiny", "top1"): 0.9,
        ("msmt17", "swin_tiny", "mAP"): 1.0,
        ("msmt17", "swin_tiny", "R1"): None,
    }


def test_a_measured_number_without_a_published_one_is_neither_reached_nor_missed():
    summary = summary_of(*extras_runs(), table="extras")
    rank1 = summary.cells["msmt17", "swin_tiny", "dcal", "R1"]
    assert (rank1.measured.mean, rank1.difference, rank1.reproduction) == (79.5, None, "")
    assert summary.cells["msmt17", "swin_tiny", "dcal", "mAP"].reproduction == "reproduced"


def test_runs_of_other_tables_are_left_out():
    stranger = done("cub/swin_tiny/dcal", 0, 85.0, table="extras")
    assert summary_of(stranger).runs == ()
