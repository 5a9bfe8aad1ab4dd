"""Finding, cutting, fingerprinting and measuring datasets."""

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.data import sources
from benchmark.data.fgvc import FGVCDataset
from benchmark.data.lists import Contradictions, Split, missing_files
from benchmark.data.registry import DATASETS
from benchmark.errors import DataError, SettingsError

CHECKOUT = Path(__file__).resolve().parents[2]


def test_a_dataset_is_located_below_the_data_folder(tmp_path, write_cub):
    root = write_cub(tmp_path / "CUB_200_2011")
    assert sources.locate("cub", tmp_path) == root


def test_the_data_folder_may_be_the_dataset_itself(tmp_path, write_cub):
    root = write_cub(tmp_path / "birds")
    assert sources.locate("cub", root) == root
    assert sources.load("cub", root).root == root


def test_a_whole_folder_is_preferred_to_an_empty_one_of_an_earlier_name(tmp_path, write_cars):
    (tmp_path / "stanford_cars").mkdir()
    root = write_cars(tmp_path / "cars")
    assert sources.locate("cars", tmp_path) == root


def test_a_folder_that_lacks_lists_is_located_and_reading_names_them(tmp_path):
    (tmp_path / "CUB_200_2011").mkdir()
    assert sources.locate("cub", tmp_path) == tmp_path / "CUB_200_2011"
    with pytest.raises(DataError, match=r": missing .*classes\.txt"):
        sources.load("cub", tmp_path)


@pytest.mark.parametrize("key", DATASETS)
def test_locating_what_is_absent_gives_none(tmp_path, key):
    assert sources.locate(key, None) is None
    assert sources.locate(key, tmp_path) is None
    assert sources.locate(key, tmp_path / "nowhere") is None


def test_loading_what_is_absent_names_every_place(tmp_path):
    with pytest.raises(DataError) as caught:
        sources.load("aircraft", tmp_path)
    for name in DATASETS["aircraft"].folders:
        assert str(tmp_path / name) in str(caught.value)
    with pytest.raises(DataError, match="no data folder is set"):
        sources.load("aircraft", None)


def test_unknown_keys_are_settings_errors(tmp_path):
    with pytest.raises(SettingsError, match="unknown dataset 'birds': expected one of cub, cars"):
        sources.load("birds", tmp_path)


def test_a_reader_that_does_not_exist_yet_is_said_so(tmp_path, monkeypatch):
    row = replace(DATASETS["duke"], module="benchmark.data.no_such_reader")
    monkeypatch.setitem(DATASETS, "duke", row)
    (tmp_path / "dukemtmc-reid").mkdir()
    assert sources.locate("duke", tmp_path) == tmp_path / "dukemtmc-reid"
    with pytest.raises(DataError, match="re-identification datasets are not built yet"):
        sources.load("duke", tmp_path)


@pytest.mark.parametrize("limit", [-1, 1])
def test_impossible_class_limits_are_settings_errors(tmp_path, limit):
    with pytest.raises(SettingsError, match=f"class limit is {limit}"):
        sources.load("cub", tmp_path, limit)


def test_the_first_classes_in_official_order_are_kept(tmp_path, write_cub):
    write_cub(tmp_path / "CUB_200_2011")
    whole, cut = sources.load("cub", tmp_path), sources.load("cub", tmp_path, 2)
    assert cut.classes == whole.classes[:2]
    assert (cut.train.files, cut.train.labels) == (whole.train.files[:2], (0, 1))
    assert (cut.test.files, cut.test.labels) == (whole.test.files[:2], (0, 1))
    assert sources.load("cub", tmp_path, 3) == whole


def test_a_limit_beyond_the_classes_says_how_many_there_are(tmp_path, write_cub):
    write_cub(tmp_path / "CUB_200_2011")
    with pytest.raises(DataError, match="has 3 classes, 4 were asked for"):
        sources.load("cub", tmp_path, 4)


def test_a_limit_that_leaves_no_test_images_is_refused(tmp_path, write_cars):
    write_cars(tmp_path, train=[("1.jpg", 1), ("2.jpg", 2), ("3.jpg", 3)], test=[("1.jpg", 3)])
    with pytest.raises(DataError, match="the first 2 classes have no test images"):
        sources.load("cars", tmp_path, 2)


@pytest.mark.parametrize(
    "name", ["classes.txt", "images.txt", "image_class_labels.txt", "train_test_split.txt"]
)
def test_the_fingerprint_follows_every_byte_of_every_list(tmp_path, write_cub, name):
    root = write_cub(tmp_path)
    content = (root / name).read_bytes()
    variants = (content, content + b"\n", content[:-2] + b"x\n", b"x" + content[1:])
    fingerprints = set()
    for variant in variants:
        (root / name).write_bytes(variant)
        fingerprints.add(sources.fingerprint(root, "cub"))
    assert len(fingerprints) == len(variants)


