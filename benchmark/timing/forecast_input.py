"""The measured process of one dataset's pictures: how many one process reads, augments and puts into batches."""

from __future__ import annotations

import itertools
import tempfile
import time
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import torch

from benchmark.config.datasets import DATASETS
from benchmark.config.grid import select
from benchmark.config.resolve import Config, load_profile, parse_overrides, resolve
from benchmark.data import locate
from benchmark.data.decoding import loader_session
from benchmark.data.fgvc import FGVCDataset
from benchmark.data.loader import TrainLoader
from benchmark.data.reid import ReIDDataset, ReIDSplit
from benchmark.data.splits import Split
from benchmark.errors import RunError
from benchmark.evaluation.ranking import rank_features
from benchmark.timing.bench.ranking import draw, warm_up
from benchmark.timing.measure import Meter
from benchmark.training import device
from benchmark.training.tasks import TASKS

SECONDS, PICTURES = 4.0, 2_000  # whichever comes first


def read(
    meter: Meter, *, cell: str, profile: str, overrides: str, data: str, in_process: bool
) -> dict[str, object]:
    """A store.Pictures as a dict. data: where the datasets lie; "": pictures are generated.

    in_process: read as a run without workers reads, else by one worker, its way to the run included.
    """
    meter.start()
    (selected_cell,) = select([cell])
    config = resolve(selected_cell, 0, load_profile(profile), parse_overrides(overrides))
    with tempfile.TemporaryDirectory(prefix="dcal forecast ") as folder:
        if data:
            dataset, text = (
                locate.load_dataset(selected_cell.dataset, Path(data), config.settings.data),
                "its own",
            )
        else:
            dataset, (height, width) = (
                _generated(config, Path(folder)),
                picture_size(selected_cell.dataset),
            )
            text = f"generated, {width}×{height}"
        train = config.settings.train
        sampler = TASKS[selected_cell.task].sampler(dataset, train, 0)
        loader = TrainLoader(dataset, config.settings.data, sampler, 0, workers=0 if in_process else 1)
        with loader_session(loader):
            batches = itertools.chain.from_iterable(map(loader.epoch, itertools.count()))
            next(batches)  # starts the worker
            pictures, began = 0, time.perf_counter()
            for batch in batches:
                pictures += len(batch.images)
                if pictures >= PICTURES or time.perf_counter() - began >= SECONDS:
                    break
            seconds = time.perf_counter() - began
    return {"per_second": pictures / seconds, "text": text, "at_hand": bool(data)}


def _generated(config: Config, folder: Path) -> FGVCDataset | ReIDDataset:
    train = config.settings.train
    batches = max(4, PICTURES // train.batch_size)
    classes = train.batch_size // max(1, train.instances)
    return sample_dataset(
        config.cell.dataset, folder, classes=classes, train=batches * train.batch_size, test=2
    )


# --- The measured process of one gallery: how long it takes to rank it for all queries, by made-up features ---

NARROW, WIDE = 192, 768  # of the features: what lies between and beyond is on the line through both
ENOUGH = 1.0  # seconds: below, three rankings are timed, else one


def rank(
    meter: Meter,
    *,
    queries: int,
    gallery: int,
    identities: int,
    cameras: int,
    device_type: str,
    threads: int,
) -> dict[str, object]:
    """A store.Ranking as a dict. Features are distributed like the real sets'."""
    meter.start()
    compute = device.prepare(device_type, "float32", threads)
    rank_features(*warm_up())
    sizes = {}
    for name, width in (("narrow", NARROW), ("wide", WIDE)):
        query_features, gallery_features, query_items, gallery_items = draw(
            queries=queries, gallery=gallery, identities=min(identities, gallery), distractors=0,
            cameras=cameras, dimensions=width,
        )  # fmt: skip
        query_features, gallery_features = (
            query_features.to(compute.device),
            gallery_features.to(compute.device),
        )
        seconds = []
        while not seconds or (len(seconds) < 3 and seconds[0] < ENOUGH):
            before = meter.seconds.get(name, 0.0)
            with meter.span(name):
                rank_features(query_features, gallery_features, query_items, gallery_items)
                if compute.device.type == "cuda":
                    torch.cuda.synchronize(compute.device)
            seconds.append(meter.seconds[name] - before)
        sizes |= {name: width, f"{name}_seconds": median(seconds)}
    return sizes


# --- Generated pictures of a typical size, and datasets of as many of them as a measurement needs ---

# Height and width: CUB's usual ones; Market-1501's persons; a vehicle as its box is cut out. By dataset, else by task.
SIZES = {"fgvc": (375, 500), "reid": (128, 64), "veri": (256, 256)}
FILES = 16  # different ones; a dataset lists them again and again
QUALITY = 90


def picture_size(key: str) -> tuple[int, int]:
    """Height and width of a dataset's made-up pictures."""
    return SIZES.get(key, SIZES[DATASETS[key].task])


def sample_dataset(
    key: str, folder: Path, *, classes: int, train: int, test: int
) -> FGVCDataset | ReIDDataset:
    """So many training and test pictures over so many classes, in turns; of a re-identification set test // 2 are
    queries, each of an identity that the gallery shows under another camera.
    """
    files = _write(folder, picture_size(key))
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
