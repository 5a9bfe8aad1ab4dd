"""One row a dataset: names, folders, official counts, and the module that reads it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DatasetRow:
    """A dataset of the grid, or a user's own (``benchmark.data.own.register``).

    key: name in cell ids, e.g. ``cub``.
    title: its official name; column: its heading in the paper's tables.
    task: ``fgvc`` (top-1 accuracy) or ``reid`` (mAP and Rank-1).
    folders: folder names looked for below the data root, the first one is the official name.
    module: the module with ``annotation_files`` and ``read``.
    official: official counts, e.g. train and test images and classes; of a user's own there are none.
    mini_version: of the generated set that stands for it in the mini profile, raised whenever a picture, a list or a
    label of that changes; 0: there is none.
    """

    key: str
    title: str
    column: str
    task: str
    folders: tuple[str, ...]
    module: str
    official: dict[str, int]
    mini_version: int = 0

    @property
    def own(self) -> bool:
        """Whether it is a user's own dataset and none of the paper's."""
        return not self.official


DATASETS: dict[str, DatasetRow] = {
    row.key: row
    for row in (
        DatasetRow(
            "cub",
            "CUB-200-2011",
            "CUB",
            "fgvc",
            ("CUB_200_2011",),
            "benchmark.data.readers.cub",
            {"classes": 200, "train": 5994, "test": 5794},
            mini_version=3,
        ),
        DatasetRow(
            "cars",
            "Stanford Cars",
            "CAR",
            "fgvc",
            ("stanford_cars", "stanford-cars", "StanfordCars", "Stanford_Cars", "cars"),
            "benchmark.data.readers.cars",
            {"classes": 196, "train": 8144, "test": 8041},
            mini_version=3,
        ),
        DatasetRow(
            "aircraft",
            "FGVC-Aircraft",
            "AIR",
            "fgvc",
            ("fgvc-aircraft-2013b", "fgvc_aircraft", "FGVC-Aircraft"),
            "benchmark.data.readers.aircraft",
            {"classes": 100, "train": 6667, "test": 3333},
            mini_version=3,
        ),
        DatasetRow(
            "veri",
            "VeRi-776",
            "VeRi-776",
            "reid",
            ("VeRi_776", "VeRi", "VeRi-776", "veri"),
            "benchmark.data.readers.veri",
            {
                "train_ids": 576,
                "train": 37778,
                "query": 1678,
                "query_ids": 200,
                "gallery": 11579,
                "gallery_ids": 200,
                "cameras": 20,
            },
            mini_version=2,
        ),
        DatasetRow(
            "msmt17",
            "MSMT17",
            "MSMT17",
            "reid",
            ("MSMT17", "MSMT17_V1", "MSMT17_V2", "msmt17"),
            "benchmark.data.readers.msmt17",
            {
                "train_ids": 1041,
                "train": 30248,
                "val": 2373,
                "query": 11659,
                "query_ids": 3060,
                "gallery": 82161,
                "gallery_ids": 3060,
                "cameras": 15,
            },
            mini_version=2,
        ),
        DatasetRow(
            "market",
            "Market-1501",
            "Market1501",
            "reid",
            ("Market-1501-v15.09.15", "Market1501", "market1501"),
            "benchmark.data.readers.market",
            {
                "train_ids": 751,
                "train": 12936,
                "query": 3368,
                "query_ids": 750,
                "gallery": 15913,
                "gallery_ids": 751,  # the distractors, 0000, are one of them
                "cameras": 6,
            },
            mini_version=2,
        ),
        DatasetRow(
            "duke",
            "DukeMTMC-reID",
            "DukeMTMC",
            "reid",
            ("DukeMTMC-reID", "dukemtmc-reid"),
            "benchmark.data.readers.duke",
            {
                "train_ids": 702,
                "train": 16522,
                "query": 2228,
                "query_ids": 702,
                "gallery": 17661,
                "gallery_ids": 1110,
                "cameras": 8,
            },
            mini_version=2,
        ),
    )
}


# Key of pictures of a user's that are no dataset with a name.
OWN = "own"


def is_own(key: str) -> bool:
    """Whether a dataset's key is none of the paper's datasets."""
    return key not in DATASETS or DATASETS[key].own
