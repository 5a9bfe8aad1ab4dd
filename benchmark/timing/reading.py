"""The measured process of one dataset's pictures: how many one process reads, augments and puts into batches."""

from __future__ import annotations

import itertools
import tempfile
import time
from pathlib import Path

from benchmark.config.grid import select
from benchmark.config.resolve import Config, load_profile, parse_overrides, resolve
from benchmark.data import locate
from benchmark.data.decoding import loader_session
from benchmark.data.fgvc import FGVCDataset
from benchmark.data.loader import TrainLoader
from benchmark.data.reid import ReIDDataset
from benchmark.timing import sample_pictures
from benchmark.timing.measure import Meter
from benchmark.training.tasks import TASKS

SECONDS, PICTURES = 4.0, 2_000  # whichever comes first


def read(
    meter: Meter, *, cell: str, profile: str, overrides: str, data: str, in_process: bool
) -> dict[str, object]:
    """A store.Pictures as a dict. data: where the datasets lie; "": pictures are generated.

    in_process: read as a run without workers reads, else by one worker, its way to the run included.
    """
    meter.start()
    (asked,) = select([cell])
    config = resolve(asked, 0, load_profile(profile), parse_overrides(overrides))
    with tempfile.TemporaryDirectory(prefix="dcal forecast ") as folder:
        if data:
            dataset, text = locate.load_for(asked.dataset, Path(data), config.settings.data), "its own"
        else:
            dataset, (height, width) = (
                _generated(config, Path(folder)),
                sample_pictures.size_of(asked.dataset),
            )
            text = f"generated, {width}×{height}"
        train = config.settings.train
        sampler = TASKS[asked.task].sampler(dataset, train, 0)
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
    return sample_pictures.dataset(
        config.cell.dataset, folder, classes=classes, train=batches * train.batch_size, test=2
    )
