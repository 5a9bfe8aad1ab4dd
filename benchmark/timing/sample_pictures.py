"""Generated pictures of a typical size, and datasets of as many of them as a measurement needs (no torch)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from benchmark.config.datasets import DATASETS
from benchmark.data.fgvc import FGVCDataset
from benchmark.data.reid import ReIDDataset, ReIDSplit
from benchmark.data.splits import Split
from benchmark.errors import RunError

# Height and width: CUB's usual ones; Market-1501's persons; a vehicle as its box is cut out. By dataset, else by task.
SIZES = {"fgvc": (375, 500), "reid": (128, 64), "veri": (256, 256)}
FILES = 16  # different ones; a dataset lists them again and again
QUALITY = 90


def size_of(key: str) -> tuple[int, int]:
    """Height and width of a dataset's made-up pictures."""
    return SIZES.get(key, SIZES[DATASETS[key].task])


def dataset(key: str, folder: Path, *, classes: int, train: int, test: int) -> FGVCDataset | ReIDDataset:
    """So many training and test pictures over so many classes, in turns; of a re-identification set test // 2 are
    queries, each of an identity that the gallery shows under another camera.
    """
    files = _write(folder, size_of(key))
    listed = [files[index % FILES] for index in range(max(train, test))]
    if DATASETS[key].task == "fgvc":
        splits = (Split(tuple(listed[:count]), _turns(count, classes)) for count in (train, test))
        return FGVCDataset(key, folder, tuple(map(str, range(classes))), *splits)
    queries = test // 2
    return ReIDDataset(
        key,
        folder,
        "",
        tuple(map(str, range(classes))),
        _split(listed[:train], classes, camera=1),
        _split(listed[:queries], classes, camera=1),
        _split(listed[queries:test], classes, camera=2),
    )


def _split(files: list[str], classes: int, camera: int) -> ReIDSplit:
    return ReIDSplit(tuple(files), _turns(len(files), classes), (camera,) * len(files))


def _turns(count: int, classes: int) -> tuple[int, ...]:
    return tuple(index % classes for index in range(count))


def _write(folder: Path, size: tuple[int, int]) -> list[str]:
    """JPEGs whose detail falls off towards fine scales, as a photograph's does, so that decoding one takes as long."""
    height, width = size
    names = [f"{number}.jpg" for number in range(FILES)]
    for number, name in enumerate(names):
        path = folder / name
        if path.exists():
            continue
        rng, picture = np.random.default_rng(number), np.full((height, width, 3), 128, np.float32)
        for cells in (2, 4, 8, 16, 32, 64, 128):
            coarse = rng.standard_normal((cells, cells, 3), dtype=np.float32) * 60 / cells**0.5
            picture += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        written = picture.clip(0, 255).astype(np.uint8)
        if not cv2.imwrite(str(path), written, [cv2.IMWRITE_JPEG_QUALITY, QUALITY]):
            raise RunError(f"cannot write a picture to {path}: is the disk full?")
    return names
