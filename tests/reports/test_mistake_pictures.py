"""Examples of confusions: the pictures are those of the stated rule, and none are shown from other data."""

import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from benchmark.config.grid import select
from benchmark.config.places import Places
from benchmark.data import locate
from benchmark.data.mini.sets import write
from reports.errors.confusion import Confusion
from reports.errors.examples import SIDE, write_examples

CELL = select(["cub/deit_tiny/dcal"])[0]


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    data = tmp_path_factory.mktemp("generated data")
    write(data, ("cub",))
    return data


def places(data):
    return Places(data, data, None, generated=False)


def confusion(true, predicted):
    return Confusion(true, f"class {true}", predicted, f"class {predicted}", 1, 1, 1.0, 1.0)


def build_run(data, mistakes, *, limit=0, **changes):
    """A run that is right but for ``mistakes``: place in the test list → (predicted class, probability)."""
    dataset = locate.load_fgvc("cub", data, limit)
    labels = np.array(dataset.test.labels)
    predicted, probability = labels.copy(), np.full(len(labels), 0.9, np.float32)
    for place, (taken_for, share) in mistakes.items():
        predicted[place], probability[place] = taken_for, share
    arrays = {"labels": labels, "both_predicted": predicted, "both_probability": probability}
    arrays |= changes.pop("arrays", {})
    print_ = changes.pop("fingerprint", locate.fingerprint(dataset.root, "cub"))
    return SimpleNamespace(
        cell=CELL,
        id="cub/deit_tiny/dcal/seed0",
        result={"data": {"fingerprint": print_}},
        predictions={name: array for name, array in arrays.items() if array is not None},
        config=SimpleNamespace(settings=SimpleNamespace(data=SimpleNamespace(class_limit=limit))),
    )


def of_class(data, label):
    return [
        place for place, result in enumerate(locate.load_fgvc("cub", data).test.labels) if result == label
    ]


def files(result):
    return [(example.confusion.true, example.test_file, example.train_file) for example in result.pairs]


def test_the_worst_of_a_confusion_beside_the_first_of_the_other_class(generated, tmp_path):
    dataset = locate.load_fgvc("cub", generated)
    mine = of_class(generated, 3)
    run = build_run(generated, {mine[0]: (5, 0.3), mine[2]: (5, 0.1), mine[4]: (5, 0.1), mine[5]: (1, 0.01)})
    result = write_examples([confusion(3, 5)], run, places(generated), tmp_path)
    first = next(
        file for file, label in zip(dataset.train.files, dataset.train.labels, strict=True) if label == 5
    )
    assert files(result) == [(3, dataset.test.files[mine[2]], first)]
    assert result.pairs[0].probability == pytest.approx(0.1)
    assert (result.reason, result.notes) == ("", ())
    assert run.id in result.rule


def test_the_thumbnails_are_those_pictures_made_small(generated, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(generated, data)
    mine = of_class(data, 0)
    dataset = locate.load_fgvc("cub", data)
    wide = np.zeros((300, 900, 3), np.uint8)
    wide[:, :, 2] = 255  # red, in OpenCV's order
    cv2.imwrite(str(dataset.root / dataset.test.files[mine[0]]), wide)
    result = write_examples(
        [confusion(0, 1)], build_run(data, {mine[0]: (1, 0.1)}), places(data), tmp_path / "out"
    )
    test = cv2.imread(str(tmp_path / "out" / result.pairs[0].test))
    assert test.shape == (round(SIDE / 3), SIDE, 3)
    blue, green, red = test.reshape(-1, 3).mean(axis=0)
    assert red > 240
    assert max(blue, green) < 15
    train = cv2.imread(str(tmp_path / "out" / result.pairs[0].train))
    original = cv2.imread(str(dataset.root / result.pairs[0].train_file))
    small = cv2.resize(original, train.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert max(train.shape[:2]) == min(SIDE, max(original.shape[:2]))
    assert np.abs(train.astype(int) - small).mean() < 6


def test_confusions_that_the_run_did_not_make_are_passed_over(generated, tmp_path):
    mine = of_class(generated, 2)
    run = build_run(generated, {mine[0]: (0, 0.1), mine[1]: (1, 0.1)})
    arguments = [confusion(4, 5), confusion(2, 1), confusion(2, 0)]
    result = write_examples(arguments, run, places(generated), tmp_path)
    assert [(example.confusion.true, example.confusion.predicted) for example in result.pairs] == [
        (2, 1),
        (2, 0),
    ]
    assert len(write_examples(arguments, run, places(generated), tmp_path, count=1).pairs) == 1


def test_without_such_mistakes_the_reason_says_so(generated, tmp_path):
    result = write_examples([confusion(0, 1)], build_run(generated, {}), places(generated), tmp_path)
    assert (result.pairs, result.reason) == ((), "cub/deit_tiny/dcal/seed0 made none of these mistakes")


def test_a_class_limit_is_kept(generated, tmp_path):
    run = build_run(generated, {0: (1, 0.1)}, limit=2)
    assert set(run.predictions["labels"].tolist()) == {0, 1}
    result = write_examples([confusion(0, 1)], run, places(generated), tmp_path)
    assert len(result.pairs) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fingerprint": "other"}, "holds other data than cub/deit_tiny/dcal/seed0"),
        ({"arrays": {"both_probability": None}}, "holds no both_probability"),
        ({"arrays": {"labels": np.array([0, 1])}}, "are not those that"),
    ],
)
def test_a_record_that_does_not_fit_gives_a_reason_and_no_files(generated, tmp_path, changes, message):
    mine = of_class(generated, 0)
    run = build_run(generated, {mine[0]: (1, 0.1)}, **changes)
    result = write_examples([confusion(0, 1)], run, places(generated), tmp_path / "out")
    assert message in result.reason
    assert result.pairs == ()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("data", [None, "empty"])
def test_without_data_the_reason_says_what_is_missing(generated, tmp_path, data):
    run = build_run(generated, {0: (1, 0.1)})
    result = write_examples(
        [confusion(0, 1)], run, Places(tmp_path, data and tmp_path, None, False), tmp_path / "out"
    )
    assert "CUB-200-2011" in result.reason
    assert result.pairs == ()


def test_a_picture_that_cannot_be_read_is_named_and_the_next_is_shown(generated, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(generated, data)
    dataset = locate.load_fgvc("cub", data)
    mine = of_class(data, 0)
    (dataset.root / dataset.test.files[mine[0]]).unlink()
    run = build_run(data, {mine[0]: (1, 0.1), mine[1]: (2, 0.1)})
    result = write_examples([confusion(0, 1), confusion(0, 2)], run, places(data), tmp_path / "out")
    assert [example.confusion.predicted for example in result.pairs] == [2]
    assert dataset.test.files[mine[0]] in result.notes[0]
