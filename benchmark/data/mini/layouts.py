"""Writes generated pictures in the official layouts of the seven datasets (no torch)."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

from benchmark.data.mini import splits
from benchmark.data.mini.splits import GeneratedSet, Shot, Subject

JPEG_QUALITY = 90
MAT_HEAD = 116  # bytes of free text in front of a MATLAB 5 file
GREY_EVERY = 97  # CUB holds a few grey pictures: so does its stand-in
# Folders of Market-1501 and DukeMTMC-reID by role; the rest is in the gallery's, bounding_box_test.
FOLDERS = {"train": "bounding_box_train", "query": "query"}
Lists = dict[str, bytes | list[str]]  # content of each file, or its lines


@dataclass(frozen=True)
class Entry:
    """One picture of a set as it is written.

    number: of the picture, by which its layout names it. label: official number of the identity, or that of the class,
    counted from 1. paths: below the root. box: x, y, width, height of the object in pixels.
    """

    number: int
    label: int
    subject: Subject
    shot: Shot
    paths: tuple[str, ...] = ()
    box: tuple[int, int, int, int] = (0, 0, 0, 0)

    def corners(self) -> tuple[int, int, int, int]:
        """First and last column and row of the object, counted from 1 as MATLAB does: x1, y1, x2, y2."""
        x, y, width, height = self.box
        return x + 1, y + 1, x + width, y + height


@dataclass(frozen=True)
class Layout:
    """Rules of a layout: paths of a picture; content of its lists by path, none where file names say everything."""

    paths: Callable[[Entry], tuple[str, ...]]
    lists: Callable[[GeneratedSet, list[Entry]], Lists] = lambda dataset, entries: {}


def write_set(key: str, root: Path, seed: int) -> dict[str, int]:
    """Write the set of a registry key into ``root``; returns its counts under the names of the official ones."""
    dataset, layout = splits.GENERATED[key], LAYOUTS[key]
    written: list[Entry] = []
    for entry in _entries(dataset, seed):
        drawn = splits.picture(dataset, seed, entry.subject, entry.shot)
        grey = key == "cub" and entry.number % GREY_EVERY == 0
        image = cv2.cvtColor(drawn.image, cv2.COLOR_BGR2GRAY) if grey else drawn.image
        entry = replace(entry, paths=layout.paths(entry), box=drawn.box)
        for path in entry.paths:
            _write(root / path, _jpeg(image))
        written.append(entry)
    for path, content in layout.lists(dataset, written).items():
        text = content if isinstance(content, bytes) else "".join(f"{line}\n" for line in content).encode()
        _write(root / path, text)
    return _counts(dataset, [entry.shot for entry in written])


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _jpeg(image: np.ndarray) -> bytes:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not done:
        raise RuntimeError(f"OpenCV could not encode an image of shape {image.shape}")
    return data.tobytes()


def _entries(dataset: GeneratedSet, seed: int) -> list[Entry]:
    """All pictures of a set in the order and with the numbers of its layout, without paths and boxes."""
    planned, known = splits.shots(dataset, seed), splits.subjects(dataset, seed)
    if not dataset.classes:
        labels = splits.numbers(dataset, seed)
        return [Entry(n, labels[shot.subject], known[shot.subject], shot) for n, shot in enumerate(planned)]
    ids = range(1, len(planned) + 1)
    if dataset.key != "cub":  # CUB lists its pictures class by class
        planned = [planned[k] for k in dataset.random(seed, splits.ORDER).permutation(len(planned))]
    if dataset.key == "aircraft":
        ids = sorted(
            30_000 + dataset.random(seed, splits.ORDER, 1).choice(2_000_000, len(planned), replace=False)
        )
    if dataset.key == "cars":  # both splits count from 1
        planned.sort(key=lambda shot: shot.role == "test")
        train = sum(shot.role == "train" for shot in planned)
        ids = [*range(1, train + 1), *range(1, len(planned) - train + 1)]
    return [Entry(int(n), s.subject + 1, known[s.subject], s) for n, s in zip(ids, planned, strict=True)]


def _counts(dataset: GeneratedSet, planned: list[Shot]) -> dict[str, int]:
    """What a reader of the official files finds, under the names of the registry's official counts."""
    roles = Counter(shot.role for shot in planned)
    if dataset.classes:
        return {"classes": len(dataset.classes), "train": roles["train"], "test": roles["test"]}
    seen = roles["gallery"] + roles["distractor"] + (roles["query"] if dataset.key == "veri" else 0)
    galleries = {shot.subject for shot in planned if shot.role == "gallery"}
    return {
        "train_ids": dataset.train,
        "train": roles["train"],
        **({"val": roles["val"]} if dataset.validation else {}),
        "query": roles["query"],
        "query_ids": len({shot.subject for shot in planned if shot.role == "query"}),
        "gallery": seen,
        "gallery_ids": len(galleries)
        + bool(roles["distractor"]),  # distractors are all of one identity, 0000
        "cameras": len({shot.camera for shot in planned}),
    }


