"""VeRi-776 from its lists of names; XML files that break parsers are checked against them."""

from xml.etree import ElementTree

import pytest

from benchmark.config.datasets import DATASETS
from benchmark.data import locate, reid
from benchmark.data.readers import veri
from benchmark.data.splits import Contradictions, missing_files
from benchmark.errors import DataError


@pytest.fixture
def problems(tmp_path, write_veri):
    """What is found wrong with ``veri_lists`` as they are by then."""

    def found():
        with pytest.raises(Contradictions) as caught:
            veri.read(write_veri(tmp_path))
        return caught.value.problems

    return found


def test_lists_give_order_and_names_labels_and_cameras(tmp_path, write_veri):
    dataset = veri.read(write_veri(tmp_path))
    assert dataset.key == "veri"
    assert dataset.identities == ("0001", "0003")
    assert dataset.train.files == (
        "image_train/0003_c001_00000101_0.jpg",
        "image_train/0001_c001_00016450_0.jpg",
        "image_train/0001_c020_00016460_0.jpg",
    )
    assert (dataset.train.labels, dataset.train.cameras) == ((1, 0, 0), (1, 1, 20))
    assert (dataset.query.files, dataset.query.labels, dataset.query.cameras) == (
        ("image_query/0002_c002_00030600_0.jpg",),
        (2,),
        (2,),
    )
    assert dataset.gallery.files[0] == "image_test/0002_c002_00030600_0.jpg"
    assert (dataset.gallery.labels, dataset.gallery.cameras) == ((2, 2, 5), (2, 3, 4))
    assert dataset.notes == ()


def test_pictures_that_no_list_names_are_not_in_it(tmp_path, write_veri, write_image):
    expected = veri.read(write_veri(tmp_path))
    write_image(tmp_path / "image_train" / "0009_c001_00000001_0.jpg")
    assert veri.read(tmp_path) == expected


@pytest.mark.parametrize("name", ["name_train.txt", "name_query.txt", "name_test.txt"])
def test_a_missing_or_empty_list_is_named(tmp_path, write_veri, name):
    (write_veri(tmp_path) / name).write_text("\n")
    with pytest.raises(DataError, match=f"{name}: the list is empty"):
        veri.read(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=f": missing .*{name}"):
        veri.read(tmp_path)


def test_the_label_files_of_the_tests_break_a_strict_parser(tmp_path, write_veri):
    with pytest.raises((ElementTree.ParseError, ValueError)):
        ElementTree.parse(write_veri(tmp_path) / "train_label.xml")


@pytest.mark.parametrize("name", ["train_label.xml", "test_label.xml"])
def test_an_absent_label_file_is_noted(tmp_path, write_veri, name):
    expected = veri.read(write_veri(tmp_path))
    (tmp_path / name).unlink()
    dataset = veri.read(tmp_path)
    assert dataset.notes == (f"no {name}: names not checked against it",)
    assert dataset.train == expected.train
    assert locate.locate("veri", tmp_path) == tmp_path


def test_a_label_file_without_elements_is_refused(tmp_path, write_veri):
    (write_veri(tmp_path) / "test_label.xml").write_bytes(b"\x00\x01<html>")
    with pytest.raises(Contradictions) as caught:
        veri.read(tmp_path)
    assert caught.value.problems == ("test_label.xml: found no Item element, expected one a picture",)


@pytest.mark.parametrize(
    ("file", "name", "attributes", "expected"),
    [
        (
            "train_label.xml",
            "0001_c001_00016450_0.jpg",
            'vehicleID="0002" cameraID="c001"',
            "vehicleID '0002', expected 1 as in its name",
        ),
        (
            "train_label.xml",
            "0001_c001_00016450_0.jpg",
            'vehicleID="0001" cameraID="c011"',
            "cameraID 'c011', expected 1 as in its name",
        ),
        (
            "train_label.xml",
            "0001_c001_00016450_0.jpg",
            "vehicleID='' cameraID='c001'",
            "vehicleID '', expected 1 as in its name",
        ),
        (
            "test_label.xml",
            "0005_c004_00076635_0.jpg",
            'cameraID="c005"',
            "cameraID 'c005', expected 4 as in its name",
        ),
    ],
)
def test_a_label_at_odds_with_a_listed_name_is_refused(
    tmp_path, write_veri, veri_xml, file, name, attributes, expected
):
    veri_xml(write_veri(tmp_path) / file, [], [f'<Item imageName="{name}" {attributes} />'])
    with pytest.raises(Contradictions) as caught:
        veri.read(tmp_path)
    assert caught.value.problems == (f"{file}: {name} has {expected}",)


