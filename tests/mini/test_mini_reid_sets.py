"""The generated Re-ID sets: official names and lists, who is seen by whom, subtle identities, loud cameras."""

import json
import re
from collections import defaultdict
from itertools import combinations

import cv2
import numpy as np
import pytest
import torch

from benchmark.config.datasets import DATASETS
from benchmark.data import locate
from benchmark.data.mini import sets
from benchmark.data.mini.splits import GENERATED, REIDENTIFICATION, draw_subject, shots, subjects
from benchmark.data.reid import unanswerable_queries
from benchmark.evaluation.ranking import Items, rank_distances

KEYS = sorted(REIDENTIFICATION)
OFFICIAL_CAMERAS = {"market": 6, "duke": 8, "msmt17": 15, "veri": 20}


@pytest.fixture(scope="module")
def root(mini_pictures):
    return mini_pictures


@pytest.fixture(scope="module")
def datasets(root):
    return {key: locate.load_reid(key, root) for key in KEYS}


def names(folder):
    return sorted(file.name for file in folder.glob("*.jpg"))


def test_market_names_are_the_official_ones_with_distractors_and_junk(root):
    folder = root / "Market-1501-v15.09.15"
    pattern = re.compile(r"(-1|\d{4})_c[1-6]s[1-6]_\d{6}_\d\d\.jpg")
    found = {part: names(folder / part) for part in ("bounding_box_train", "query", "bounding_box_test")}
    assert all(pattern.fullmatch(name) for part in found.values() for name in part)
    assert sum(name.startswith("0000_") for name in found["bounding_box_test"]) == 24
    assert sum(name.startswith("-1_") for name in found["bounding_box_test"]) == 12
    assert not any(name.startswith(("0000_", "-1_")) for name in found["bounding_box_train"] + found["query"])


def test_duke_names_are_the_official_ones_and_some_gallery_identities_are_never_asked_for(root, datasets):
    folder = root / "DukeMTMC-reID"
    pattern = re.compile(r"\d{4}_c[1-8]_f\d{7}\.jpg")
    for part in ("bounding_box_train", "query", "bounding_box_test"):
        assert all(pattern.fullmatch(name) for name in names(folder / part))
    assert len(set(datasets["duke"].gallery.labels) - set(datasets["duke"].query.labels)) == 8


def test_msmt17_lists_name_every_picture_once_and_number_both_splits_from_0(root):
    folder = root / "MSMT17"
    line = re.compile(r"((\d{4})/\2_\d{3}_(\d\d)_03\d\d(?:morning|noon|afternoon)_\d{4}_\d\.jpg) (\d+)")
    listed, numbers = defaultdict(list), defaultdict(set)
    for part in ("train", "val", "query", "gallery"):
        for text in (folder / f"list_{part}.txt").read_text().splitlines():
            path, pid, camera, label = line.fullmatch(text).groups()
            assert int(pid) == int(label)
            assert 1 <= int(camera) <= 15
            side = "train" if part in ("train", "val") else "test"
            listed[side].append(path)
            numbers[side].add(int(pid))
    for side in ("train", "test"):
        on_disk = [file.relative_to(folder / side).as_posix() for file in (folder / side).rglob("*.jpg")]
        assert sorted(listed[side]) == sorted(on_disk)
    assert numbers == {"train": set(range(35)), "test": set(range(30))}


def test_veri_lists_and_labels_agree_and_queries_are_in_the_gallery(root):
    folder = root / "VeRi_776"
    found = {part: (folder / f"name_{part}.txt").read_text().split() for part in ("train", "query", "test")}
    for part, listed in found.items():
        assert listed == names(folder / f"image_{part}")
        assert all(re.fullmatch(r"\d{4}_c0\d\d_\d{8}_0\.jpg", name) for name in listed)
    assert set(found["query"]) < set(found["test"])
    for part in ("train", "test"):
        text = (folder / f"{part}_label.xml").read_bytes().decode("gb2312")
        assert text.startswith('<?xml version="1.0" encoding="gb2312"?>')
        items = re.findall(r'imageName="([^"]+)" vehicleID="(\d+)" cameraID="(c\d+)"', text)
        assert [name for name, _, _ in items] == found[part]
        assert all(name.startswith(f"{vehicle}_{camera}_") for name, vehicle, camera in items)


@pytest.mark.parametrize("key", KEYS)
def test_the_reader_finds_what_was_written(datasets, key):
    dataset = datasets[key]
    written = {"train_ids", "train", "query", "query_ids", "gallery", "gallery_ids", "cameras"}
    assert written <= dataset.counts.keys()
    done = json.loads((dataset.root / sets.DONE).read_text())
    assert {name: done[name] for name in dataset.counts} == dataset.counts
    assert locate.generated_coverage(dataset).kind == "generated"
    assert all(count <= DATASETS[key].official[name] for name, count in dataset.counts.items())


