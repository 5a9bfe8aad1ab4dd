"""MSMT17 from its lists: two versions, two numberings, and a validation list that is trained on or not."""

import pytest

from benchmark.data import locate
from benchmark.data.readers import msmt17
from benchmark.data.splits import Contradictions
from benchmark.errors import DataError


@pytest.fixture
def problems(tmp_path, write_msmt17):
    """What is found wrong with ``msmt17_lists`` as they are by then."""

    def found():
        with pytest.raises(Contradictions) as caught:
            msmt17.read(write_msmt17(tmp_path))
        return caught.value.problems

    return found


def test_train_and_validation_lists_are_one_training_set(tmp_path, write_msmt17):
    dataset = msmt17.read(write_msmt17(tmp_path))
    assert (dataset.key, dataset.version) == ("msmt17", "V1")
    assert dataset.identities == ("0000", "0001")
    assert dataset.train.files == (
        "train/0001/0001_000_14_0303morning_0022_0.jpg",
        "train/0000/0000_000_01_0303morning_0015_0.jpg",
        "train/0000/0000_002_15_0303noon_0027_1.jpg",
        "train/0001/0001_001_03_0113afternoon_0941_0.jpg",
    )
    assert (dataset.train.labels, dataset.train.cameras) == ((1, 0, 0, 1), (14, 1, 15, 3))
    assert (dataset.val, dataset.val_merged) == (1, True)
    assert (dataset.counts["train"], dataset.counts["val"]) == (3, 1)


def test_the_validation_list_may_be_left_out(tmp_path, write_msmt17):
    dataset = msmt17.read(write_msmt17(tmp_path), merge_val=False)
    assert len(dataset.train) == 3
    assert (dataset.val, dataset.val_merged) == (1, False)
    assert (dataset.counts["train"], dataset.counts["val"]) == (3, 1)


def test_the_validation_list_is_needed_only_where_it_is_trained_on(tmp_path, write_msmt17):
    (write_msmt17(tmp_path) / "list_val.txt").unlink()
    with pytest.raises(DataError, match=r'missing .*list_val\.txt.*SET="data\.merge_val=false"'):
        msmt17.read(tmp_path)
    dataset = msmt17.read(tmp_path, merge_val=False)
    assert (len(dataset.train), dataset.val) == (3, 0)


def test_train_and_test_are_numbered_apart(tmp_path, write_msmt17):
    dataset = msmt17.read(write_msmt17(tmp_path))
    assert (dataset.query.files, dataset.query.labels) == (
        ("test/0000/0000_000_05_0303morning_0125_1.jpg",),
        (0,),
    )
    assert (dataset.gallery.labels, dataset.gallery.cameras) == ((1, 0), (7, 6))


def test_the_folders_tell_the_version(tmp_path, write_msmt17):
    dataset = msmt17.read(write_msmt17(tmp_path, "mask_train_v2", "mask_test_v2"))
    assert dataset.version == "V2"
    assert dataset.train.files[0] == "mask_train_v2/0001/0001_000_14_0303morning_0022_0.jpg"
    assert dataset.query.files[0] == "mask_test_v2/0000/0000_000_05_0303morning_0125_1.jpg"


@pytest.mark.parametrize(
    ("folders", "found"),
    [
        ((), "no folder of pictures"),
        (("train",), "train"),
        (("test", "mask_test_v2"), "test and mask_test_v2"),
        (("train", "mask_test_v2"), "train and mask_test_v2"),
        (
            ("train", "test", "mask_train_v2", "mask_test_v2"),
            "train and test and mask_train_v2 and mask_test_v2",
        ),
    ],
)
def test_folders_of_no_version_or_of_both_are_refused(tmp_path, write_lists, msmt17_lists, folders, found):
    write_lists(tmp_path, msmt17_lists)
    for folder in folders:
        (tmp_path / folder).mkdir()
    with pytest.raises(DataError) as caught:
        msmt17.read(tmp_path)
    assert f": found {found}, expected train and test (V1), or mask_train_v2 and mask_test_v2 (V2)." in str(
        caught.value
    )


def test_the_two_versions_have_two_fingerprints_though_their_lists_are_the_same(tmp_path, write_msmt17):
    one = write_msmt17(tmp_path / "one")
    other = write_msmt17(tmp_path / "other", "mask_train_v2", "mask_test_v2")
    assert locate.fingerprint(one, "msmt17") != locate.fingerprint(other, "msmt17")


