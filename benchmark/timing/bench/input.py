"""From JPEG files to a normalised batch: our input pipeline against the usual one of Pillow and torchvision."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms

from benchmark.data.images import read_image
from benchmark.data.loader import normalise
from benchmark.data.transforms import ViewSettings, test_view, train_view, view_rng
from benchmark.timing.bench.results import BenchRow, check_agreement
from benchmark.timing.measure import Meter, Result, measure, time_in_turns
from benchmark.training.device import prepare

IMAGENET = SimpleNamespace(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
VIEWS = {"train": "training view", "test": "test view"}
# Both decode with libjpeg and interpolate linearly, and round in other places; pictures vary by about 1.
MEAN_DIFFERENCE = 0.03


@dataclass(frozen=True)
class InputCase:
    """Files and what becomes of them; sizes are (height, width). times: bar, how much longer the usual way takes."""

    title: str
    size: tuple[int, int]
    resize: tuple[int, int]
    crop: tuple[int, int]
    count: int
    repeats: int
    times: float | None = None


CASES = (InputCase("JPEGs 500 × 375", (375, 500), (550, 550), (448, 448), count=16, repeats=15, times=2.5),)


def run(cases: Iterable[InputCase] = CASES) -> list[BenchRow]:
    """Milliseconds a picture, one process and one thread, from the files to a normalised float32 batch.

    Two rows a view: our loading worker's share, which ends with uint8 pictures and is what has to keep up; and with the
    normalisation, which is the training process's, on its GPU where it has one. The usual worker does it all.
    Raises Disagreement if the test views of the two differ by more than rounding.
    """
    rows = []
    for case in cases:
        print(f"input: {case.title}", file=sys.stderr)
        setting = {name: getattr(case, name) for name in ("size", "resize", "crop", "count", "repeats")}
        times = measure(work_of_times, **setting).result
        difference = times.pop("mean difference")
        check_agreement(case.title, {"view": 1}, {"view": 1 + difference}, tolerance=MEAN_DIFFERENCE)
        each = {name: [1000 * one / case.count for one in seconds] for name, seconds in times.items()}
        for view, words in VIEWS.items():
            usual = (each[f"{view} usual"], "PIL + torchvision")
            share = (f"{words}, worker's share", "ms", each[f"{view} worker"])
            rows.append(BenchRow("input", case.title, *share, *usual, times=case.times))
            rows.append(
                BenchRow("input", case.title, f"{words}, normalised too", "ms", each[f"{view} ours"], *usual)
            )
    return rows


def work_of_times(
    meter: Meter, size: Sequence[int], resize: Sequence[int], crop: Sequence[int], count: int, repeats: int
) -> Result:
    """Seconds of a batch of ``count`` files by "view side", and how far the test views are apart on average."""
    compute = prepare("cpu", "float32", 1)
    cv2.setNumThreads(0)  # as in the loading workers
    view = ViewSettings(tuple(resize), tuple(crop))
    with tempfile.TemporaryDirectory(prefix="dcal bench ") as folder:
        files = write_photographs(Path(folder), count, tuple(size))
        to_device = normalise(IMAGENET, compute.device)
        works: dict[str, Callable[[], Tensor]] = {}
        for kind in VIEWS:
            worker = partial(uint8_batch, files, view, kind)
            works[f"{kind} worker"] = worker
            works[f"{kind} ours"] = lambda worker=worker: to_device(worker())
            works[f"{kind} usual"] = partial(usual_batch, files, usual_transform(view, kind))
        meter.start()
        difference = (works["test ours"]() - works["test usual"]()).abs().mean().item()
        return {"mean difference": difference} | time_in_turns(works, repeats)


def uint8_batch(files: Sequence[Path], view: ViewSettings, kind: str) -> Tensor:
    """What a loading worker of ours does: (B, h, w, 3) uint8."""
    views = []
    for index, file in enumerate(files):
        image = read_image(file)
        rng = view_rng(0, 0, index)
        views.append(train_view(image, view, rng) if kind == "train" else test_view(image, view))
    return torch.from_numpy(np.stack(views))


def usual_batch(files: Sequence[Path], transform: transforms.Compose) -> Tensor:
    """What the loading worker of most published code does: (B, 3, h, w) float32, normalised."""
    views = []
    for file in files:
        with Image.open(file) as image:
            views.append(transform(image.convert("RGB")))
    return torch.stack(views)


def usual_transform(view: ViewSettings, kind: str) -> transforms.Compose:
    """The fine-grained protocol as torchvision has it."""
    crop = [transforms.RandomCrop(view.crop), transforms.RandomHorizontalFlip(view.flip)]
    return transforms.Compose(
        [
            transforms.Resize(view.resize),
            *(crop if kind == "train" else [transforms.CenterCrop(view.crop)]),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET.mean, IMAGENET.std),
        ]
    )


# --- Made-up photographs: JPEGs that cost a decoder about what real ones do ---

QUALITY = 90


def write_photographs(folder: Path, count: int, size: tuple[int, int]) -> list[Path]:
    """JPEGs of quality 90, always the same ones. size: (height, width). Returns their paths."""
    paths = []
    for number in range(count):
        path = folder / f"{number:04d}.jpg"
        _, encoded = cv2.imencode(
            ".jpg", photograph(number, size)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
        )
        path.write_bytes(encoded.tobytes())
        paths.append(path)
    return paths


def photograph(number: int, size: tuple[int, int]) -> np.ndarray:
    """uint8 RGB (H, W, 3): amplitudes that fall as 1/frequency, as in nature, and a few things with edges."""
    rng = np.random.default_rng(number)
    height, width = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = np.inf
    waves = np.fft.rfft2(rng.standard_normal((3, height, width))) / frequency
    channels = np.fft.irfft2(waves, s=size)
    # Channels of photographs have most of their variation in common.
    channels = channels[:1] + 0.35 * channels
    channels = 128 + 48 * channels / channels.std(axis=(1, 2), keepdims=True)
    image = np.ascontiguousarray(channels.clip(0, 255).astype(np.uint8).transpose(1, 2, 0))
    for _ in range(6):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = tuple(int(a) for a in rng.integers(min(size) // 40, min(size) // 4, 2))
        colour = tuple(int(c) for c in rng.integers(256, size=3))
        cv2.ellipse(image, centre, axes, float(rng.integers(360)), 0, 360, colour, -1, cv2.LINE_AA)
    return image
