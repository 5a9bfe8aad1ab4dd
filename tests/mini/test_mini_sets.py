"""The generated sets: official layouts, true boxes, repeatable labels, atomic writing."""

import json
import multiprocessing
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import loadmat

from benchmark.data.mini import layouts, sets, splits
from benchmark.data.mini.draw import Picture
from benchmark.errors import DataError


@pytest.fixture(scope="module")
def root(mini_pictures):
    return mini_pictures


def pairs(path):
    return [line.split(" ", 1) for line in path.read_text().splitlines()]


def test_cub_lists_agree_and_every_class_has_both_splits(root):
    folder = root / "CUB_200_2011"
    images, labels, split = (
        dict(pairs(folder / f"{name}.txt")) for name in ("images", "image_class_labels", "train_test_split")
    )
    classes = dict(pairs(folder / "classes.txt"))
    assert images.keys() == labels.keys() == split.keys()
    assert all(images[k].startswith(classes[labels[k]] + "/") for k in images)
    for number in classes:
        parts = [split[k] for k in labels if labels[k] == number]
        assert (parts.count("1"), parts.count("0")) == (20, 20)


def test_cub_boxes_hold_the_object_and_lie_inside_the_picture(root):
    folder = root / "CUB_200_2011"
    images = dict(pairs(folder / "images.txt"))
    for number, box in pairs(folder / "bounding_boxes.txt"):
        x, y, width, height = map(float, box.split())
        image = cv2.imread(str(folder / "images" / images[number]), cv2.IMREAD_UNCHANGED)
        assert 96 <= image.shape[0] <= 120
        assert 96 <= image.shape[1] <= 120
        assert x >= 0
        assert y >= 0
        assert x + width <= image.shape[1]
        assert y + height <= image.shape[0]
        assert width * height > 0.08 * image.shape[0] * image.shape[1]


def test_cub_holds_a_few_grey_pictures(root):
    files = sorted((root / "CUB_200_2011" / "images").rglob("*.jpg"))
    grey = sum(cv2.imread(str(file), cv2.IMREAD_UNCHANGED).ndim == 2 for file in files)
    assert 1 <= grey <= 10


@pytest.mark.parametrize(
    ("split", "file"),
    [("train", "devkit/cars_train_annos.mat"), ("test", "cars_test_annos_withlabels.mat")],
)
def test_cars_annotations_are_struct_arrays_with_images(root, split, file):
    folder = root / "stanford_cars"
    rows = loadmat(folder / file, squeeze_me=True)["annotations"]
    names = loadmat(folder / "devkit" / "cars_meta.mat", squeeze_me=True)["class_names"]
    assert rows.dtype.names == ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")
    labels = [int(label) for label in rows["class"]]
    assert np.bincount(labels)[1:].tolist() == [24] * len(names)
    for row in rows:
        image = cv2.imread(str(folder / f"cars_{split}" / str(row["fname"])))
        assert 1 <= row["bbox_x1"] < row["bbox_x2"] <= image.shape[1]
        assert 1 <= row["bbox_y1"] < row["bbox_y2"] <= image.shape[0]


def test_aircraft_lists_split_once_and_trainval_is_train_and_val(root):
    data = root / "fgvc-aircraft-2013b" / "data"
    lists = {
        name: pairs(data / f"images_variant_{name}.txt") for name in ("train", "val", "trainval", "test")
    }
    variants = (data / "variants.txt").read_text().splitlines()
    assert sorted(lists["train"] + lists["val"]) == sorted(lists["trainval"])
    assert not {k for k, _ in lists["trainval"]} & {k for k, _ in lists["test"]}
    for name, count in (("train", 10), ("val", 10), ("test", 20)):
        assert all([v for _, v in lists[name]].count(variant) == count for variant in variants)
    ids = [k for name in ("trainval", "test") for k, _ in lists[name]]
    assert all(len(k) == 7 and cv2.imread(str(data / "images" / f"{k}.jpg")) is not None for k in ids)


def test_names_have_the_awkward_characters_of_the_official_ones(root):
    assert any("/" in name for name in splits.GENERATED["cars"].classes)
    assert any("/" in name for name in splits.GENERATED["aircraft"].classes)
    assert any(" " in name for name in splits.GENERATED["aircraft"].classes)


def test_no_image_is_left_unlisted(root):
    for key in splits.FINE_GRAINED:
        folder = root / sets.FOLDERS[key]
        done = json.loads((folder / sets.DONE).read_text())
        assert len(list(folder.rglob("*.jpg"))) == done["train"] + done["test"]


@pytest.mark.parametrize("key", splits.FINE_GRAINED)
def test_same_seed_writes_the_same_bytes(root, tmp_path, key):
    again = tmp_path / "again"
    layouts.write_set(key, again, sets.SEED)
    for file in filter(Path.is_file, again.rglob("*")):
        assert file.read_bytes() == (root / sets.FOLDERS[key] / file.relative_to(again)).read_bytes(), file


