"""One row a dataset: names, folders, official counts, and the module that reads it (no torch)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DatasetRow:
    """A dataset of the grid, or a user's own (``benchmark.data.own``).

    key: name in cell ids, e.g. ``cub``.
    title: its official name; column: its heading in the paper's tables.
    task: ``fgvc`` (top-1 accuracy) or ``reid`` (mAP and Rank-1).
    folders: folder names looked for below the data root, the first one is the official name.
    module: the module with ``annotation_files`` and ``read``.
    official: official counts, e.g. train and test images and classes; of a user's own there are none.
    """

    key: str
    title: str
    column: str
    task: str
    folders: tuple[str, ...]
    module: str
    official: dict[str, int]

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
            "benchmark.data.cub",
            {"classes": 200, "train": 5994, "test": 5794},
        ),
        DatasetRow(
            "cars",
            "Stanford Cars",
            "CAR",
            "fgvc",
            ("stanford_cars", "stanford-cars", "StanfordCars", "Stanford_Cars", "cars"),
            "benchmark.data.cars",
            {"classes": 196, "train": 8144, "test": 8041},
        ),
        DatasetRow(
            "aircraft",
            "FGVC-Aircraft",
            "AIR",
            "fgvc",
            ("fgvc-aircraft-2013b", "fgvc_aircraft", "FGVC-Aircraft"),
            "benchmark.data.aircraft",
            {"classes": 100, "train": 6667, "test": 3333},
        ),
        DatasetRow(
            "veri",
            "VeRi-776",
            "VeRi-776",
            "reid",
            ("VeRi_776", "VeRi", "VeRi-776", "veri"),
            "benchmark.data.veri",
            {
                "train_ids": 576,
                "train": 37778,
                "query": 1678,
                "query_ids": 200,
                "gallery": 11579,
                "gallery_ids": 200,
                "cameras": 20,
            },
        ),
        DatasetRow(
            "msmt17",
            "MSMT17",
            "MSMT17",
            "reid",
            ("MSMT17", "MSMT17_V1", "MSMT17_V2", "msmt17"),
            "benchmark.data.msmt17",
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
        ),
        DatasetRow(
            "market",
            "Market-1501",
            "Market1501",
            "reid",
            ("Market-1501-v15.09.15", "Market1501", "market1501"),
            "benchmark.data.market",
            {
                "train_ids": 751,
                "train": 12936,
                "query": 3368,
                "query_ids": 750,
                "gallery": 15913,
                "gallery_ids": 751,  # the distractors, 0000, are one of them
                "cameras": 6,
            },
        ),
        DatasetRow(
            "duke",
            "DukeMTMC-reID",
            "DukeMTMC",
            "reid",
            ("DukeMTMC-reID", "dukemtmc-reid"),
            "benchmark.data.duke",
            {
                "train_ids": 702,
                "train": 16522,
                "query": 2228,
                "query_ids": 702,
                "gallery": 17661,
                "gallery_ids": 1110,
                "cameras": 8,
            },
        ),
    )
}


# Key of pictures of a user's that are no dataset with a name.
OWN = "own"


def is_own(key: str) -> bool:
    """Whether a dataset's key is none of the paper's datasets."""
    return key not in DATASETS or DATASETS[key].own