def _cub_paths(e: Entry) -> tuple[str, ...]:
    return (
        f"images/{e.label:03d}.{e.subject.name}/{e.subject.name}_{e.shot.index + 1:04d}_{796000 + e.number}.jpg",
    )


def _cub_lists(dataset: GeneratedSet, entries: list[Entry]) -> Lists:
    """Text files joined by image id."""
    return {
        "images.txt": [f"{e.number} {e.paths[0].removeprefix('images/')}" for e in entries],
        "image_class_labels.txt": [f"{e.number} {e.label}" for e in entries],
        "train_test_split.txt": [f"{e.number} {int(e.shot.role == 'train')}" for e in entries],
        "bounding_boxes.txt": [f"{e.number} " + " ".join(f"{v:.1f}" for v in e.box) for e in entries],
        "classes.txt": [f"{n} {n:03d}.{name}" for n, name in enumerate(dataset.classes, 1)],
    }


def _cars_lists(dataset: GeneratedSet, entries: list[Entry]) -> Lists:
    """MATLAB files of the devkit, layout (a)."""
    names = np.empty((1, len(dataset.classes)), object)
    names[0] = list(dataset.classes)
    train, test = ([e for e in entries if e.shot.role == split] for split in ("train", "test"))
    return {
        "devkit/cars_train_annos.mat": _mat("annotations", _annotations(train, with_class=True)),
        "cars_test_annos_withlabels.mat": _mat("annotations", _annotations(test, with_class=True)),
        "devkit/cars_test_annos.mat": _mat("annotations", _annotations(test, with_class=False)),
        "devkit/cars_meta.mat": _mat("class_names", names),
    }


def _annotations(entries: list[Entry], with_class: bool) -> np.ndarray:
    fields = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", *(["class"] if with_class else []), "fname"]
    rows = np.empty((1, len(entries)), [(name, object) for name in fields])
    for k, e in enumerate(entries):
        label = [np.uint8(e.label)] if with_class else []  # as in the official files
        rows[0, k] = (*map(np.uint16, e.corners()), *label, Path(e.paths[0]).name)
    return rows


def _mat(name: str, content: np.ndarray) -> bytes:
    """A MATLAB file without the date that its head usually holds: the same set is the same bytes, for everybody."""
    stream = io.BytesIO()
    savemat(stream, {name: content})
    return b"MATLAB 5.0 MAT-file".ljust(MAT_HEAD) + stream.getvalue()[MAT_HEAD:]


def _aircraft_lists(dataset: GeneratedSet, entries: list[Entry]) -> Lists:
    """Lists of "<7 digits> <variant>" a split; the official training pictures come in two halves, train and val."""
    test, trainval = ([e for e in entries if e.shot.role == role] for role in ("test", "train"))
    train, val = ([e for e in trainval if e.shot.index % 2 == half] for half in (0, 1))
    parts = {"train": train, "val": val, "trainval": trainval, "test": test}
    lists: Lists = {}
    for split, chosen in parts.items():
        lists[f"data/images_variant_{split}.txt"] = [f"{e.number:07d} {e.subject.name}" for e in chosen]
    boxes = [f"{e.number:07d} " + " ".join(map(str, e.corners())) for e in entries]
    return {**lists, "data/images_box.txt": boxes, "data/variants.txt": list(dataset.classes)}


