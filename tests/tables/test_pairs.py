"""Paired predictions of two runs: which are paired, which are refused, and the evidence that is then left."""

import dataclasses

import numpy as np
import pytest
from synthetic_runs import done, with_answers, with_ranking

from benchmark.errors import RunError
from tables.outcomes import PairError, evidence, outcomes, paired_outcomes
from tables.statistics import mcnemar_p

BEFORE, AFTER = "cub/deit_tiny/baseline", "cub/deit_tiny/dcal"


def changed(run, **arrays):
    return dataclasses.replace(run, predictions=run.predictions | arrays)


@pytest.fixture
def pair():
    return with_answers(done(BEFORE, 0, 82.0)), with_answers(done(AFTER, 0, 84.5), first=20)


@pytest.fixture
def queries():
    kind = {"table": "table2"}
    before = with_ranking(done("veri/deit_tiny/baseline", 0, None, mAP=70.0, R1=94.0, **kind))
    return before, with_ranking(done("veri/deit_tiny/dcal", 0, None, mAP=72.5, R1=95.5, **kind), first=30)


def test_answers_come_image_by_image(pair):
    before, after = paired_outcomes(*pair, "top1")
    assert np.flatnonzero(~before).tolist() == list(range(820, 1000))
    assert np.flatnonzero(~after).tolist() == [*range(20), *range(865, 1000)]


@pytest.mark.parametrize("metric", ["mAP", "R1"])
def test_queries_with_nothing_to_find_are_left_out(queries, metric):
    before, after = paired_outcomes(*queries, metric)
    assert before.shape == after.shape == (1000,)
    assert 100 * np.mean(after.astype(float) - before) == pytest.approx({"mAP": 2.5, "R1": 1.5}[metric])


def test_each_metric_has_its_own_outcomes(queries):
    assert paired_outcomes(*queries, "R1")[0].dtype == bool
    assert paired_outcomes(*queries, "mAP")[0].dtype == np.float64


# Refused


def refused(before, after, metric="top1"):
    with pytest.raises(PairError) as caught:
        paired_outcomes(before, after, metric)
    return caught.value.reason, str(caught.value)


def test_other_labels_are_refused(pair):
    before, after = pair
    labels = before.predictions["labels"].copy()
    labels[0] += 1
    assert refused(before, changed(after, labels=labels))[0] == "different test images"


def test_another_order_of_the_images_is_refused(pair):
    before, after = pair
    assert (
        refused(before, changed(after, labels=after.predictions["labels"][::-1]))[0]
        == "different test images"
    )


def test_another_number_of_images_is_refused(pair):
    smaller = with_answers(done(AFTER, 0, 84.5), images=200)
    assert refused(pair[0], smaller) == (
        "different test images",
        "baseline was tested on 1,000 images and dcal on 200",
    )


def test_data_of_another_fingerprint_are_refused(pair):
    before, after = pair
    before.result["data"]["fingerprint"], after.result["data"]["fingerprint"] = "a" * 64, "b" * 64
    assert refused(before, after)[0] == "different test images"


@pytest.mark.parametrize("name", ["identities", "cameras"])
def test_other_queries_are_refused(queries, name):
    before, after = queries
    other = changed(after, **{name: after.predictions[name] + 1})
    assert refused(before, other, "mAP")[0] == "different test images"


def test_other_unanswered_queries_are_refused(queries):
    before, after = queries
    moved = {name: np.roll(after.predictions[name], 1) for name in ("both_ap", "both_first_hit")}
    assert refused(before, changed(after, **moved), "mAP")[0] == "different test images"


@pytest.mark.parametrize("off", [0.1, 2e-6])
def test_predictions_that_do_not_give_the_records_metric_are_refused(pair, off):
    before, after = pair
    after.result["metrics"]["top1"] += off
    reason, detail = refused(before, after)
    assert reason == "predictions differ from the record"
    assert "dcal seed 0: its predictions give top1 84.5000" in detail


def test_rounding_in_the_last_digits_is_no_difference(pair):
    pair[1].result["metrics"]["top1"] += 1e-9
    assert paired_outcomes(*pair, "top1")[1].sum() == 845


def test_a_precision_that_is_no_number_is_refused(queries):
    before, after = queries
    broken = after.predictions["both_ap"].copy()
    broken[5] = np.nan
    assert refused(before, changed(after, both_ap=broken), "mAP")[0] == "predictions differ from the record"


