"""Market-1501 from its file names: junk dropped, distractors kept, droppings ignored, every contradiction named."""

import pytest

from benchmark.data import reid
from benchmark.data.readers import market
from benchmark.data.splits import Contradictions
from benchmark.errors import DataError

TRAIN, QUERY, GALLERY = "bounding_box_train", "query", "bounding_box_test"


@pytest.fixture
def problems(tmp_path, market_names, write_pictures):
    """What is found wrong with ``market_names`` as they are by then."""

    def found():
        with pytest.raises(Contradictions) as caught:
            market.read(write_pictures(tmp_path, market_names))
        return caught.value.problems

    return found


def test_names_in_any_order_give_labels_cameras_and_official_identities(
    tmp_path, market_names, write_pictures
):
    dataset = market.read(write_pictures(tmp_path, market_names))
    assert (dataset.key, dataset.root, dataset.version) == ("market", tmp_path, "")
    assert dataset.identities == ("0002", "0007", "0010")
    assert dataset.train.files == (
        "bounding_box_train/0002_c1s1_000451_03.jpg",
        "bounding_box_train/0002_c2s1_000301_01.jpg",
        "bounding_box_train/0007_c3s3_077419_03.jpg",
        "bounding_box_train/0010_c6s3_077467_02.jpg",
    )
    assert dataset.train.labels == (0, 0, 1, 2)
    assert dataset.train.cameras == (1, 2, 3, 6)
    assert dataset.query.files[0] == "query/0001_c1s1_001051_00.jpg"
    assert (dataset.query.labels, dataset.query.cameras) == ((1, 1, 3), (1, 2, 4))


def test_junk_leaves_the_gallery_and_distractors_stay(tmp_path, market_names, write_pictures):
    dataset = market.read(write_pictures(tmp_path, market_names))
    assert dataset.gallery.files == (
        "bounding_box_test/0000_c1s1_000151_01.jpg",
        "bounding_box_test/0000_c6s4_002427_04.jpg",
        "bounding_box_test/0001_c1s1_001051_03.jpg",
        "bounding_box_test/0001_c2s1_000326_01.jpg",
        "bounding_box_test/0003_c1s6_015996_01.jpg",
    )
    assert (dataset.gallery.labels, dataset.gallery.cameras) == ((0, 0, 1, 1, 3), (1, 6, 1, 2, 1))
    assert dataset.skipped == ()
    assert dataset.counts == {
        "train_ids": 3,
        "train": 4,
        "query": 3,
        "query_ids": 2,
        "gallery": 5,
        "gallery_ids": 3,
        "cameras": 5,
    }


def test_the_order_in_which_a_folder_lists_its_files_changes_nothing(
    tmp_path, market_names, write_pictures, monkeypatch
):
    expected = market.read(write_pictures(tmp_path, market_names))
    scandir = reid.os.scandir

    class Backwards:
        def __init__(self, folder):
            self.entries = scandir(folder)

        def __enter__(self):
            return sorted(self.entries, key=lambda entry: entry.name, reverse=True)

        def __exit__(self, *_):
            self.entries.close()

    monkeypatch.setattr(reid.os, "scandir", Backwards)
    assert market.read(tmp_path) == expected


def test_what_is_no_picture_is_ignored(tmp_path, market_names, write_pictures):
    expected = market.read(write_pictures(tmp_path, market_names))
    for name in ("Thumbs.db", ".DS_Store", "._0002_c1s1_000451_03.jpg", "0002_c1s1_000451_03.jpg.mat"):
        (tmp_path / TRAIN / name).write_bytes(b"no picture")
    assert market.read(tmp_path) == expected


def test_a_picture_in_another_format_is_read(tmp_path, market_names, write_pictures):
    market_names[TRAIN].append("0002_c4s1_000501_01.PNG")
    assert "bounding_box_train/0002_c4s1_000501_01.PNG" in (
        market.read(write_pictures(tmp_path, market_names)).train.files
    )


@pytest.mark.parametrize(
    "name",
    [
        "person.jpg",
        "0002.jpg",
        "0002_c1.jpg",
        "-2_c1s1_000451_03.jpg",
        "0002_c1s1_000451_03 (copy).JPG",
        "x0002_c1s1_000451_03.jpg",
        "0002_c2_f0046182.jpg",
    ],
)
def test_a_picture_whose_name_does_not_parse_is_refused_or_left_out_and_listed(
    tmp_path, market_names, write_pictures, problems, name
):
    expected = market.read(write_pictures(tmp_path, market_names))
    market_names[GALLERY].append(name)
    assert problems() == (
        f"'bounding_box_test/{name}': the name says neither identity nor camera, expected one like "
        f"0002_c1s1_000451_03.jpg",
    )
    skipping = market.read(tmp_path, skip_unparsable=True)
    assert skipping.skipped == (f"bounding_box_test/{name}",)
    assert (skipping.train, skipping.query, skipping.gallery) == (
        expected.train,
        expected.query,
        expected.gallery,
    )


