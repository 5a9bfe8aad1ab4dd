"""A dataset one folder down is used as if it were in its place, which is said; several are refused by name."""

import logging
import re
import shutil

import pytest
from own_folders import write_people, write_tiny

from benchmark.config.datasets import DATASETS
from benchmark.config.places import Places
from benchmark.data import locate
from benchmark.data.check import check
from benchmark.data.own.register import register_own
from benchmark.errors import DataError
from benchmark.records.status import data_fingerprint

NESTS = {  # archives unpacked into a folder of their own name, and the folders of other suites
    "cub": ["CUB_200_2011/CUB_200_2011"],
    "cars": ["stanford_cars/stanford_cars", "cars/stanford-cars"],
    "aircraft": ["fgvc-aircraft-2013b/fgvc-aircraft-2013b", "FGVC-Aircraft/archive"],
    "veri": ["VeRi/VeRi_776", "veri/VeRi"],
    "msmt17": ["MSMT17_V2/MSMT17_V2", "msmt17/MSMT17_V1"],
    "market": ["market1501/Market-1501-v15.09.15", "Market-1501-v15.09.15/Market-1501-v15.09.15"],
    "duke": ["DukeMTMC-reID/DukeMTMC-reID", "dukemtmc-reid/DukeMTMC-reID"],
}
CASES = [(key, nest) for key, nests in NESTS.items() for nest in nests]
CLASSES = [f"{split}/{name}/1.png" for split in ("train", "test") for name in "ab"]


pytestmark = pytest.mark.usefixtures("matlab_in_this_process")


@pytest.fixture
def write(request):
    """Writes any dataset of the paper, of FGVC-Aircraft the lists alone."""

    def write(key, root):
        writer = {"aircraft": "write_lists", "market": "write_pictures", "duke": "write_pictures"}.get(
            key, f"write_{key}"
        )
        content = {"aircraft": "aircraft_lists", "market": "market_names", "duke": "duke_names"}.get(key)
        given = [request.getfixturevalue(content)] if content else []
        return request.getfixturevalue(writer)(root, *given)

    return write


def load(key, data):
    return (locate.load_fgvc if DATASETS[key].task == "fgvc" else locate.load_reid)(key, data)


@pytest.mark.parametrize(("key", "nest"), CASES, ids=str)
def test_it_is_found_with_the_fingerprint_of_the_same_data_in_their_place(key, nest, tmp_path, write, caplog):
    plain = write(key, tmp_path / "plain" / DATASETS[key].folders[0])
    root = shutil.copytree(plain, tmp_path / "data" / nest)
    (root.parent / "attributes.txt").write_text("beside it, as in CUB's archive\n")
    with caplog.at_level(logging.INFO, logger="benchmark"):
        dataset = load(key, tmp_path / "data")
    assert dataset.root == root
    assert caplog.messages == [
        f"{DATASETS[key].title}: found one folder down, in {root}: that folder is used"
    ]
    before = load(key, plain.parent)
    assert (dataset.pictures, dataset.classes) == (before.pictures, before.classes)
    assert locate.fingerprint(root, key) == locate.fingerprint(plain, key)
    report = check(key, tmp_path / "data", decode=False)
    assert f"found one folder down, in {root}: that folder is used" in report.warnings
    assert not report.contradictions


@pytest.mark.parametrize("key", NESTS)
def test_two_candidates_are_refused_with_both_names(key, tmp_path, write):
    one, other = (write(key, tmp_path / DATASETS[key].folders[0] / name) for name in ("a", "b"))
    words = f"{DATASETS[key].title}: found in {one} and in {other}, expected one of them"
    with pytest.raises(DataError, match=re.escape(words)):
        load(key, tmp_path)
    assert words in check(key, tmp_path, decode=False).contradictions[0]
    places = Places(tmp_path / "runs", tmp_path, None, generated=False)
    assert data_fingerprint(key, places)[1].startswith(words)


def test_a_link_beside_its_target_is_one_candidate(tmp_path, write):
    root = write("cub", tmp_path / "CUB_200_2011" / "CUB_200_2011")
    (root.parent / "latest").symlink_to(root)
    assert locate.locate("cub", tmp_path) == root


def test_what_is_in_its_place_comes_first(tmp_path, write):
    write("cub", tmp_path / "CUB_200_2011" / "copy")
    root = write("cub", tmp_path / "CUB_200_2011")
    assert locate.locate("cub", tmp_path) == root
    assert locate.nested_note("cub", tmp_path, root) == ""


