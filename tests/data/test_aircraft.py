"""FGVC-Aircraft from its text lists."""

import pytest

from benchmark.data.readers import aircraft
from benchmark.data.splits import Contradictions
from benchmark.errors import DataError


def problems(root):
    with pytest.raises(Contradictions) as caught:
        aircraft.read(root)
    return caught.value.problems


def test_trainval_is_train_and_a_label_is_the_line_in_variants(tmp_path, write_lists, aircraft_lists):
    dataset = aircraft.read(write_lists(tmp_path, aircraft_lists))
    assert dataset.classes == ("707-320", "DC-10", "F/A-18", "Cessna 172")
    assert dataset.train.files[:2] == ("data/images/1025794.jpg", "data/images/0034309.jpg")
    assert dataset.train.labels == (2, 0, 3, 1, 2)
    assert dataset.test.files == (
        "data/images/0062765.jpg",
        "data/images/1514522.jpg",
        "data/images/0747566.jpg",
    )
    assert dataset.test.labels == (3, 2, 0)


def test_a_subset_of_the_variants_gets_contiguous_labels(tmp_path, write_lists, aircraft_lists):
    for name in ("data/images_variant_trainval.txt", "data/images_variant_test.txt"):
        aircraft_lists[name] = [line for line in aircraft_lists[name] if "707" not in line]
    dataset = aircraft.read(write_lists(tmp_path, aircraft_lists))
    assert dataset.classes == ("DC-10", "F/A-18", "Cessna 172")
    assert dataset.test.labels == (2, 1)


@pytest.mark.parametrize("name", ["variants.txt", "images_variant_trainval.txt", "images_variant_test.txt"])
def test_a_missing_list_is_named(tmp_path, write_lists, aircraft_lists, name):
    del aircraft_lists[f"data/{name}"]
    with pytest.raises(DataError, match=f": missing .*{name}"):
        aircraft.read(write_lists(tmp_path, aircraft_lists))


@pytest.mark.parametrize("name", ["variants.txt", "images_variant_test.txt"])
def test_an_empty_list_is_named(tmp_path, write_lists, aircraft_lists, name):
    aircraft_lists[f"data/{name}"] = []
    with pytest.raises(DataError, match=f"{name}: the list is empty"):
        aircraft.read(write_lists(tmp_path, aircraft_lists))


def test_every_contradiction_of_the_lists_is_named(tmp_path, write_lists, aircraft_lists):
    aircraft_lists["data/variants.txt"].append("DC-10")
    aircraft_lists["data/images_variant_trainval.txt"] += ["0000001", "F/A-18 0000002"]
    aircraft_lists["data/images_variant_test.txt"].append("0000003 Cessna")
    assert problems(write_lists(tmp_path, aircraft_lists)) == (
        "variants.txt, line 5: variant 'DC-10' again, expected once",
        "images_variant_trainval.txt, line 6: found '0000001', expected '<id> <variant>'",
        "images_variant_trainval.txt, line 7: found 'F/A-18 0000002', expected '<id> <variant>'",
        "images_variant_test.txt, line 4: image 0000003 is a 'Cessna', expected one of the 4 lines of "
        "variants.txt",
    )


@pytest.mark.parametrize(
    ("name", "where"),
    [("images_variant_trainval.txt", "train and train"), ("images_variant_test.txt", "train and test")],
)
def test_an_image_listed_twice_is_named(tmp_path, write_lists, aircraft_lists, name, where):
    aircraft_lists[f"data/{name}"].append("0034309 707-320")
    assert problems(write_lists(tmp_path, aircraft_lists)) == (
        f"data/images/0034309.jpg is listed twice ({where}), expected once",
    )
