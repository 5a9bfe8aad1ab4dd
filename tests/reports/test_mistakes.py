"""Where it errs: counts of classes and confusions equal a literal loop, and nothing gets lost."""

from collections import Counter
from dataclasses import dataclass, field

import mini_sweep
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sweep.plan import HOSTILE_NAMES

from benchmark.config.grid import Cell
from benchmark.errors import RunError, SettingsError
from benchmark.records import status
from reports.errors.confusion import count_mistakes


@dataclass
class Run:
    """A done run as the state machine gives it, with predictions made up here."""

    method: str
    seed: int
    labels: list
    predicted: list
    names: list | None = None
    state: str = "done"
    fingerprint: str = "f"
    more: dict = field(default_factory=dict)

    @property
    def cell(self):
        return Cell("table1", "cub", "deit_tiny", self.method)

    @property
    def id(self):
        return f"{self.cell.id}/seed{self.seed}"

    @property
    def result(self):
        return {"data": {"fingerprint": self.fingerprint}} if self.state == "done" else None

    @property
    def predictions(self):
        arrays = {"labels": np.array(self.labels), "both_predicted": np.array(self.predicted)}
        named = {"classes": np.array(self.names, dtype=str)} if self.names is not None else {}
        return {**arrays, **named, **self.more}


def base(seed, predicted, labels=(0, 0, 1, 1, 2, 2), **more):
    return Run("baseline", seed, list(labels), list(predicted), **{"names": ["a", "b", "c"]} | more)


def dcal(seed, predicted, labels=(0, 0, 1, 1, 2, 2), **more):
    return Run("dcal", seed, list(labels), list(predicted), **{"names": ["a", "b", "c"]} | more)


def swept(sweep, name, profile="paper"):
    runs = status.collect(profile=profile, runs_dir=sweep, seeds=mini_sweep.SEEDS, patterns=[name])
    return [[run for run in runs if run.cell.method == method] for method in ("baseline", "dcal")]


def literal(runs):
    """Images of a class taken for a class, one at a time."""
    counted = Counter()
    for run in runs:
        for label, predicted in zip(
            run.predictions["labels"], run.predictions["both_predicted"], strict=True
        ):
            counted[int(label), int(predicted)] += 1
    return counted


def check(result, baseline, dcal_runs):
    """Everything in ``result`` against loops over the runs it says it counted."""
    counted = {
        "baseline": literal(run for run in baseline if run.seed in result.baseline_seeds),
        "dcal": literal(run for run in dcal_runs if run.seed in result.dcal_seeds),
    }
    labels = [int(label) for label in (baseline or dcal_runs)[0].predictions["labels"]]
    assert sorted(row.index for row in result.classes) == list(range(len(result.classes)))
    for row in result.classes:
        assert row.images == labels.count(row.index)
        for method, counts in counted.items():
            accuracy = getattr(row, method)
            if accuracy is not None:
                of_class = {pair: n for pair, n in counts.items() if pair[0] == row.index}
                assert accuracy.correct == of_class.get((row.index, row.index), 0)
                assert accuracy.correct + accuracy.wrong == sum(of_class.values())
    wrong = Counter()
    for counts in counted.values():
        wrong.update({pair: n for pair, n in counts.items() if pair[0] != pair[1]})
    expected = sorted(wrong, key=lambda pair: (-wrong[pair], pair[0], pair[1]))
    assert [(pair.true, pair.predicted) for pair in result.pairs] == expected[: len(result.pairs)]
    order = [index for index, _ in result.matrix_classes]
    for method, matrix in (("baseline", result.baseline_matrix), ("dcal", result.dcal_matrix)):
        if matrix is None:
            continue
        for true, row, other, total in zip(order, matrix.rows, matrix.others, matrix.totals, strict=True):
            assert list(row) == [counted[method][true, predicted] for predicted in order]
            assert sum(row) + other == total
            assert total == labels.count(true) * len(getattr(result, f"{method}_seeds"))