def _market_paths(e: Entry) -> tuple[str, ...]:
    """``0002_c1s1_000451_03.jpg``; 0000 are distractors, -1 is junk; queries were drawn by hand, box 0."""
    who = {"distractor": "0000", "junk": "-1"}.get(e.shot.role, f"{e.label:04d}")
    box = 0 if e.shot.role == "query" else 1 + e.number % 5
    name = f"{who}_c{e.shot.camera}s{1 + e.number % 6}_{451 + 25 * e.number:06d}_{box:02d}.jpg"
    return (f"{FOLDERS.get(e.shot.role, 'bounding_box_test')}/{name}",)


def _duke_paths(e: Entry) -> tuple[str, ...]:
    """``0001_c2_f0046182.jpg``."""
    name = f"{e.label:04d}_c{e.shot.camera}_f{46182 + 120 * e.number:07d}.jpg"
    return (f"{FOLDERS.get(e.shot.role, 'bounding_box_test')}/{name}",)


def _msmt17_paths(e: Entry) -> tuple[str, ...]:
    """One folder an identity below train and test, layout V1."""
    when = f"{303 + e.number % 4:04d}{e.shot.hour}_{8 + 15 * e.number:04d}_{e.number % 3}"
    folder = "train" if e.shot.role in ("train", "val") else "test"
    return (f"{folder}/{e.label:04d}/{e.label:04d}_{e.shot.index:03d}_{e.shot.camera:02d}_{when}.jpg",)


def _msmt17_lists(dataset: GeneratedSet, entries: list[Entry]) -> Lists:
    """Lists of "<path> <identity>"."""
    lines = [(e.shot.role, f"{e.paths[0].partition('/')[2]} {e.label}") for e in entries]
    roles = ("train", "val", "query", "gallery")
    return {f"list_{role}.txt": [line for own, line in lines if own == role] for role in roles}


def _veri_paths(e: Entry) -> tuple[str, ...]:
    """``0002_c002_00030600_0.jpg``; as in the official set, the queries are among the test pictures, too."""
    name = f"{e.label:04d}_c{e.shot.camera:03d}_{30600 + 45 * e.number:08d}_0.jpg"
    lists = {"train": ("train",), "query": ("query", "test"), "gallery": ("test",)}[e.shot.role]
    return tuple(f"image_{split}/{name}" for split in lists)


def _veri_lists(dataset: GeneratedSet, entries: list[Entry]) -> Lists:
    """Lists of names, and labels in XML: identity, camera, colour and type."""
    lists: Lists = {}
    for split, tag in (("train", "TrainingImages"), ("query", ""), ("test", "TestImages")):
        known = {
            Path(path).name: e for e in entries for path in e.paths if path.startswith(f"image_{split}/")
        }
        lists[f"name_{split}.txt"] = sorted(known)
        items = []
        for name in sorted(known):
            labels = dataset.looks[known[name].subject.look].labels
            own = {"vehicleID": name[:4], "cameraID": name[5:9], **labels}
            items.append(
                " ".join([f'<Item imageName="{name}"', *(f'{k}="{v}"' for k, v in own.items()), "/>"])
            )
        if tag:
            head = ['<?xml version="1.0" encoding="gb2312"?>', f'<{tag} Version="1.0">']
            body = [f'  <Items number="{len(items)}">', *(f"    {item}" for item in items), "  </Items>"]
            lists[f"{split}_label.xml"] = [*head, *body, f"</{tag}>"]
    return lists


LAYOUTS = {
    "cub": Layout(_cub_paths, _cub_lists),
    "cars": Layout(lambda e: (f"cars_{e.shot.role}/{e.number:05d}.jpg",), _cars_lists),
    "aircraft": Layout(lambda e: (f"data/images/{e.number:07d}.jpg",), _aircraft_lists),
    "market": Layout(_market_paths),
    "duke": Layout(_duke_paths),
    "msmt17": Layout(_msmt17_paths, _msmt17_lists),
    "veri": Layout(_veri_paths, _veri_lists),
}
