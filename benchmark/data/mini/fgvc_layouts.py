"""Writes the generated pictures in the official layouts of CUB-200-2011, Stanford Cars and FGVC-Aircraft (no torch)."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

from benchmark.data.mini.draw import Picture
from benchmark.data.mini.splits import FAMILIES, Item, items, picture, shuffled

JPEG_QUALITY = 90
MAT_HEAD = 116  # bytes of free text in front of a MATLAB 5 file
GREY_EVERY = 97  # CUB holds a few grey pictures: so does its stand-in


def write_jpeg(path: Path, image: np.ndarray) -> None:
    """Write a BGR or grey image."""
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise RuntimeError(f"OpenCV could not encode {path.name}, an image of shape {image.shape}")
    path.write_bytes(data.tobytes())


def write_lines(path: Path, lines: list[str]) -> None:
    """Write a text file, one line each."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def write_cub(root: Path, seed: int) -> dict[str, int]:
    """``CUB_200_2011``: text files joined by image id, one image folder a class."""
    family = FAMILIES["cub"]
    folders = [f"{number:03d}.{name}" for number, name in enumerate(family.classes, 1)]
    for folder in folders:
        (root / "images" / folder).mkdir(parents=True)
    images, labels, splits, boxes = [], [], [], []
    for number, item in enumerate(items(family), 1):
        drawn = picture(family, seed, item)
        name = (
            f"{folders[item.label]}/{family.classes[item.label]}_{item.index + 1:04d}_{796000 + number}.jpg"
        )
        grey = number % GREY_EVERY == 0
        write_jpeg(
            root / "images" / name, cv2.cvtColor(drawn.image, cv2.COLOR_BGR2GRAY) if grey else drawn.image
        )
        images.append(f"{number} {name}")
        labels.append(f"{number} {item.label + 1}")
        splits.append(f"{number} {int(item.split == 'train')}")
        boxes.append(f"{number} " + " ".join(f"{value:.1f}" for value in drawn.box))
    write_lines(root / "images.txt", images)
    write_lines(root / "image_class_labels.txt", labels)
    write_lines(root / "train_test_split.txt", splits)
    write_lines(root / "bounding_boxes.txt", boxes)
    write_lines(root / "classes.txt", [f"{number} {folder}" for number, folder in enumerate(folders, 1)])
    return _counts(family.key)


def write_cars(root: Path, seed: int) -> dict[str, int]:
    """``stanford_cars``, layout (a): two image folders and the MATLAB files of the devkit."""
    family = FAMILIES["cars"]
    (root / "devkit").mkdir(parents=True)
    for split in ("train", "test"):
        (root / f"cars_{split}").mkdir()
        chosen = shuffled(family, seed, 0, [item for item in items(family) if item.split == split])
        rows = []
        for number, item in enumerate(chosen, 1):
            drawn = picture(family, seed, item)
            name = f"{number:05d}.jpg"
            write_jpeg(root / f"cars_{split}" / name, drawn.image)
            rows.append((*_corners(drawn), item.label + 1, name))
        labelled = root / (
            "devkit/cars_train_annos.mat" if split == "train" else "cars_test_annos_withlabels.mat"
        )
        _write_annotations(labelled, rows, with_class=True)
        if split == "test":
            _write_annotations(root / "devkit" / "cars_test_annos.mat", rows, with_class=False)
    names = np.empty((1, len(family.classes)), object)
    names[0] = family.classes
    _write_mat(root / "devkit" / "cars_meta.mat", {"class_names": names})
    return _counts(family.key)


def _corners(drawn: Picture) -> tuple[int, int, int, int]:
    """First and last column and row of the object, counted from 1 as MATLAB does: x1, y1, x2, y2."""
    x, y, width, height = drawn.box
    return x + 1, y + 1, x + width, y + height


def _write_annotations(path: Path, rows: list[tuple], with_class: bool) -> None:
    fields = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname"]
    annotations = np.empty(
        (1, len(rows)), [(name, object) for name in fields if with_class or name != "class"]
    )
    for row, (*corners, label, name) in zip(annotations[0], rows, strict=True):
        for field, value in zip(fields, corners, strict=False):
            row[field] = np.uint16(value)
        if with_class:
            row["class"] = np.uint8(label)  # as in the official files
        row["fname"] = name
    _write_mat(path, {"annotations": annotations})


def _write_mat(path: Path, content: dict[str, np.ndarray]) -> None:
    """A MATLAB file without the date that its head usually holds: the same set is the same bytes, for everybody."""
    stream = io.BytesIO()
    savemat(stream, content)
    written = stream.getvalue()
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(MAT_HEAD) + written[MAT_HEAD:])


def write_aircraft(root: Path, seed: int) -> dict[str, int]:
    """``fgvc-aircraft-2013b``: images with 7 digits, lists of "<id> <variant>" a split."""
    family = FAMILIES["aircraft"]
    data = root / "data"
    (data / "images").mkdir(parents=True)
    numbers = np.random.default_rng((seed, family.stream, 1)).choice(
        2_000_000, len(items(family)), replace=False
    )
    lists: dict[str, list[str]] = {split: [] for split in ("train", "val", "trainval", "test")}
    boxes = []
    ordered = shuffled(family, seed, 2, items(family))
    for number, item in zip(sorted(int(n) + 30_000 for n in numbers), ordered, strict=True):
        drawn = picture(family, seed, item)
        write_jpeg(data / "images" / f"{number:07d}.jpg", drawn.image)
        for split in _aircraft_splits(item):
            lists[split].append(f"{number:07d} {family.classes[item.label]}")
        boxes.append(f"{number:07d} " + " ".join(map(str, _corners(drawn))))
    for split, lines in lists.items():
        write_lines(data / f"images_variant_{split}.txt", lines)
    write_lines(data / "images_box.txt", boxes)
    write_lines(data / "variants.txt", list(family.classes))
    return _counts(family.key)


def _aircraft_splits(item: Item) -> tuple[str, ...]:
    """The official training pictures come in two halves, train and val."""
    if item.split == "test":
        return ("test",)
    return ("train" if item.index % 2 == 0 else "val"), "trainval"


def _counts(key: str) -> dict[str, int]:
    family = FAMILIES[key]
    classes = len(family.classes)
    return {"classes": classes, "train": classes * family.train, "test": classes * family.test}