@given(st.data())
def test_any_predictions_equal_a_literal_loop(data):
    classes = data.draw(st.integers(2, 6))
    images = data.draw(st.integers(1, 30))
    index = st.integers(0, classes - 1)
    labels = data.draw(st.lists(index, min_size=images, max_size=images))
    names = [f"n{place}" for place in range(classes)]

    def runs(method):
        seeds = data.draw(st.lists(st.integers(0, 3), unique=True, max_size=3))
        predicted = st.lists(index, min_size=images, max_size=images)
        return [Run(method, seed, labels, data.draw(predicted), names) for seed in seeds]

    baseline, with_dcal = runs("baseline"), runs("dcal")
    result = count_mistakes(baseline, with_dcal, max_pairs=4, max_classes=3)
    if not (baseline or with_dcal):
        assert result is None
        return
    assert len(result.classes) == classes
    assert len(result.pairs) <= 4
    assert len(result.matrix_classes) <= 3
    check(result, baseline, with_dcal)


@pytest.mark.parametrize("name", ["cub/deit_tiny", "cub/vit_base", "cars/deit_tiny", "cub/deit_base"])
def test_the_made_up_sweep_equals_a_literal_loop(sweep, name):
    baseline, with_dcal = swept(sweep, name)
    done = [[run for run in runs if run.state == "done"] for runs in (baseline, with_dcal)]
    check(count_mistakes(baseline, with_dcal), *done)


def test_per_class_numbers_add_up_to_the_recorded_accuracy(sweep):
    baseline, with_dcal = swept(sweep, "cub/deit_tiny")
    result = count_mistakes(baseline, with_dcal)
    assert (result.baseline_seeds, result.dcal_seeds, result.paired) == ((0, 1, 2), (0, 1, 2), True)
    for method, runs in (("baseline", baseline), ("dcal", with_dcal)):
        right = sum(getattr(row, method).correct for row in result.classes)
        images = sum(row.images for row in result.classes) * 3
        assert 100 * right / images == pytest.approx(sum(run.result["metrics"]["top1"] for run in runs) / 3)


def test_gains_and_order_by_hand():
    result = count_mistakes([base(0, [0, 0, 1, 0, 0, 0])], [dcal(0, [0, 1, 1, 1, 0, 2])])
    assert [(row.name, row.baseline.percent, row.dcal.percent, row.gain) for row in result.classes] == [
        ("c", 0.0, 50.0, 50.0),
        ("a", 100.0, 50.0, -50.0),  # as often right as b: the dataset's order decides
        ("b", 50.0, 100.0, 50.0),
    ]
    assert [(p.true_name, p.predicted_name, p.baseline, p.dcal) for p in result.pairs] == [
        ("c", "a", 2, 1),
        ("a", "b", 0, 1),
        ("b", "a", 1, 0),
    ]
    assert (result.pairs[0].baseline_share, result.pairs[0].dcal_share) == (100.0, 50.0)
    assert [name for _, name in result.matrix_classes] == ["c", "a", "b"]


def test_the_matrix_has_the_classes_of_the_first_pairs_and_one_column_for_the_others():
    result = count_mistakes([base(0, [1, 1, 0, 1, 0, 2])], [], max_classes=2)
    assert result.matrix_classes == ((0, "a"), (1, "b"))
    assert result.baseline_matrix.rows == ((0, 2), (1, 1))
    assert result.baseline_matrix.others == (0, 0)
    assert result.dcal_matrix is None
    result = count_mistakes([base(0, [1, 1, 2, 1, 2, 2])], [], max_classes=2)
    assert result.baseline_matrix.others == (0, 1)


def test_only_seeds_that_both_methods_have_count():
    runs = [base(0, [0] * 6), base(1, [1] * 6)], [dcal(1, [1] * 6), dcal(2, [2] * 6)]
    result = count_mistakes(*runs)
    assert (result.baseline_seeds, result.dcal_seeds, result.paired) == ((1,), (1,), True)
    assert "seeds 0, 2 left out: only one of the two methods has a run" in result.notes
    assert result.classes[-1].name == "b"


def test_without_a_common_seed_there_are_no_gains():
    result = count_mistakes([base(0, [0] * 6)], [dcal(1, [1] * 6)])
    assert not result.paired
    assert [row.gain for row in result.classes] == [None] * 3
    assert "no seed in common" in result.notes[0]