@pytest.mark.parametrize(
    "array",
    [np.ones(1000), np.ones((1000, 1), dtype=bool), np.ones(7, dtype=bool), np.array(["x"] * 1000)],
    ids=["dtype", "two axes", "length", "text"],
)
def test_an_array_of_another_kind_is_refused(pair, array):
    before, after = pair
    assert refused(before, changed(after, both_correct=array))[0] == "predictions differ from the record"


def test_a_set_without_any_query_that_counts_is_refused(queries):
    nothing = {"both_first_hit": np.zeros(1003, dtype=np.int32)}
    assert refused(*(changed(run, **nothing) for run in queries), "mAP")[0].startswith("predictions differ")


def test_an_older_record_without_an_array_is_named(pair):
    before, after = pair
    older = dataclasses.replace(after, predictions={"labels": after.predictions["labels"]})
    assert refused(before, older) == (
        "predictions lacking",
        "dcal seed 0: its predictions have no both_correct",
    )


def test_a_run_without_predictions_is_named(pair):
    assert refused(dataclasses.replace(pair[0], predictions=None), pair[1]) == (
        "predictions lacking",
        "baseline seed 0: it has none",
    )


class Torn:
    """A predictions file that cannot be read."""

    def __getitem__(self, name):
        raise RunError("predictions.npz: cannot be\nread; copy the run folder again")


def test_a_torn_file_is_named_on_one_line(pair):
    reason, detail = refused(pair[0], dataclasses.replace(pair[1], predictions=Torn()))
    assert reason == "predictions lacking"
    assert detail == "dcal seed 0: predictions.npz: cannot be read; copy the run folder again"


# Evidence


def three_pairs():
    tops = [(82.0, 84.5), (83.0, 84.0), (81.0, 85.0)]
    return {
        seed: (
            with_answers(done(BEFORE, seed, before)),
            with_answers(done(AFTER, seed, after), first=5 * seed),
        )
        for seed, (before, after) in enumerate(tops)
    }


def test_with_several_seeds_the_images_are_drawn_not_the_runs():
    pairs = three_pairs()
    result = evidence("cub/deit_tiny/top1", "top1", pairs)
    gains = [
        after.astype(float) - before
        for before, after in (paired_outcomes(*p, "top1") for p in pairs.values())
    ]
    by_image = 100 * np.mean(gains, axis=0)
    assert (result.interval.low + result.interval.high) / 2 == pytest.approx(by_image.mean(), abs=0.2)
    width = 2 * 1.96 * by_image.std() / by_image.size**0.5
    assert result.interval.high - result.interval.low == pytest.approx(width, rel=0.1)


def test_p_is_one_a_seed_and_never_pooled():
    pairs = three_pairs()
    result = evidence("cub/deit_tiny/top1", "top1", pairs).p_values
    assert result == {seed: mcnemar_p(*paired_outcomes(*pair, "top1")) for seed, pair in pairs.items()}


def test_precision_has_an_interval_and_no_p(queries):
    result = evidence("veri/deit_tiny/mAP", "mAP", {0: queries})
    assert result.interval.low < 2.5 < result.interval.high
    assert result.p_values == {}


def test_rank_1_has_both(queries):
    result = evidence("veri/deit_tiny/R1", "R1", {0: queries})
    assert result.interval.low < 1.5 < result.interval.high
    assert set(result.p_values) == {0}


def test_one_unusable_pair_takes_the_interval_of_all():
    pairs = three_pairs()
    pairs[1] = (pairs[1][0], dataclasses.replace(pairs[1][1], predictions=None))
    result = evidence("cub/deit_tiny/top1", "top1", pairs)
    assert (result.interval, result.p_values, result.reason) == (None, {}, "predictions lacking")
    assert result.detail == "dcal seed 1: it has none"


def test_seeds_tested_on_different_data_have_no_interval():
    pairs = three_pairs()
    for run in pairs[2]:
        run.result["data"]["fingerprint"] = "b" * 64
    assert evidence("cub/deit_tiny/top1", "top1", pairs).reason == "different test images"


def test_nothing_to_pair_is_no_evidence_and_no_complaint():
    result = evidence("cub/deit_tiny/top1", "top1", {})
    assert (result.interval, result.reason, result.detail) == (None, "", "")


def test_outcomes_of_one_run_can_be_had_alone(pair):
    assert outcomes(pair[0], "top1").values.sum() == 820