@pytest.mark.parametrize(
    "element",
    [
        '<Item imageName="0009_c001_00000001_0.jpg" vehicleID="0001" cameraID="c001" />',
        '<Item vehicleID="0009" cameraID="c001" />',
        '<Item imageName="0001_c001_00016450_0.jpg" vehicleID="0001 cameraID="c001" />',
        '<Item imageName="0001_c001_00016450_0.jpg" vehicleID="0001" cameraID="c001"',
    ],
    ids=["not listed", "without a name", "a quote is missing", "not closed"],
)
def test_elements_that_say_nothing_of_a_listed_picture_are_passed_over(
    tmp_path, write_veri, veri_lists, veri_xml, element
):
    expected = veri.read(write_veri(tmp_path))
    veri_xml(tmp_path / "train_label.xml", veri_lists["name_train.txt"], [element])
    assert veri.read(tmp_path) == expected


def test_an_element_after_a_broken_one_is_still_checked(tmp_path, write_veri, veri_xml):
    broken = '<Item imageName="0001_c001_00016450_0.jpg" vehicleID="0001'
    wrong = '<Item imageName="0003_c001_00000101_0.jpg" vehicleID="0004" cameraID="c001" />'
    veri_xml(write_veri(tmp_path) / "train_label.xml", [], [broken, wrong])
    with pytest.raises(Contradictions, match=r"0003_c001_00000101_0\.jpg has vehicleID '0004', expected 3"):
        veri.read(tmp_path)


@pytest.mark.parametrize(
    "name", ["car.jpg", "0002_c002.jpg", "0002_c002_00030600_0", "image_test/0002_c002_00030600_0.jpg"]
)
def test_a_name_that_does_not_parse_is_refused_or_left_out_and_listed(tmp_path, veri_lists, problems, name):
    veri_lists["name_test.txt"].append(name)
    assert problems() == (
        f"'image_test/{name}': the name says neither identity nor camera, expected one like "
        f"0002_c002_00030600_0.jpg",
    )
    skipping = veri.read(tmp_path, skip_unparsable=True)
    assert skipping.skipped == (f"image_test/{name}",)
    assert len(skipping.gallery) == 3


def test_a_name_that_is_listed_twice_is_refused(veri_lists, problems):
    veri_lists["name_test.txt"].append("0005_c004_00076635_0.jpg")
    assert problems() == (
        "image_test/0005_c004_00076635_0.jpg is listed twice (gallery and gallery), expected once",
    )


def test_a_vehicle_in_train_and_gallery_is_refused(veri_lists, problems):
    veri_lists["name_train.txt"].append("0005_c001_00000001_0.jpg")
    assert problems() == (
        "identity 0005 is in train and test (image_train/0005_c001_00000001_0.jpg, "
        "image_test/0005_c004_00076635_0.jpg), expected in one of the two",
    )


@pytest.mark.parametrize("camera", ["000", "021"])
def test_a_camera_out_of_the_official_range_is_refused(veri_lists, problems, camera):
    veri_lists["name_train.txt"].append(f"0001_c{camera}_00000001_0.jpg")
    assert problems() == (
        f"image_train/0001_c{camera}_00000001_0.jpg: camera {int(camera)}, expected 1 to 20",
    )


def test_one_training_identity_is_refused(veri_lists, problems):
    del veri_lists["name_train.txt"][0]
    assert problems() == ("the train split has only identity 0001, expected 2 and more",)


def test_queries_are_refused_if_none_can_be_answered(veri_lists, problems):
    veri_lists["name_test.txt"].remove("0002_c003_00030640_1.jpg")
    (problem,) = problems()
    assert problem.startswith("none of the 1 queries can be answered")


def test_real_pictures_in_this_layout_are_read_and_reported_as_a_subset(real_veri):
    dataset = locate.load_reid("veri", real_veri)
    assert (len(dataset.identities), len(dataset.train)) == (210, 420)
    assert (len(dataset.query), len(dataset.gallery)) == (80, 160)
    assert dataset.identities[0] == "0001"
    assert set(dataset.train.labels) == set(range(210))
    assert not set(dataset.query.labels) & {int(identity) for identity in dataset.identities}
    assert (reid.unanswerable_queries(dataset), dataset.notes, dataset.skipped) == ((), (), ())
    assert missing_files(dataset.root, dataset.pictures) == ()
    assert locate.coverage(dataset, DATASETS["veri"]).text == (
        "subset: 210 of 576 identities, 420 of 37,778 train images, 80 of 1,678 queries, 160 of 11,579 gallery images"
    )
