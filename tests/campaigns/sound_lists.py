"""Small datasets in the official layouts without pictures: lists, MATLAB files, empty files whose names are labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.io import savemat

CLASSES = 6
SHOTS = 5  # of a class in each split


def _lines(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_cub(root: Path) -> None:
    names = [f"{number:03}.Bird_{number}" for number in range(1, CLASSES + 1)]
    rows = [(k, n, split) for k in range(CLASSES) for n in range(SHOTS) for split in (1, 0)]
    _lines(root / "classes.txt", [f"{number} {name}" for number, name in enumerate(names, 1)])
    _lines(root / "images.txt", [f"{i} {names[k]}/Bird_{n}_{i}.jpg" for i, (k, n, _) in enumerate(rows, 1)])
    _lines(root / "image_class_labels.txt", [f"{i} {k + 1}" for i, (k, _, _) in enumerate(rows, 1)])
    _lines(root / "train_test_split.txt", [f"{i} {split}" for i, (_, _, split) in enumerate(rows, 1)])


def write_aircraft(root: Path) -> None:
    names = ["707-320", "A300B4", "Boeing 717", "Cessna 172", "DC-10", "F/A-18"]
    _lines(root / "data" / "variants.txt", names)
    for place, split in enumerate(("trainval", "test")):
        rows = [f"{1000000 * place + 31 * i:07} {name}" for i, name in enumerate(names * SHOTS, 1)]
        _lines(root / "data" / f"images_variant_{split}.txt", rows)


def write_cars(root: Path, compressed: bool = False) -> None:
    names = np.empty((1, CLASSES), object)
    names[0, :] = [f"Make {number} Sedan 2012" for number in range(CLASSES)]
    (root / "devkit").mkdir(parents=True)
    savemat(root / "devkit" / "cars_meta.mat", {"class_names": names}, do_compression=compressed)
    fields = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")
    for name in ("devkit/cars_train_annos.mat", "cars_test_annos_withlabels.mat"):
        rows = np.empty((1, CLASSES * SHOTS), dtype=[(field, object) for field in fields])
        for i in range(rows.size):
            box = [np.array([[np.uint16(30 + i)]]) for _ in range(4)]
            rows[0, i] = (*box, np.array([[np.uint8(i % CLASSES + 1)]]), f"{i + 1:05}.jpg")
        savemat(root / name, {"annotations": rows}, do_compression=compressed)


def write_veri(root: Path) -> None:
    lists = {
        "train": [f"{v:04}_c{c:03}_000{v}{c}_0.jpg" for v in range(1, CLASSES) for c in (1, 4, 9)],
        "query": [f"{v:04}_c001_000{v}1_0.jpg" for v in range(10, 10 + CLASSES)],
        "test": [f"{v:04}_c{c:03}_000{v}{c}_0.jpg" for v in range(10, 10 + CLASSES) for c in (1, 7, 20)],
    }
    for name, files in lists.items():
        _lines(root / f"name_{name}.txt", files)
        if name != "query":
            items = [
                f'<Item imageName="{file}" vehicleID="{file[:4]}" cameraID="{file[5:9]}" colorID="1" />'
                for file in files
            ]
            _lines(
                root / f"{name}_label.xml",
                ['<?xml version="1.0" encoding="gb2312"?>', "<Items>", *items, "</Items>"],
            )


def write_msmt17(root: Path) -> None:
    def rows(people: range, cameras: tuple[int, ...]) -> list[str]:
        return [
            f"{p:04}/{p:04}_{n:03}_{c:02}_0303morning_{n:04}_0.jpg {p}"
            for p in people
            for n, c in enumerate(cameras)
        ]

    everybody = range(CLASSES)
    lists = {"train": (1, 5, 15), "val": (3,), "query": (2,), "gallery": (4, 9, 14)}
    for name, cameras in lists.items():
        _lines(root / f"list_{name}.txt", rows(everybody, cameras))
    for folder in ("train", "test"):
        (root / folder).mkdir()


def _write_named(root: Path, name: Callable[[int, int], str]) -> None:
    folders = {"bounding_box_train": (range(1, 7), (1, 2, 5)), "query": (range(10, 16), (1,))}
    folders["bounding_box_test"] = (range(10, 16), (1, 3, 6))
    for folder, (people, cameras) in folders.items():
        (root / folder).mkdir(parents=True)
        for file in (name(p, c) for p in people for c in cameras):
            (root / folder / file).touch()


def write_market(root: Path) -> None:
    _write_named(root, lambda p, c: f"{p:04}_c{c}s1_{p:06}_00.jpg")
    (root / "bounding_box_test" / "-1_c1s1_000001_00.jpg").touch()
    (root / "bounding_box_test" / "0000_c1s1_000001_00.jpg").touch()


def write_duke(root: Path) -> None:
    _write_named(root, lambda p, c: f"{p:04}_c{c}_f{p:07}.jpg")


WRITERS = {
    "cub": write_cub,
    "cars": write_cars,
    "aircraft": write_aircraft,
    "veri": write_veri,
    "msmt17": write_msmt17,
    "market": write_market,
    "duke": write_duke,
}
