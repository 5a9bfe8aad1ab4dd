"""DukeMTMC-reID from its file names, and why no copy is fetched."""

import pytest

from benchmark.config.datasets import DATASETS
from benchmark.data import locate
from benchmark.data.readers import duke
from benchmark.data.splits import Contradictions


def test_names_give_labels_and_cameras(tmp_path, duke_names, write_pictures):
    dataset = duke.read(write_pictures(tmp_path, duke_names))
    assert dataset.key == "duke"
    assert dataset.identities == ("0001", "0009")
    assert dataset.train.files == tuple(
        f"bounding_box_train/{name}" for name in duke_names["bounding_box_train"]
    )
    assert (dataset.train.labels, dataset.train.cameras) == ((0, 0, 1), (2, 8, 2))
    assert (dataset.query.labels, dataset.query.cameras) == ((5,), (2,))
    assert (dataset.gallery.labels, dataset.gallery.cameras) == ((5, 7139), (5, 2))


@pytest.mark.parametrize("name", ["-1_c2_f0046182.jpg", "0002_c1s1_000451_03.jpg", "0001_c2_0046182.jpg"])
def test_names_of_other_kinds_do_not_parse(tmp_path, duke_names, write_pictures, name):
    duke_names["bounding_box_test"].append(name)
    with pytest.raises(Contradictions) as caught:
        duke.read(write_pictures(tmp_path, duke_names))
    assert caught.value.problems == (
        f"'bounding_box_test/{name}': the name says neither identity nor camera, expected one like "
        f"0001_c2_f0046182.jpg",
    )
    assert duke.read(tmp_path, skip_unparsable=True).skipped == (f"bounding_box_test/{name}",)


@pytest.mark.parametrize("camera", [0, 9])
def test_a_camera_out_of_the_official_range_is_refused(tmp_path, duke_names, write_pictures, camera):
    duke_names["bounding_box_train"].append(f"0001_c{camera}_f0046182.jpg")
    with pytest.raises(Contradictions) as caught:
        duke.read(write_pictures(tmp_path, duke_names))
    assert caught.value.problems == (
        f"bounding_box_train/0001_c{camera}_f0046182.jpg: camera {camera}, expected 1 to 8",
    )


def test_an_absent_copy_is_not_offered_for_download(tmp_path):
    text = locate.missing_text(DATASETS["duke"], tmp_path)
    assert "withdrew it in 2019 over the privacy of the people" in text
    assert "never fetches one" in text
    assert str(tmp_path / "DukeMTMC-reID") in text
    assert "official archive" not in text