def test_an_incomplete_nest_is_read_so_that_what_it_lacks_is_named_there(tmp_path, write):
    root = write("cub", tmp_path / "CUB_200_2011" / "CUB_200_2011")
    (root / "classes.txt").unlink()
    with pytest.raises(DataError, match=re.escape(f"missing {root}/classes.txt")):
        locate.load_fgvc("cub", tmp_path)


def test_the_other_dataset_of_the_same_folders_is_not_taken(tmp_path, write):
    write("duke", tmp_path / "market1501" / "DukeMTMC-reID")
    assert locate.locate("market", tmp_path) == tmp_path / "market1501"


@pytest.mark.parametrize("place", ["car_devkit/devkit", "devkit/devkit", "car_devkit"])
def test_the_cars_annotations_one_folder_down_are_the_same_data(place, tmp_path, write_cars):
    plain = write_cars(tmp_path / "plain" / "stanford_cars")
    root = shutil.copytree(plain, tmp_path / "data" / "stanford_cars")
    shutil.move(root / "devkit", tmp_path / "annotations")
    (root / place).parent.mkdir(exist_ok=True)
    shutil.move(tmp_path / "annotations", root / place)
    assert locate.load_fgvc("cars", tmp_path / "data").train == locate.load_fgvc("cars", plain.parent).train
    assert locate.fingerprint(root, "cars") == locate.fingerprint(plain, "cars")


def test_two_folders_of_the_cars_annotations_are_refused(tmp_path, write_cars):
    root = write_cars(tmp_path / "stanford_cars")
    for place in ("car_devkit/devkit", "devkit/devkit"):
        shutil.copytree(root / "devkit", tmp_path / place)
    shutil.rmtree(root / "devkit")
    shutil.move(tmp_path / "devkit", root)
    shutil.move(tmp_path / "car_devkit", root)
    with pytest.raises(
        DataError, match=re.escape(f"in {root}/car_devkit/devkit and in {root}/devkit/devkit")
    ):
        locate.load_fgvc("cars", tmp_path)


# ---------------------------------------------------------------- a user's own


@pytest.mark.parametrize("inner", ["my_birds", "archive", "cub"])
def test_class_folders_one_down(inner, tmp_path, caplog):
    plain = write_tiny(tmp_path / "plain" / "my_birds", CLASSES)
    root = write_tiny(tmp_path / "data" / "my_birds" / inner, CLASSES)
    (root.parent / ".DS_Store").touch()
    for data in (tmp_path / "data", tmp_path / "data" / "my_birds"):
        assert register_own("my_birds", data).task == "fgvc"
        with caplog.at_level(logging.INFO, logger="benchmark"):
            dataset = locate.load_fgvc("my_birds", data)
        assert (dataset.root, dataset.key, dataset.classes) == (root, "my_birds", ("a", "b"))
        assert caplog.messages.pop() == f"my_birds: found one folder down, in {root}: that folder is used"
        caplog.clear()
    assert locate.fingerprint(root, "my_birds") == locate.fingerprint(plain, "my_birds")


@pytest.mark.parametrize("inner", ["people", "Market-1501-v15.09.15", "market"])
def test_markets_folders_one_down(inner, tmp_path):
    plain = write_people(tmp_path / "plain" / "people")
    root = write_people(tmp_path / "data" / "people" / inner)
    assert register_own("people", tmp_path / "data").task == "reid"
    dataset = locate.load_reid("people", tmp_path / "data")
    assert (dataset.root, dataset.key, len(dataset.query)) == (root, "people", 4)
    assert locate.fingerprint(root, "people") == locate.fingerprint(plain, "people")


def test_two_of_markets_layouts_are_refused_with_both_names(tmp_path):
    one, other = (write_people(tmp_path / "people" / name) for name in ("a", "b"))
    with pytest.raises(DataError, match=re.escape(f"people: found in {one} and in {other}")):
        register_own("people", tmp_path)


def test_a_folder_of_one_class_is_no_nest(tmp_path):
    write_tiny(tmp_path / "birds", ["robin/1.png", "robin/2.png"])
    register_own("birds", tmp_path)
    with pytest.raises(DataError, match="'robin' is the only class"):
        locate.load_fgvc("birds", tmp_path)