def test_the_fingerprint_ignores_the_place_the_pictures_and_other_files(tmp_path, write_cub, cub_lists):
    one, other = write_cub(tmp_path / "one"), write_cub(tmp_path / "other")
    (other / "images" / cub_lists["images.txt"][0].split(" ")[1]).unlink()
    (other / "bounding_boxes.txt").write_text("1 0 0 1 1\n")
    assert sources.fingerprint(one, "cub") == sources.fingerprint(other, "cub")
    assert len(sources.fingerprint(one, "cub")) == 64


def test_the_fingerprint_tells_where_one_list_ends_and_the_next_begins(tmp_path, write_cub):
    root = write_cub(tmp_path)
    (root / "classes.txt").write_bytes(b"1 aimages.txt\x001 b")
    (root / "images.txt").write_bytes(b"1 c")
    before = sources.fingerprint(root, "cub")
    (root / "classes.txt").write_bytes(b"1 a")
    (root / "images.txt").write_bytes(b"1 bimages.txt\x001 c")
    assert sources.fingerprint(root, "cub") != before


def test_the_fingerprint_of_incomplete_lists_is_refused(tmp_path, write_cub):
    root = write_cub(tmp_path)
    (root / "images.txt").unlink()
    with pytest.raises(DataError, match=r": missing .*images\.txt"):
        sources.fingerprint(root, "cub")


def dataset_of(classes, train, test):
    names = tuple(f"class {index}" for index in range(classes))
    splits = (Split(tuple(map(str, range(count))), (0,) * count) for count in (train, test))
    return FGVCDataset("cub", Path("/nowhere"), names, *splits)


def test_official_counts_are_full_coverage():
    found = sources.coverage(dataset_of(200, 5994, 5794), DATASETS["cub"])
    assert found == sources.Coverage("full", "full: 200 classes, 5,994 train and 5,794 test images")


@pytest.mark.parametrize("counts", [(199, 5994, 5794), (200, 5993, 5794), (200, 5994, 5795)])
def test_any_other_count_is_a_subset(counts):
    assert sources.coverage(dataset_of(*counts), DATASETS["cub"]).kind == "subset"


def test_missing_files_are_named_in_list_order_up_to_the_limit(tmp_path, write_cub):
    dataset = sources.load("cub", write_cub(tmp_path))
    assert missing_files(dataset.root, dataset.pictures) == ()
    gone = (dataset.train.files[1], dataset.test.files[0], dataset.test.files[2])
    for file in gone:
        (tmp_path / file).unlink()
    assert missing_files(dataset.root, dataset.pictures) == gone
    assert missing_files(dataset.root, dataset.pictures, 2) == gone[:2]
    assert missing_files(dataset.root, dataset.pictures, 0) == ()


def test_contradictions_survive_pickling():
    error = Contradictions("CUB at /x", ["one", "two"], "Do this.")
    copy = pickle.loads(pickle.dumps(error))
    assert str(copy) == str(error) == "CUB at /x: 2 contradictions\n  one\n  two\nDo this."
    assert copy.problems == ("one", "two")


def test_finding_and_fingerprinting_load_no_heavy_library(tmp_path, write_cars):
    root = write_cars(tmp_path)
    code = (
        "import sys; from pathlib import Path; from benchmark.data import sources; "
        f"root = sources.locate('cars', Path({str(root)!r})); print(sources.fingerprint(root, 'cars')); "
        "print(sorted({'numpy', 'scipy', 'cv2', 'torch'} & set(sys.modules)))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert output.stdout.split("\n")[:2] == [sources.fingerprint(root, "cars"), "[]"]


def test_the_real_subset_is_read_and_reported_as_one(real_cub):
    dataset = sources.load("cub", real_cub)
    assert (len(dataset.classes), len(dataset.train), len(dataset.test)) == (25, 750, 652)
    assert dataset.classes[0] == "001.Black_footed_Albatross"
    assert set(dataset.train.labels) == set(dataset.test.labels) == set(range(25))
    assert sources.coverage(dataset, DATASETS["cub"]).text == (
        "subset: 25 of 200 classes, 750 of 5,994 train and 652 of 5,794 test images"
    )
    for split in (dataset.train, dataset.test):
        for file, label in zip(split.files, split.labels, strict=True):
            assert file.split("/")[1] == dataset.classes[label]
