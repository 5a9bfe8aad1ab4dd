"""A user's own re-identification folder in Market-1501's layout."""

import shutil

import pytest
from own_folders import write_people, write_tiny

from benchmark.data import locate
from benchmark.data.own import market_layout
from benchmark.data.own.market_layout import read, read_as_test
from benchmark.data.own.register import register_own
from benchmark.data.splits import Contradictions
from benchmark.errors import DataError


@pytest.fixture
def people(tmp_path):
    return write_people(tmp_path / "shop.people")


def test_labels_come_from_the_names(people):
    dataset = read(people)
    assert dataset.key == "shop.people"
    assert dataset.identities == tuple(f"{identity:04d}" for identity in range(1, 10))
    train = dict(zip(dataset.train.files, dataset.train.labels, strict=True))
    assert train["bounding_box_train/0003_c13s1_000013_01.jpg"] == 2
    assert set(dataset.train.cameras) == {1, 2, 13}
    assert dataset.query.files == tuple(f"query/{identity}_c1.png" for identity in range(100, 104))
    assert dataset.query.labels == (100, 101, 102, 103)


def test_names_go_on_as_they_like_and_cameras_are_any_numbers(people):
    gallery = read(people).gallery
    found = dict(zip(gallery.files, zip(gallery.labels, gallery.cameras, strict=True), strict=True))
    assert found["bounding_box_test/100_c17_whatever 2.webp"] == (100, 17)
    assert found["bounding_box_test/100_c2.JPG"] == (100, 2)


def test_junk_is_left_out_and_distractors_stay(people):
    gallery = read(people).gallery
    assert 0 in gallery.labels
    assert not [file for file in gallery.files if "/-1" in file]


@pytest.mark.parametrize("name", ["anna_c1.jpg", "12.jpg", "0012_c3x/1.jpg", "12345678901_c1.jpg"])
def test_a_name_without_identity_and_camera_is_refused(people, name):
    write_tiny(people / "bounding_box_train", [name])
    with pytest.raises(Contradictions, match="the name says neither identity nor camera"):
        read(people)


def test_skip_unparsable_leaves_it_out(people):
    write_tiny(people / "query", ["anna_c1.jpg"])
    assert read(people, skip_unparsable=True).skipped == ("query/anna_c1.jpg",)


def test_files_that_are_no_pictures_are_named_and_other_formats_refused(people):
    (people / "query" / "Thumbs.db").write_bytes(b"x")
    assert read(people).notes == (f"{people}: 1 file that is no picture is left out: query/Thumbs.db",)
    (people / "query" / "0100_c3.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    with pytest.raises(Contradictions, match=r"query/0100_c3\.heic: a picture by its content"):
        read(people)


def test_a_missing_folder_is_named(people):
    shutil.rmtree(people / "query")
    with pytest.raises(DataError, match=r"missing \S*/query; expected such a folder there"):
        read(people)


@pytest.mark.parametrize(
    ("folders", "meant"),
    [(["query", "other"], False), (["bounding_box_train"], True), (["bounding_box_test"], True)],
)
def test_what_is_meant_as_such_a_dataset(tmp_path, folders, meant):
    for folder in folders:
        (tmp_path / folder).mkdir()
    assert market_layout.recognises(tmp_path) == meant


def test_queries_and_gallery_alone_for_a_model_trained_elsewhere(people):
    shutil.rmtree(people / "bounding_box_train")
    dataset = read_as_test(people)
    assert len(dataset.train) == 0
    assert (len(dataset.query), len(dataset.gallery)) == (4, 9)
    assert dataset.key == "own"


def test_what_is_wrong_with_a_folder_for_evaluation_is_said_under_its_name(people):
    shutil.rmtree(people / "bounding_box_train")
    write_tiny(people / "query", ["anna_c1.jpg"])
    with pytest.raises(Contradictions, match=r"^shop\.people at ") as caught:
        read_as_test(people)
    assert "SET=" not in str(caught.value)  # a finished model keeps its settings


def test_one_without_training_pictures_is_refused_by_what_it_lacks(people):
    register_own("shop.people", people.parent)
    shutil.rmtree(people / "bounding_box_train")
    with pytest.raises(DataError, match=r"shop\.people lacks bounding_box_train"):
        locate.load_reid("shop.people", people.parent)
