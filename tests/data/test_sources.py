"""Finding, cutting and fingerprinting datasets."""

import hashlib
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.config.datasets import DATASETS
from benchmark.data import locate
from benchmark.data.splits import Contradictions, missing_files
from benchmark.errors import DataError, SettingsError

CHECKOUT = Path(__file__).resolve().parents[2]
REID = tuple(key for key, row in DATASETS.items() if row.task == "reid")


def test_a_dataset_is_located_below_the_data_folder(tmp_path, write_cub):
    root = write_cub(tmp_path / "CUB_200_2011")
    assert locate.locate("cub", tmp_path) == root


def test_the_data_folder_may_be_the_dataset_itself(tmp_path, write_cub):
    root = write_cub(tmp_path / "birds")
    assert locate.locate("cub", root) == root
    assert locate.load_fgvc("cub", root).root == root


def test_a_whole_folder_is_preferred_to_an_empty_one_of_an_earlier_name(tmp_path, write_cars):
    (tmp_path / "stanford_cars").mkdir()
    root = write_cars(tmp_path / "cars")
    assert locate.locate("cars", tmp_path) == root


def test_a_folder_that_lacks_lists_is_located_and_reading_names_them(tmp_path):
    (tmp_path / "CUB_200_2011").mkdir()
    assert locate.locate("cub", tmp_path) == tmp_path / "CUB_200_2011"
    with pytest.raises(DataError, match=r": missing .*classes\.txt"):
        locate.load_fgvc("cub", tmp_path)


@pytest.mark.parametrize("key", DATASETS)
def test_locating_what_is_absent_gives_none(tmp_path, key):
    assert locate.locate(key, None) is None
    assert locate.locate(key, tmp_path) is None
    assert locate.locate(key, tmp_path / "nowhere") is None


def test_loading_what_is_absent_names_every_place(tmp_path):
    with pytest.raises(DataError) as caught:
        locate.load_fgvc("aircraft", tmp_path)
    for name in DATASETS["aircraft"].folders:
        assert str(tmp_path / name) in str(caught.value)
    with pytest.raises(DataError, match="no data folder is set"):
        locate.load_fgvc("aircraft", None)


def test_unknown_keys_are_settings_errors(tmp_path):
    with pytest.raises(SettingsError, match="unknown dataset 'birds': expected one of cub, cars"):
        locate.load_fgvc("birds", tmp_path)


def test_a_dataset_of_the_other_task_is_a_settings_error(tmp_path, write_cub):
    write_cub(tmp_path / "CUB_200_2011")
    with pytest.raises(
        SettingsError, match="cub is a dataset of task fgvc, expected one of reid: veri, msmt17"
    ):
        locate.load_reid("cub", tmp_path)
    with pytest.raises(
        SettingsError, match="duke is a dataset of task reid, expected one of fgvc: cub, cars"
    ):
        locate.load_fgvc("duke", tmp_path)


@pytest.fixture
def write_reid(write_pictures, market_names, duke_names, write_msmt17, write_veri):
    """Writes any of the four re-identification datasets."""

    def write(key, root):
        if key in ("market", "duke"):
            return write_pictures(root, {"market": market_names, "duke": duke_names}[key])
        return {"msmt17": write_msmt17, "veri": write_veri}[key](root)

    return write


@pytest.mark.parametrize("key", REID)
def test_re_identification_datasets_are_found_by_name_and_as_the_data_folder(tmp_path, write_reid, key):
    root = write_reid(key, tmp_path / DATASETS[key].folders[-1])
    assert locate.locate(key, tmp_path) == root
    assert locate.locate(key, root) == root
    assert (locate.load_reid(key, tmp_path).key, locate.load_reid(key, root).root) == (key, root)


def test_the_data_folder_is_not_taken_for_the_dataset_that_has_the_same_folders(tmp_path, write_reid):
    market = write_reid("market", tmp_path / "one")
    duke = write_reid("duke", tmp_path / "other")
    assert locate.locate("duke", market) is None
    assert locate.locate("market", duke) is None


