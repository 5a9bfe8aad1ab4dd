"""Writes the generated pictures in the official layouts of four re-identification sets (no torch)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmark.data.mini.fgvc_layouts import write_jpeg, write_lines
from benchmark.data.mini.reid_splits import (
    REID_FAMILIES,
    ReIDFamily,
    Shot,
    individuals,
    numbers,
    picture,
    shots,
)
from benchmark.data.mini.vehicles import LOOKS

Name = Callable[[int, int, Shot], str]  # from official identity, serial number and shot to a file name
BOXES = {"train": "bounding_box_train", "query": "query"}  # the rest is the gallery's


def write_market(root: Path, seed: int) -> dict[str, int]:
    """``Market-1501-v15.09.15``: ``0002_c1s1_000451_03.jpg``; 0000 are distractors, -1 is junk."""

    def name(pid: int, serial: int, shot: Shot) -> str:
        who = {"distractor": "0000", "junk": "-1"}.get(shot.role, f"{pid:04d}")
        box = 0 if shot.role == "query" else 1 + serial % 5  # queries were drawn by hand, box 0
        return f"{who}_c{shot.camera}s{1 + serial % 6}_{451 + 25 * serial:06d}_{box:02d}.jpg"

    return _write_folders(root, seed, REID_FAMILIES["market"], name)


def write_duke(root: Path, seed: int) -> dict[str, int]:
    """``DukeMTMC-reID``: ``0001_c2_f0046182.jpg``."""

    def name(pid: int, serial: int, shot: Shot) -> str:
        return f"{pid:04d}_c{shot.camera}_f{46182 + 120 * serial:07d}.jpg"

    return _write_folders(root, seed, REID_FAMILIES["duke"], name)


def _write_folders(root: Path, seed: int, family: ReIDFamily, name: Name) -> dict[str, int]:
    """The layout of Market-1501 and DukeMTMC-reID: three folders, and the names say everything."""
    for folder in (*BOXES.values(), "bounding_box_test"):
        (root / folder).mkdir(parents=True)
    for pid, serial, shot, image in _drawn(family, seed):
        folder = root / BOXES.get(shot.role, "bounding_box_test")
        write_jpeg(folder / name(pid, serial, shot), image)
    return _counts(family, seed)


def write_msmt17(root: Path, seed: int) -> dict[str, int]:
    """``MSMT17``, layout V1: one folder an identity below train and test, and lists of "<path> <identity>"."""
    family = REID_FAMILIES["msmt17"]
    lists: dict[str, list[str]] = {role: [] for role in ("train", "val", "query", "gallery")}
    for pid, serial, shot, image in _drawn(family, seed):
        when = f"{303 + serial % 4:04d}{shot.hour}_{8 + 15 * serial:04d}_{serial % 3}"
        path = f"{pid:04d}/{pid:04d}_{shot.index:03d}_{shot.camera:02d}_{when}.jpg"
        file = root / ("train" if shot.role in ("train", "val") else "test") / path
        file.parent.mkdir(parents=True, exist_ok=True)
        write_jpeg(file, image)
        lists[shot.role].append(f"{path} {pid}")
    for role, lines in lists.items():
        write_lines(root / f"list_{role}.txt", lines)
    return _counts(family, seed)


def write_veri(root: Path, seed: int) -> dict[str, int]:
    """``VeRi_776``: ``0002_c002_00030600_0.jpg``, lists of names and labels in XML.

    As in the official set, the queries are among the test pictures, too.
    """
    family = REID_FAMILIES["veri"]
    names: dict[str, list[str]] = {split: [] for split in ("train", "query", "test")}
    for split in names:
        (root / f"image_{split}").mkdir(parents=True)
    for pid, serial, shot, image in _drawn(family, seed):
        name = f"{pid:04d}_c{shot.camera:03d}_{30600 + 45 * serial:08d}_0.jpg"
        for split in {"train": ("train",), "query": ("query", "test"), "gallery": ("test",)}[shot.role]:
            write_jpeg(root / f"image_{split}" / name, image)
            names[split].append(name)
    for split, chosen in names.items():
        write_lines(root / f"name_{split}.txt", sorted(chosen))
    labels = _veri_labels(family, seed)
    for split, tag in (("train", "TrainingImages"), ("test", "TestImages")):
        items = [
            f'    <Item imageName="{name}" vehicleID="{name[:4]}" cameraID="{name[5:9]}" {labels[int(name[:4])]} />'
            for name in sorted(names[split])
        ]
        head = ['<?xml version="1.0" encoding="gb2312"?>', f'<{tag} Version="1.0">']
        body = [f'  <Items number="{len(items)}">', *items, "  </Items>", f"</{tag}>"]
        write_lines(root / f"{split}_label.xml", head + body)
    return _counts(family, seed)


def _veri_labels(family: ReIDFamily, seed: int) -> dict[int, str]:
    """Colour and type of each vehicle as attributes, by official number."""
    labels = {}
    for pid, vehicle in zip(numbers(family, seed), individuals(family, seed), strict=True):
        kind, colour, _ = LOOKS[vehicle.look]
        labels[pid] = f'colorID="{colour}" typeID="{kind.number}"'
    return labels


def _drawn(family: ReIDFamily, seed: int) -> Iterator[tuple[int, int, Shot, np.ndarray]]:
    """Official identity, serial number, shot and image of every picture."""
    pids, crowd = numbers(family, seed), individuals(family, seed)
    for serial, shot in enumerate(shots(family, seed)):
        yield pids[shot.who], serial, shot, picture(family, seed, crowd, shot)


def _counts(family: ReIDFamily, seed: int) -> dict[str, int]:
    """What a reader of the official files finds, under the names of the registry's official counts."""
    plan = shots(family, seed)
    roles = {
        role: [shot for shot in plan if shot.role == role] for role in ("train", "val", "query", "gallery")
    }
    distractors = sum(shot.role == "distractor" for shot in plan)  # all of one official identity, 0000
    seen = len(roles["gallery"]) + distractors + (len(roles["query"]) if family.key == "veri" else 0)
    return {
        "train_ids": family.train,
        "train": len(roles["train"]),
        **({"val": len(roles["val"])} if family.validation else {}),
        "query": len(roles["query"]),
        "query_ids": len({shot.who for shot in roles["query"]}),
        "gallery": seen,
        "gallery_ids": len({shot.who for shot in roles["gallery"]}) + bool(distractors),
        "cameras": len({shot.camera for shot in plan}),
    }