@pytest.mark.parametrize("name", ["list_train.txt", "list_val.txt", "list_query.txt", "list_gallery.txt"])
def test_the_fingerprint_follows_every_list(tmp_path, write_msmt17, name):
    before = locate.fingerprint(write_msmt17(tmp_path), "msmt17")
    with (tmp_path / name).open("a") as file:
        file.write("\n")
    after = locate.fingerprint(tmp_path, "msmt17")
    assert after != before
    (tmp_path / name).unlink()
    if name == "list_val.txt":
        assert locate.fingerprint(tmp_path, "msmt17") not in (before, after)
    else:
        with pytest.raises(DataError, match=f"missing .*{name}"):
            locate.fingerprint(tmp_path, "msmt17")


@pytest.mark.parametrize("name", ["list_train.txt", "list_query.txt", "list_gallery.txt"])
def test_a_missing_or_empty_list_is_named(tmp_path, write_msmt17, name):
    (write_msmt17(tmp_path) / name).write_text("\n")
    with pytest.raises(DataError, match=f"{name}: the list is empty"):
        msmt17.read(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=f": missing .*{name}"):
        msmt17.read(tmp_path)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "0000/0000_000_01_0303morning_0015_0.jpg",
            "found '0000/0000_000_01_0303morning_0015_0.jpg', expected '<path> <identity>'",
        ),
        (
            "0000/0000_000_01_0303morning_0015_0.jpg zero",
            "found '0000/0000_000_01_0303morning_0015_0.jpg zero', expected '<path> <identity>'",
        ),
        (
            "0000/0000_000_01_0303morning_0015_0.jpg 1",
            "0000/0000_000_01_0303morning_0015_0.jpg has identity 1, expected 0000 as in its name",
        ),
    ],
)
def test_a_bad_line_is_named_by_file_and_number(
    tmp_path, write_msmt17, write_lists, msmt17_lists, line, expected
):
    write_msmt17(tmp_path)
    msmt17_lists["list_train.txt"][1] = line
    write_lists(tmp_path, msmt17_lists)
    with pytest.raises(Contradictions) as caught:
        msmt17.read(tmp_path)
    assert caught.value.problems == (f"list_train.txt, line 2: {expected}",)


@pytest.mark.parametrize(
    "name",
    ["0000/0001_000_01_0303morning_0015_0.jpg", "0000_000_01_0303morning_0015_0.jpg", "0000/0000_01.jpg"],
)
def test_a_name_that_does_not_parse_is_refused_or_left_out_and_listed(tmp_path, msmt17_lists, problems, name):
    msmt17_lists["list_val.txt"].append(f"{name} 0")
    assert problems() == (
        f"'train/{name}': the name says neither identity nor camera, expected one like "
        f"0000/0000_000_01_0303morning_0015_0.jpg",
    )
    skipping = msmt17.read(tmp_path, skip_unparsable=True)
    assert skipping.skipped == (f"train/{name}",)
    assert (len(skipping.train), skipping.val, skipping.counts["train"]) == (4, 1, 3)


@pytest.mark.parametrize("camera", ["00", "16"])
def test_a_camera_out_of_the_official_range_is_refused(msmt17_lists, problems, camera):
    msmt17_lists["list_gallery.txt"].append(f"0001/0001_009_{camera}_0302noon_2110_0.jpg 1")
    assert problems() == (
        f"test/0001/0001_009_{camera}_0302noon_2110_0.jpg: camera {int(camera)}, expected 1 to 15",
    )


def test_a_file_that_is_listed_twice_is_named(msmt17_lists, problems):
    msmt17_lists["list_val.txt"].append(msmt17_lists["list_train.txt"][0])
    msmt17_lists["list_gallery.txt"].append(msmt17_lists["list_query.txt"][0])
    assert problems() == (
        "train/0001/0001_000_14_0303morning_0022_0.jpg is listed twice (train and train), expected once",
        "test/0000/0000_000_05_0303morning_0125_1.jpg is listed twice (query and gallery), expected once",
    )


def test_one_training_identity_is_refused(msmt17_lists, problems):
    del msmt17_lists["list_train.txt"][0]
    msmt17_lists["list_val.txt"] = ["0000/0000_003_02_0303noon_0027_1.jpg 0"]
    assert problems() == ("the train split has only identity 0000, expected 2 and more",)


def test_queries_are_refused_if_none_can_be_answered(msmt17_lists, problems):
    del msmt17_lists["list_gallery.txt"][1]
    (problem,) = problems()
    assert problem.startswith("none of the 1 queries can be answered")