def test_a_folder_of_names_that_do_not_parse_is_located_and_reading_names_them(tmp_path, write_reid):
    root = write_reid("duke", tmp_path / "Market-1501-v15.09.15")
    assert locate.locate("market", tmp_path) == root
    with pytest.raises(Contradictions, match=r"query/0005_c2_f0046985\.jpg"):
        locate.load_reid("market", tmp_path)


def test_of_two_versions_the_first_name_decides(tmp_path, write_msmt17):
    write_msmt17(tmp_path / "MSMT17_V2", "mask_train_v2", "mask_test_v2")
    assert locate.load_reid("msmt17", tmp_path).version == "V2"
    write_msmt17(tmp_path / "MSMT17_V1")
    assert locate.load_reid("msmt17", tmp_path).version == "V1"


def test_the_options_of_reading_are_passed_on(tmp_path, write_msmt17, msmt17_lists):
    msmt17_lists["list_train.txt"].append("0001/nobody.jpg 1")
    write_msmt17(tmp_path)
    dataset = locate.load_reid("msmt17", tmp_path, merge_val=False, skip_unparsable=True)
    assert (len(dataset.train), dataset.skipped) == (3, ("train/0001/nobody.jpg",))


@pytest.mark.parametrize("key", REID)
def test_loading_an_absent_re_identification_dataset_names_every_place(tmp_path, key):
    with pytest.raises(DataError) as caught:
        locate.load_reid(key, tmp_path)
    for name in DATASETS[key].folders:
        assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("limit", [-1, 1])
def test_impossible_class_limits_are_settings_errors(tmp_path, limit):
    with pytest.raises(SettingsError, match=f"class limit is {limit}"):
        locate.load_fgvc("cub", tmp_path, limit)


def test_the_first_classes_in_official_order_are_kept(tmp_path, write_cub):
    write_cub(tmp_path / "CUB_200_2011")
    whole, cut = locate.load_fgvc("cub", tmp_path), locate.load_fgvc("cub", tmp_path, 2)
    assert cut.classes == whole.classes[:2]
    assert (cut.train.files, cut.train.labels) == (whole.train.files[:2], (0, 1))
    assert (cut.test.files, cut.test.labels) == (whole.test.files[:2], (0, 1))
    assert locate.load_fgvc("cub", tmp_path, 3) == whole


def test_a_limit_beyond_the_classes_says_how_many_there_are(tmp_path, write_cub):
    write_cub(tmp_path / "CUB_200_2011")
    with pytest.raises(DataError, match="has 3 classes, 4 were asked for"):
        locate.load_fgvc("cub", tmp_path, 4)


def test_a_limit_that_leaves_no_test_images_is_refused(tmp_path, write_cars):
    write_cars(tmp_path, train=[("1.jpg", 1), ("2.jpg", 2), ("3.jpg", 3)], test=[("1.jpg", 3)])
    with pytest.raises(DataError, match="the first 2 classes have no test images"):
        locate.load_fgvc("cars", tmp_path, 2)


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
        fingerprints.add(locate.fingerprint(root, "cub"))
    assert len(fingerprints) == len(variants)


def test_the_fingerprint_is_the_digest_of_names_lengths_and_bytes(tmp_path, write_cub):
    root = write_cub(tmp_path)
    expected = hashlib.sha256()
    for name in ("classes.txt", "images.txt", "image_class_labels.txt", "train_test_split.txt"):
        content = (root / name).read_bytes()
        expected.update(name.encode() + b"\0" + str(len(content)).encode() + b"\0" + content)
    assert locate.fingerprint(root, "cub") == expected.hexdigest()