def test_no_matlab_file_holds_the_date_it_was_written_on(root):
    files = list((root / sets.FOLDERS["cars"]).rglob("*.mat"))
    assert len(files) == 4
    for file in files:
        assert file.read_bytes()[:116].strip() == b"MATLAB 5.0 MAT-file"


def test_another_seed_draws_other_pictures():
    dataset = splits.GENERATED["cub"]
    classes, shot = splits.subjects(dataset, 1), splits.shots(dataset, 1)[0]
    one, other = (splits.picture(dataset, seed, classes[0], shot) for seed in (1, 2))
    assert one.image.shape != other.image.shape or np.abs(one.image.astype(int) - other.image).mean() > 5


@pytest.mark.parametrize("key", splits.FINE_GRAINED)
def test_classes_differ_only_in_small_parts_of_the_same_scene(key):
    dataset = splits.GENERATED[key]
    classes, camera = splits.subjects(dataset, sets.SEED), dataset.cameras[0]
    for seed in range(4):
        drawn = [
            splits.draw_subject(dataset, each, camera, np.random.default_rng(seed)).image.astype(int)
            for each in classes
        ]
        for a, b in combinations(range(len(classes)), 2):
            changed = (np.abs(drawn[a] - drawn[b]).max(2) > 12).mean()
            assert 0 < changed < 0.12, f"{classes[a].name} and {classes[b].name}: {changed:.3f} changed"


def test_a_complete_set_is_left_alone(root):
    stamps = {file: file.stat().st_mtime_ns for file in root.rglob("*")}
    sets.write_all(root)
    assert {file: file.stat().st_mtime_ns for file in root.rglob("*")} == stamps


@pytest.fixture
def tiny_sets(monkeypatch):
    """Sets of one picture each, so that the writing alone is tested."""

    def write(folder, seed):
        cv2.imwrite(str(folder / "a.png"), np.full((8, 8, 3), seed % 256, np.uint8))
        return {"classes": 1, "train": 1, "test": 0}

    monkeypatch.setattr(sets, "_writer", lambda name: write)


@pytest.mark.parametrize("damage", ["no picture", "cut DONE.json", "older version"])
def test_a_damaged_set_is_rebuilt_and_nothing_else_stays(tmp_path, tiny_sets, damage):
    sets.write_all(tmp_path)
    folder = tmp_path / "CUB_200_2011"
    done = folder / sets.DONE
    if damage == "no picture":
        (folder / "a.png").unlink()
    elif damage == "cut DONE.json":
        done.write_text(done.read_text()[:20])
    else:
        done.write_text(
            json.dumps({**json.loads(done.read_text()), "version": sets.VERSIONS["CUB_200_2011"] - 1})
        )
    sets.write_all(tmp_path)
    assert sets.is_complete(folder)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(sets.SETS)


def test_only_the_sets_asked_for_are_written(tmp_path, tiny_sets):
    sets.write(tmp_path, ["veri", "cub"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["CUB_200_2011", "VeRi_776"]
    sets.write(tmp_path, ["cars"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["CUB_200_2011", "VeRi_776", "stanford_cars"]


@pytest.mark.parametrize(
    "name", ["CUB_200_2011/images.txt", "VeRi_776/name_train.txt", "notes.txt", "stanford_cars"]
)
def test_somebodys_data_are_neither_replaced_nor_mixed_with_generated_pictures(tmp_path, tiny_sets, name):
    """The user's folder given to the mini profile by mistake: nothing may be written into it."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("precious")
    with pytest.raises(DataError, match="nothing was touched"):
        sets.write_all(tmp_path)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]
    assert path.read_text() == "precious"


def test_a_set_that_lost_its_mark_counts_as_somebodys(tmp_path, tiny_sets):
    sets.write_all(tmp_path)
    (tmp_path / "CUB_200_2011" / sets.DONE).unlink()
    with pytest.raises(DataError, match="CUB_200_2011"):
        sets.write_all(tmp_path)
    assert (tmp_path / "CUB_200_2011" / "a.png").exists()


def test_an_interrupted_writing_leaves_no_set(tmp_path, monkeypatch):
    def interrupted(folder, seed):
        (folder / "half.jpg").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(sets, "_writer", lambda name: interrupted)
    with pytest.raises(KeyboardInterrupt):
        sets.write_all(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_two_processes_at_once_end_with_one_complete_set(tmp_path, tiny_sets):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=sets.write_all, args=(tmp_path,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0] * 4
    assert all(sets.is_complete(tmp_path / name) for name in sets.SETS)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(sets.SETS)


def test_pictures_are_small_colour_images_with_a_box():
    for key in splits.FINE_GRAINED:
        dataset = splits.GENERATED[key]
        drawn = splits.draw_subject(
            dataset, splits.subjects(dataset, 0)[0], dataset.cameras[0], np.random.default_rng(0)
        )
        assert isinstance(drawn, Picture)
        assert drawn.image.dtype == np.uint8
        assert drawn.image.shape[2] == 3