@pytest.mark.parametrize("key", KEYS)
def test_training_identities_are_enough_for_batches_of_eight_and_some_have_too_few_pictures(datasets, key):
    train = datasets[key].train
    counts = np.bincount(train.labels)
    assert len(counts) >= 30
    assert min(counts) < 4 <= np.median(counts)
    assert len({*train.cameras}) >= 4


@pytest.mark.parametrize("key", ["market", "duke", "veri"])
def test_nobody_is_in_train_and_test(datasets, key):
    dataset = datasets[key]
    tested = {*dataset.query.labels, *dataset.gallery.labels}
    assert not {int(identity) for identity in dataset.identities} & tested


def test_one_query_of_one_set_cannot_be_answered(datasets):
    assert {key: len(unanswerable_queries(dataset)) for key, dataset in datasets.items()} == {
        "duke": 1,
        "market": 0,
        "msmt17": 0,
        "veri": 0,
    }


@pytest.mark.parametrize("key", KEYS)
def test_the_gallery_also_holds_pictures_by_the_querys_own_camera(datasets, key):
    """They look most alike and have to be removed: without them the removal would go untested."""
    query, gallery = datasets[key].query, datasets[key].gallery
    there = set(zip(gallery.labels, gallery.cameras, strict=True))
    own = [pair in there for pair in zip(query.labels, query.cameras, strict=True)]
    assert np.mean(own) > 0.5


@pytest.mark.parametrize("key", KEYS)
def test_cameras_are_official_numbers_and_differ_in_colour(datasets, key):
    dataset = datasets[key]
    assert all(1 <= camera.number <= OFFICIAL_CAMERAS[key] for camera in GENERATED[key].cameras)
    colours = defaultdict(list)
    for file, camera in zip(dataset.train.files, dataset.train.cameras, strict=True):
        colours[camera].append(cv2.imread(str(dataset.root / file)).reshape(-1, 3).mean(axis=0))
    means = {camera: np.mean(found, axis=0) for camera, found in colours.items()}
    for one, other in combinations(means, 2):
        assert np.abs(means[one] - means[other]).max() > 8, (one, other)


@pytest.mark.parametrize("key", KEYS)
def test_identities_of_the_same_colours_differ_in_small_parts_of_the_same_scene(key):
    dataset = GENERATED[key]
    crowd = subjects(dataset, sets.SEED)
    by_look = defaultdict(list)
    for who in crowd:
        by_look[who.look].append(who)
    assert min(map(len, by_look.values())) >= 8
    camera = GENERATED[key].cameras[0]
    shares = []
    for alike in by_look.values():
        drawn = [
            draw_subject(dataset, who, camera, np.random.default_rng(5)).image.astype(int)
            for who in alike[:6]
        ]
        for one, other in combinations(drawn, 2):
            shares.append((np.abs(one - other).max(axis=2) > 20).mean())
    assert 0.005 < min(shares)
    assert np.median(shares) < 0.25  # a person fills most of the picture
    assert max(shares) < 0.35


@pytest.mark.parametrize("key", KEYS)
def test_no_two_identities_are_the_same(key):
    crowd = subjects(GENERATED[key], sets.SEED)
    assert len({repr((who.look, who.kinds)) for who in crowd}) == len(crowd)


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(root, tmp_path):
    again = tmp_path / "again"
    again.mkdir()
    sets._writer("DukeMTMC-reID")(again, sets.SEED)
    for file in again.rglob("*.jpg"):
        assert file.read_bytes() == (root / "DukeMTMC-reID" / file.relative_to(again)).read_bytes()
    dataset = GENERATED["duke"]
    assert subjects(dataset, sets.SEED) != subjects(dataset, sets.SEED + 1)
    assert shots(dataset, sets.SEED) != shots(dataset, sets.SEED + 1)


def test_pictures_are_small(root):
    sizes = {cv2.imread(str(file)).shape[:2] for file in (root / "DukeMTMC-reID").rglob("*.jpg")}
    assert all(72 <= height <= 88 and 34 <= width <= 44 for height, width in sizes)
    folders = [root / sets.FOLDERS[key] for key in KEYS]
    total = sum(file.stat().st_size for folder in folders for file in folder.rglob("*") if file.is_file())
    assert total < 6e6


@pytest.mark.parametrize("key", KEYS)
def test_a_random_ranking_scores_as_the_readme_says(datasets, key):
    query, gallery = (
        Items(np.array(s.labels), np.array(s.cameras)) for s in (datasets[key].query, datasets[key].gallery)
    )
    shape = len(query.identities), len(gallery.identities)
    rng = np.random.default_rng(0)
    rankings = [rank_distances([torch.from_numpy(rng.random(shape))], query, gallery) for _ in range(40)]
    assert 4 < np.mean([ranking.mean_ap() for ranking in rankings]) < 5.5
    assert 1 < np.mean([ranking.cmc(1) for ranking in rankings]) < 3.5