@pytest.mark.parametrize("folder", ["bounding_box_train", "query", "bounding_box_test"])
def test_the_fingerprint_of_labels_in_names_follows_every_name(
    tmp_path, write_pictures, market_names, folder
):
    root = write_pictures(tmp_path, market_names)
    fingerprints = {locate.fingerprint(root, "market")}
    picture = root / folder / market_names[folder][1]
    renamed = picture.with_name(picture.name.replace("_c1", "_c2").replace("_c6", "_c5"))
    picture.rename(renamed)
    fingerprints.add(locate.fingerprint(root, "market"))
    renamed.unlink()
    fingerprints.add(locate.fingerprint(root, "market"))
    assert len(fingerprints) == 3


def test_the_fingerprint_of_labels_in_names_tells_folders_apart_and_ignores_the_rest(
    tmp_path, write_pictures, market_names
):
    root = write_pictures(tmp_path, market_names)
    before = locate.fingerprint(root, "market")
    (root / "query" / "Thumbs.db").write_bytes(b"x")
    (root / "query" / "._0003_c4s6_015641_00.jpg").write_bytes(b"x")
    (root / "query" / "0003_c4s6_015641_00.jpg").write_bytes(b"another picture")
    assert locate.fingerprint(root, "market") == before
    (root / "query" / "0003_c4s6_015641_00.jpg").rename(
        root / "bounding_box_test" / "0003_c4s6_015641_00.jpg"
    )
    assert locate.fingerprint(root, "market") != before


@pytest.mark.parametrize("key", ["market", "duke"])
def test_the_fingerprint_of_missing_folders_is_refused(tmp_path, key):
    with pytest.raises(DataError, match=r": missing .*bounding_box_train, .*query, .*bounding_box_test"):
        locate.fingerprint(tmp_path, key)


def test_the_fingerprint_ignores_the_place_the_pictures_and_other_files(tmp_path, write_cub, cub_lists):
    one, other = write_cub(tmp_path / "one"), write_cub(tmp_path / "other")
    (other / "images" / cub_lists["images.txt"][0].split(" ")[1]).unlink()
    (other / "bounding_boxes.txt").write_text("1 0 0 1 1\n")
    assert locate.fingerprint(one, "cub") == locate.fingerprint(other, "cub")
    assert len(locate.fingerprint(one, "cub")) == 64


def test_the_fingerprint_tells_where_one_list_ends_and_the_next_begins(tmp_path, write_cub):
    root = write_cub(tmp_path)
    (root / "classes.txt").write_bytes(b"1 aimages.txt\x001 b")
    (root / "images.txt").write_bytes(b"1 c")
    before = locate.fingerprint(root, "cub")
    (root / "classes.txt").write_bytes(b"1 a")
    (root / "images.txt").write_bytes(b"1 bimages.txt\x001 c")
    assert locate.fingerprint(root, "cub") != before


def test_the_fingerprint_of_incomplete_lists_is_refused(tmp_path, write_cub):
    root = write_cub(tmp_path)
    (root / "images.txt").unlink()
    with pytest.raises(DataError, match=r": missing .*images\.txt"):
        locate.fingerprint(root, "cub")


def test_missing_files_are_named_in_list_order_up_to_the_limit(tmp_path, write_cub):
    dataset = locate.load_fgvc("cub", write_cub(tmp_path))
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


def test_finding_and_fingerprinting_load_no_heavy_library(tmp_path, write_cars, write_reid):
    keys = ("cars", *REID)
    roots = [
        write_cars(tmp_path / "cars"),
        *(write_reid(key, tmp_path / DATASETS[key].folders[0]) for key in REID),
    ]
    code = (
        "import sys; from pathlib import Path; from benchmark.data import locate\n"
        f"for key in {keys!r}: print(locate.fingerprint(locate.locate(key, Path({str(tmp_path)!r})), key))\n"
        "print(sorted({'numpy', 'scipy', 'cv2', 'torch'} & set(sys.modules)))"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    expected = [locate.fingerprint(root, key) for root, key in zip(roots, keys, strict=True)]
    assert output.stdout.splitlines() == [*expected, "[]"]
