"""Comparison of runs that differ only in the selection of local queries, and its result in words."""

from dataclasses import replace

import numpy as np
import pytest
from ablation_runs import ablation, missing, same_as

from benchmark.errors import RunError
from tables.ablations.selection import compare_selections
from tables.ablations.selection_table import digests, selection_table, sentences


@pytest.fixture
def glca():
    return ablation("glca", 318, weights="b", logits={"sa": "5" * 64, "glca": "6" * 64})


def only(*runs):
    (result,) = compare_selections(runs)
    return result


def changed(run, result=None, **arrays):
    return replace(run, result=run.result | (result or {}), predictions={**run.predictions, **arrays})


def test_runs_that_differ_in_the_selection_alone_are_compared_with_the_rollout_s(glca):
    others = [ablation(method, 300) for method in ("glca_random", "glca_attention", "glca_r1", "glca_r50")]
    unlike = [
        ablation(method, 300)
        for method in ("baseline", "dcal", "pwca", "glca_m2", "glca_local", "glca_init_random")
    ]
    result = compare_selections([glca, *unlike, *others, ablation("glca", 310, seed=1)])
    assert [comparison.run for comparison in result] == others
    assert {comparison.reference.id for comparison in result} == {glca.id}


def test_the_mean_read_out_is_told_apart(glca):
    mean, random = ablation("glca_mean", 310), ablation("glca_mean_random", 300, answer_seed=3)
    result = only(mean, random, glca)
    assert result.can_matter
    assert "as expected of this read-out" in sentences([result])[0]
    assert selection_table([result]).texts[0][0] == "random, R = 10 %, mean read-out"


def test_the_same_bits_are_called_so(glca):
    result = only(glca, same_as(glca, "glca_random"))
    assert result.identical
    assert (result.same_weights, result.same_outputs, result.largest, result.changed) == (
        True,
        {"sa": True, "glca": True},
        0.0,
        0,
    )
    assert sentences([result]) == [
        "random, R = 10 % (seed 0): the rollout's run again, bit for bit: final weights, logits, every probability"
    ]
    assert selection_table([result]).texts == (
        ("random, R = 10 %", "0", "same bits", "same bits", "same bits", "0", "0 of 400"),
    )
    assert digests([result]) == f"seed 0: SA {'5' * 64}, GLCA {'6' * 64}"


def test_records_without_digests_say_so(glca):
    old = {key: value for key, value in glca.result.items() if key != "outputs_sha256"}
    twin = same_as(glca, "glca_random")
    result = only(replace(glca, result=old), twin)
    assert result.identical
    assert "logits not recorded" in sentences([result])[0]
    assert selection_table([result]).texts[0][3:5] == ("not recorded", "not recorded")
    assert digests([result]) == ""


def test_the_largest_difference_is_that_of_any_image_and_branch(glca):
    for branch, expected in (("sa", 3e-6), ("glca", 4e-6), ("both", 5e-6)):
        values = glca.predictions[f"{branch}_probability"].astype(np.float64)
        values[17] += expected
        twin = changed(
            same_as(glca, "glca_r5"), {"final_weights_sha256": "0" * 64}, **{f"{branch}_probability": values}
        )
        result = only(glca, twin)
        assert result.largest == pytest.approx(expected, rel=1e-3)
        assert not result.identical
        assert sentences([result])[0].startswith(
            "rollout, R = 5 % (seed 0): the rollout's run up to rounding: "
        )


def test_other_logits_are_not_the_same_bits_even_where_probabilities_are(glca):
    twin = changed(same_as(glca, "glca_random"), {"outputs_sha256": {"sa": "5" * 64, "glca": "7" * 64}})
    result = only(glca, twin)
    assert not result.identical
    assert selection_table([result]).texts[0][3:5] == ("same bits", "other bits")
    assert digests([result]) == ""


def test_more_than_rounding_is_not_called_rounding(glca):
    predicted = glca.predictions["both_predicted"].copy()
    predicted[:3] = (predicted[:3] + 1) % 10
    values = glca.predictions["both_probability"] * np.float32(0.9)
    result = only(glca, changed(same_as(glca, "glca_r5"), both_predicted=predicted, both_probability=values))
    assert result.changed == 3
    assert "3 of 400 predictions differ" in sentences([result])[0]
    assert "up to rounding" not in sentences([result])[0]
    assert "farther from the rollout's run than one step's rounding" in sentences([result])[0]


def test_another_machine_is_named_before_anything_is_concluded(glca):
    device = glca.result["device"] | {"name": "Some GPU", "type": "cuda"}
    values = glca.predictions["sa_probability"] + np.float32(0.01)
    result = only(glca, changed(same_as(glca, "glca_random"), {"device": device}, sa_probability=values))
    assert result.machine == "type: cpu and cuda; name: Some CPU and Some GPU"
    assert "computed otherwise (type: cpu and cuda; name: Some CPU and Some GPU)" in sentences([result])[0]


def test_what_is_not_a_number_is_not_the_same(glca):
    values = glca.predictions["sa_probability"].copy()
    values[3] = np.nan
    result = only(glca, changed(same_as(glca, "glca_random"), sa_probability=values))
    assert not result.identical
    assert "bit for bit" not in sentences([result])[0]


class Torn(dict):
    def __getitem__(self, name):
        raise RunError("predictions.npz: cannot be read")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda run: missing(run.cell.id), "one of the two is not done"),
        (
            lambda run: replace(run, result=run.result | {"data": {"fingerprint": "other"}}),
            "made from different data",
        ),
        (
            lambda run: replace(run, predictions=Torn()),
            "predictions lacking: predictions.npz: cannot be read",
        ),
        (
            lambda run: changed(run, labels=np.zeros(400, np.int32)),
            "predictions lacking: the test images have",
        ),
    ],
)
def test_what_cannot_be_compared_says_why(glca, change, reason):
    result = only(glca, change(same_as(glca, "glca_random")))
    assert result.problem.startswith(reason)
    assert not result.identical
    assert sentences([result])[0].startswith(
        "random, R = 10 % (seed 0): not compared with the rollout's run: "
    )
    assert selection_table([result]).texts[0][3:] == ("", "", "", "")


def test_what_is_alike_is_told_once_with_the_largest_difference_and_what_is_not_done_last(glca):
    def near(method, gap, flipped):
        predicted = glca.predictions["both_predicted"].copy()
        predicted[:flipped] += 1
        values = glca.predictions["sa_probability"].astype(np.float64) + gap
        return changed(same_as(glca, method), both_predicted=predicted, sa_probability=values)

    result = compare_selections(
        [glca, missing("cub/deit_tiny/glca_r1"), near("glca_r5", 2e-6, 0), near("glca_r50", 3e-5, 2)]
    )
    assert sentences(result) == [
        "rollout, R = 5 % (seed 0); rollout, R = 50 % (seed 0): the rollout's run up to rounding: "
        "largest difference of a probability 3e-05, 0 to 2 of 400 predictions differ",
        "rollout, R = 1.6 % (seed 0): not compared with the rollout's run: one of the two is not done",
    ]


def test_seeds_are_compared_each_with_its_own(glca):
    second = ablation("glca", 318, seed=1, answer_seed=1, weights="e")
    result = compare_selections([glca, second, same_as(glca, "glca_random"), same_as(second, "glca_random")])
    assert [comparison.reference.seed for comparison in result] == [0, 1]
    assert sentences(result)[0].startswith("random, R = 10 % (seeds 0, 1): the rollout's run again")