def test_one_method_alone_is_shown():
    result = count_mistakes([base(0, [0, 1, 1, 1, 2, 2])], [dcal(0, [0] * 6, state="running")])
    assert not result.paired
    assert [(row.name, row.dcal, row.gain) for row in result.classes] == [(n, None, None) for n in "abc"]
    assert (result.pairs[0].dcal, result.pairs[0].dcal_share) == (None, None)


def test_without_a_done_run_there_is_nothing():
    assert count_mistakes([base(0, [0] * 6, state="failed")], []) is None
    assert count_mistakes([], []) is None


def test_without_mistakes_there_are_no_pairs_and_no_matrix():
    result = count_mistakes([base(0, [0, 0, 1, 1, 2, 2])], [dcal(0, [0, 0, 1, 1, 2, 2])])
    assert (result.pairs, result.matrix_classes, result.baseline_matrix, result.dcal_matrix) == (
        (),
        (),
        None,
        None,
    )


def test_a_class_without_test_images_is_kept_and_comes_last():
    labels = [0, 0, 2, 2]
    result = count_mistakes([base(0, [0, 1, 1, 2], labels)], [dcal(0, [0, 0, 2, 2], labels)])
    last = result.classes[-1]
    assert (last.name, last.images, last.mean, last.baseline.percent, last.gain) == ("b", 0, None, None, None)
    assert len(result.classes) == 3


def test_hostile_names_pass_through_untouched(sweep):
    result = count_mistakes(*swept(sweep, "cub/deit_tiny"))
    names = {row.index: row.name for row in result.classes}
    assert [names[2 + place] for place in range(len(HOSTILE_NAMES))] == list(HOSTILE_NAMES)


def test_older_records_get_numbers_for_names_and_say_so(sweep):
    result = count_mistakes(*swept(sweep, "cub/vit_base"))
    assert {row.name for row in result.classes} == {f"class {index}" for index in range(40)}
    assert any("do not name the classes" in note for note in result.notes)


def test_a_name_in_one_record_serves_all():
    result = count_mistakes([base(0, [0] * 6, names=None)], [dcal(0, [0] * 6)])
    assert sorted(row.name for row in result.classes) == ["a", "b", "c"]
    assert result.notes == ()


def test_runs_on_other_test_images_are_left_out_and_named():
    runs = [base(0, [0] * 6), base(1, [0] * 6)], [dcal(0, [0] * 6), dcal(1, [1] * 6, fingerprint="other")]
    result = count_mistakes(*runs)
    assert result.dcal_seeds == (0,)
    assert "cub/deit_tiny/dcal/seed1 has other test images than the rest and is left out" in result.notes
    shuffled = dcal(0, [0] * 6, labels=[2, 2, 1, 1, 0, 0])
    assert count_mistakes([base(0, [0] * 6), base(1, [0] * 6)], [shuffled]).dcal_seeds == ()


def test_a_torn_file_of_one_run_leaves_the_others(sweep):
    baseline, with_dcal = swept(sweep, "cub/deit_tiny")
    baseline[1].folder.predictions.write_bytes(b"torn")
    result = count_mistakes(baseline, with_dcal)
    assert result.baseline_seeds == result.dcal_seeds == (0, 2)
    assert any("cub/deit_tiny/baseline/seed1 is left out" in note for note in result.notes)
    with pytest.raises(RunError):
        _ = baseline[1].predictions["labels"]


@pytest.mark.parametrize(
    "predicted",
    [[0, 0, 1, 1, 2, 3], [0, 0, 1, 1, 2, -1], [0, 0, 1], [0.0, 0.0, 1.0, 1.0, 2.0, 2.0], [[0], [0]]],
)
def test_predictions_that_make_no_sense_are_left_out_and_named(predicted):
    result = count_mistakes([base(0, predicted), base(1, [0] * 6)], [])
    assert result.baseline_seeds == (1,)
    assert "cub/deit_tiny/baseline/seed0 is left out" in result.notes[0]


def test_runs_of_re_identification_are_refused(sweep):
    with pytest.raises(SettingsError, match="re-identification"):
        count_mistakes(*swept(sweep, "veri/deit_tiny"))
