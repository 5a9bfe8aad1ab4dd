"""How much of the official dataset is there: full, or which subset."""

from pathlib import Path

import pytest

from benchmark.config.datasets import DATASETS
from benchmark.data import locate
from benchmark.data.fgvc import FGVCDataset
from benchmark.data.reid import ReIDDataset, ReIDSplit
from benchmark.data.splits import Split


def dataset_of(classes, train, test):
    names = tuple(f"class {index}" for index in range(classes))
    splits = (Split(tuple(map(str, range(count))), (0,) * count) for count in (train, test))
    return FGVCDataset("cub", Path("/nowhere"), names, *splits)


def test_official_counts_are_full_coverage():
    found = locate.coverage(dataset_of(200, 5994, 5794), DATASETS["cub"])
    assert found == locate.Coverage("full", "full: 200 classes, 5,994 train and 5,794 test images")


@pytest.mark.parametrize("counts", [(199, 5994, 5794), (200, 5993, 5794), (200, 5994, 5795)])
def test_any_other_count_is_a_subset(counts):
    assert locate.coverage(dataset_of(*counts), DATASETS["cub"]).kind == "subset"


def reid_of(key, version="", val_merged=False, **changes):
    """A dataset of the official counts but for ``changes``."""
    counts = {"val": 0, **DATASETS[key].official, **changes}

    def split(pictures, identities):
        numbers = tuple(index % identities for index in range(pictures))
        cameras = tuple(index % counts["cameras"] + 1 for index in range(pictures))
        return ReIDSplit(tuple(map(str, range(pictures))), numbers, cameras)

    return ReIDDataset(
        key,
        Path("/nowhere"),
        version,
        tuple(map(str, range(counts["train_ids"]))),
        split(counts["train"] + (counts["val"] if val_merged else 0), counts["train_ids"]),
        split(counts["query"], counts["query_ids"]),
        split(counts["gallery"], counts["gallery_ids"]),
        val=counts["val"],
        val_merged=val_merged,
    )


@pytest.mark.parametrize(
    ("key", "reading", "text"),
    [
        (
            "market",
            {},
            "full: 751 identities, 12,936 train images, 3,368 queries, 15,913 gallery images",
        ),
        ("duke", {}, "full: 702 identities, 16,522 train images, 2,228 queries, 17,661 gallery images"),
        ("veri", {}, "full: 576 identities, 37,778 train images, 1,678 queries, 11,579 gallery images"),
        (
            "msmt17",
            {"version": "V1", "val_merged": True},
            "MSMT17 V1, train + val: full: 1,041 identities, 32,621 train images, 11,659 queries, 82,161 gallery "
            "images",
        ),
        (
            "msmt17",
            {"version": "V2"},
            "MSMT17 V2, train only: full: 1,041 identities, 30,248 train images, 11,659 queries, 82,161 gallery "
            "images",
        ),
        (
            "msmt17",
            {"version": "V2", "val": 0},
            "MSMT17 V2, train only: full: 1,041 identities, 30,248 train images, 11,659 queries, 82,161 gallery "
            "images",
        ),
    ],
    ids=["market", "duke", "veri", "msmt17 merged", "msmt17", "msmt17 without its validation list"],
)
def test_official_counts_of_identities_and_pictures_are_full_coverage(key, reading, text):
    assert locate.coverage(reid_of(key, **reading), DATASETS[key]) == locate.Coverage("full", text)


@pytest.mark.parametrize(
    "changes",
    [
        {"train_ids": 750},
        {"train": 12935},
        {"query": 3367},
        {"query_ids": 749},
        {"gallery": 15914},
        {"gallery_ids": 752},
        {"cameras": 5},
    ],
    ids=str,
)
def test_any_other_count_of_a_re_identification_dataset_is_a_subset(changes):
    assert locate.coverage(reid_of("market", **changes), DATASETS["market"]).kind == "subset"


def test_a_subset_says_which_share_it_is():
    found = locate.coverage(
        reid_of("msmt17", "V1", val_merged=True, train_ids=10, train=1000, val=100), DATASETS["msmt17"]
    )
    assert found.text == (
        "MSMT17 V1, train + val: subset: 10 of 1,041 identities, 1,100 of 32,621 train images, 11,659 of 11,659 "
        "queries, 82,161 of 82,161 gallery images"
    )


def test_a_subset_by_a_count_that_is_not_in_the_text_names_it():
    found = locate.coverage(reid_of("veri", cameras=19), DATASETS["veri"])
    assert found.text.endswith("11,579 of 11,579 gallery images, 19 of 20 cameras")


def test_an_incomplete_validation_list_makes_a_subset_only_where_it_is_trained_on():
    row = DATASETS["msmt17"]
    assert locate.coverage(reid_of("msmt17", "V1", val_merged=True, val=2372), row).kind == "subset"
    assert locate.coverage(reid_of("msmt17", "V1", val=2372), row).kind == "full"


def test_the_real_subset_is_read_and_reported_as_one(real_cub):
    dataset = locate.load_fgvc("cub", real_cub)
    assert (len(dataset.classes), len(dataset.train), len(dataset.test)) == (25, 750, 652)
    assert dataset.classes[0] == "001.Black_footed_Albatross"
    assert set(dataset.train.labels) == set(dataset.test.labels) == set(range(25))
    assert locate.coverage(dataset, DATASETS["cub"]).text == (
        "subset: 25 of 200 classes, 750 of 5,994 train and 652 of 5,794 test images"
    )
    for split in (dataset.train, dataset.test):
        for file, label in zip(split.files, split.labels, strict=True):
            assert file.split("/")[1] == dataset.classes[label]