def test_ten_names_that_do_not_parse_are_printed_and_all_counted(tmp_path, market_names, write_pictures):
    market_names[QUERY] += [f"person{index:02}.jpg" for index in range(12)]
    with pytest.raises(DataError) as caught:
        market.read(write_pictures(tmp_path, market_names))
    lines = str(caught.value).splitlines()
    assert lines[0] == f"Market-1501 at {tmp_path}: 12 contradictions"
    assert lines[10].startswith("  'query/person09.jpg': ")
    assert lines[11] == "  … and 2 more"
    assert lines[12].endswith(
        ' Names that do not parse: 12; SET="data.skip_unparsable=true" leaves them out.'
    )


def test_an_identity_in_train_and_test_is_refused_but_0_is_no_identity(market_names, problems):
    market_names[TRAIN] += ["0003_c1s1_000001_01.jpg", "0001_c1s1_000001_01.jpg"]
    assert problems() == (
        "identity 0001 is in train and test (bounding_box_train/0001_c1s1_000001_01.jpg, "
        "query/0001_c1s1_001051_00.jpg), expected in one of the two",
        "identity 0003 is in train and test (bounding_box_train/0003_c1s1_000001_01.jpg, "
        "query/0003_c4s6_015641_00.jpg), expected in one of the two",
    )


@pytest.mark.parametrize("folder", [TRAIN, QUERY])
@pytest.mark.parametrize(("identity", "what"), [("-1", "junk"), ("0000", "a distractor")])
def test_junk_and_distractors_outside_the_gallery_are_refused(market_names, problems, folder, identity, what):
    market_names[folder].append(f"{identity}_c2s1_000001_01.jpg")
    assert problems() == (
        f"{folder}/{identity}_c2s1_000001_01.jpg: identity {identity} is {what}, expected in bounding_box_test only",
    )


@pytest.mark.parametrize("camera", [0, 7])
def test_a_camera_out_of_the_official_range_is_refused(market_names, problems, camera):
    market_names[GALLERY].append(f"0003_c{camera}s1_000001_01.jpg")
    assert problems() == (
        f"bounding_box_test/0003_c{camera}s1_000001_01.jpg: camera {camera}, expected 1 to 6",
    )


@pytest.mark.parametrize(("folder", "split"), [(TRAIN, "train"), (QUERY, "query"), (GALLERY, "gallery")])
def test_an_empty_split_is_refused(market_names, problems, folder, split):
    market_names[folder] = []
    assert problems() == (f"the {split} split has no pictures",)


def test_a_gallery_of_junk_alone_is_empty(market_names, problems):
    market_names[GALLERY] = market_names[GALLERY][:1]
    assert problems() == ("the gallery split has no pictures",)


def test_one_training_identity_is_refused(market_names, problems):
    market_names[TRAIN] = market_names[TRAIN][1:3]
    assert problems() == ("the train split has only identity 0002, expected 2 and more",)


def test_queries_are_refused_if_none_can_be_answered(tmp_path, market_names, write_pictures, problems):
    same_camera = ["0000_c6s4_002427_04.jpg", "0001_c1s1_001051_03.jpg", "0003_c4s6_015996_01.jpg"]
    market_names[GALLERY], market_names[QUERY] = same_camera, market_names[QUERY][:2]
    (problem,) = problems()
    assert problem.startswith("none of the 2 queries can be answered")


def test_some_queries_may_be_without_an_answer(tmp_path, market_names, write_pictures):
    market_names[GALLERY].remove("0001_c2s1_000326_01.jpg")
    dataset = market.read(write_pictures(tmp_path, market_names))
    assert reid.unanswerable_queries(dataset) == ("query/0001_c1s1_001051_00.jpg",)


def test_everything_wrong_is_said_at_once(market_names, problems):
    market_names[TRAIN] += ["person.jpg", "0001_c9s1_000001_01.jpg"]
    market_names[GALLERY] = []
    assert [problem.split(":")[0].split(" is ")[0] for problem in problems()] == [
        "'bounding_box_train/person.jpg'",
        "the gallery split has no pictures",
        "bounding_box_train/0001_c9s1_000001_01.jpg",
        "identity 0001",
    ]


@pytest.mark.parametrize("folder", [TRAIN, QUERY, GALLERY])
def test_a_missing_folder_is_named(tmp_path, market_names, write_pictures, folder):
    del market_names[folder]
    with pytest.raises(DataError, match=f"Market-1501: missing {tmp_path}/{folder}; expected"):
        market.read(write_pictures(tmp_path, market_names))
