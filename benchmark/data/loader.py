"""Batches of uint8 pictures, decoded and cropped in worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from benchmark.config.compute_setup import Shares
from benchmark.config.settings import DataSettings
from benchmark.data.decoding import DecodingLoader, share_memory
from benchmark.data.fgvc import FGVCDataset
from benchmark.data.images import Remark, TestPictures, log_once
from benchmark.data.reid import ReIDDataset
from benchmark.data.samplers import TARGETS, Sampler
from benchmark.data.transforms import Erasure, random_erasing, test_view, train_view, view_rng
from benchmark.errors import DataError, RunError, SuiteError
from dcal.model import DCAL


class Erasures(NamedTuple):
    """Random erasing of a batch.

    boxes: (B, 4) top, left, height, width; zeros if nothing is erased.
    noise: flat values that fill the boxes of the normalised pictures, (3, height, width) for each box.
    """

    boxes: Tensor
    noise: Tensor


@dataclass(frozen=True)
class ImageBatch:
    """Batch of pictures as loaded.

    images: (B, h, w, 3) uint8 RGB.
    labels: (B,) int64.
    index: (B,) positions in the split.
    erasures: random erasing of the images.
    partner_images, partner_erasures: (B, h, w, 3), pictures of the second stream, if PWCA pairs through the loader.
    counts: of a training batch, number of pictures of each rank. If this rank has 0, its B pictures are stand-ins.
    """

    images: Tensor
    labels: Tensor
    index: Tensor
    erasures: Erasures | None = None
    partner_images: Tensor | None = None
    partner_erasures: Erasures | None = None
    counts: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Key:
    """Key of a view. The view depends on nothing else."""

    index: int
    epoch: int
    stream: int


@dataclass(frozen=True)
class _Failure:
    """An error in a worker, passed on without the worker's traceback."""

    kind: type[SuiteError]
    message: str


class _Views(Dataset):
    def __init__(
        self, dataset: FGVCDataset | ReIDDataset, settings: DataSettings, seed: int, training: bool
    ) -> None:
        self.root, self.seed, self.training, self.erase = dataset.root, seed, training, settings.erase
        self.split = dataset.train if training else dataset.test
        self.pictures = TestPictures.for_dataset(dataset.key, settings)
        self.view = self.pictures.view

    def __getitem__(self, key: _Key) -> tuple[np.ndarray, int, int, Erasure | None, list[Remark]] | _Failure:
        remarks: list[Remark] = []
        try:
            image = self.pictures.read(self.root / self.split.files[key.index], remarks.append)
        except DataError as error:
            return _Failure(DataError, str(error))
        erasure = None
        if self.training:
            rng = view_rng(self.seed, 2 * key.epoch + key.stream, key.index)
            image = train_view(image, self.view, rng)
            erasure = random_erasing(self.view.crop, self.erase, rng)
        else:
            image = test_view(image, self.view)
        return image, self.split.labels[key.index], key.index, erasure, remarks


def _no_stop() -> bool:
    return False


class TrainLoader:
    """Training batches of any epoch from any step on.

    sampler: indices of each batch.
    partners: indices of a second batch that is loaded with each one, if PWCA pairs through the loader.
    workers: number of decoding processes; 0 decodes in this process. The batches do not depend on it.
    shares: this rank's part of every batch and its partners.
    stopping: returns whether a stop was requested, which ends the wait for a batch with StopWhileWaiting.
    """

    def __init__(
        self,
        dataset: FGVCDataset | ReIDDataset,
        settings: DataSettings,
        sampler: Sampler,
        seed: int,
        *,
        partners: Sampler | None = None,
        workers: int,
        shares: Shares = Shares(),  # noqa: B008 - it cannot be changed
        stopping: Callable[[], object] = _no_stop,
    ) -> None:
        self._streams = [sampler, *([] if partners is None else [partners])]
        self._plan, self._shares = _Plan(), shares
        views = _Views(dataset, settings, seed, training=True)
        self._loader = DecodingLoader(views, self._plan, _collate, workers, stopping, str(views.root))

    def close(self) -> None:
        """End the worker processes."""
        self._loader.close()

    def length(self, epoch: int) -> int:
        """Steps of an epoch."""
        return self._streams[0].length(epoch)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[ImageBatch]:
        """The batches of an epoch from step ``start`` on.

        Raises DataError for an unreadable picture, RunError for a lost batch.
        """
        steps = list(zip(*(stream.epoch(epoch, start) for stream in self._streams), strict=True))
        self._plan.batches = [
            [
                _Key(index, epoch, number)
                for number, part in enumerate(parts)
                for index in self._shares.take(part)
            ]
            for parts in steps
        ]
        for (targets, *partners), batch in zip(steps, _unpack_batches(self._loader), strict=True):
            image_batch = _split_streams(batch) if partners else batch
            yield replace(image_batch, counts=self._shares.counts(len(targets)))


class TestLoader:
    """Batches of the test split in order, every picture once; for a Re-ID dataset the queries, then the gallery.

    shares: this rank's part of the batches. Whole batches are distributed, so that every picture is predicted in the
        same batch for any number of ranks.
    stopping: as of ``TrainLoader``.
    counts: number of pictures of each rank, in the split's order.
    rounds: largest number of batches of a rank.
    """

    __test__ = False  # not a test class of pytest's

    def __init__(
        self,
        dataset: FGVCDataset | ReIDDataset,
        settings: DataSettings,
        batch_size: int,
        *,
        workers: int,
        shares: Shares = Shares(),  # noqa: B008 - it cannot be changed
        stopping: Callable[[], object] = _no_stop,
    ) -> None:
        keys = [_Key(index, 0, TARGETS) for index in range(len(dataset.test))]
        batches = [keys[start : start + batch_size] for start in range(0, len(keys), batch_size)]
        sizes = iter([len(batch) for batch in batches])
        counts = shares.counts(len(batches))
        self.rounds = max(counts)
        self.counts = tuple(sum(islice(sizes, count)) for count in counts)
        views = _Views(dataset, settings, seed=0, training=False)
        self._loader = DecodingLoader(
            views, _Plan(shares.take(batches)), _collate, workers, stopping, str(views.root)
        )

    def close(self) -> None:
        """End the worker processes."""
        self._loader.close()

    def __iter__(self) -> Iterator[ImageBatch]:
        """Raises DataError for an unreadable picture, RunError for a lost batch."""
        return _unpack_batches(self._loader)


class _Plan:
    """Batch sampler of a DataLoader whose batches are set for each epoch."""

    def __init__(self, batches: list[list[_Key]] | None = None) -> None:
        self.batches = batches or []

    def __iter__(self) -> Iterator[list[_Key]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def _collate(items: list[tuple | _Failure]) -> tuple | _Failure:
    for item in items:
        if isinstance(item, _Failure):
            return item
    images, labels, index, erasures, remarks = zip(*items, strict=True)
    boxes = [(e.top, e.left, *e.noise.shape[1:]) if e else (0, 0, 0, 0) for e in erasures]
    noise = [e.noise.ravel() for e in erasures if e] or [np.empty(0, np.float32)]
    # One flat tensor of noise: with workers every tensor needs an open file.
    batch_erasures = Erasures(torch.tensor(boxes), torch.from_numpy(np.concatenate(noise)))
    batch = torch.from_numpy(np.stack(images)), torch.tensor(labels), torch.tensor(index), batch_erasures
    try:
        share_memory((*batch[:3], *batch_erasures))
    except RunError as error:
        return _Failure(RunError, str(error))
    return batch, [remark for picture_remarks in remarks for remark in picture_remarks]


def _unpack_batches(loader: DecodingLoader) -> Iterator[ImageBatch]:
    for item in loader:
        if isinstance(item, _Failure):
            raise item.kind(item.message)
        batch, remarks = item
        for remark in remarks:  # in this process, so that a remark is logged once and not by each worker
            log_once(remark)
        yield ImageBatch(*batch)


def _split_streams(batch: ImageBatch) -> ImageBatch:
    """Split a batch that was loaded as targets and partners together."""
    half = len(batch.images) // 2
    boxes, noise = batch.erasures
    target_noise = int(boxes[:half, 2:].prod(dim=1).sum()) * 3
    return ImageBatch(
        batch.images[:half],
        batch.labels[:half],
        batch.index[:half],
        Erasures(boxes[:half], noise[:target_noise]),
        batch.images[half:],
        Erasures(boxes[half:], noise[target_noise:]),
    )


Prepare = Callable[[Tensor, Erasures | None], Tensor]


def normalise(model: DCAL, device: torch.device, mode: str = "weights") -> Prepare:
    """Function that turns uint8 pictures (B, h, w, 3) into normalised ones (B, 3, h, w) float32 on the device.

    It also fills the boxes of random erasing.
    mode: ``weights`` normalises by the mean and std of the pretrained weights, ``half`` by 0.5 and 0.5.
    """
    means, stds = (model.mean, model.std) if mode == "weights" else ((0.5,) * 3, (0.5,) * 3)
    mean = torch.tensor(means, device=device) * 255
    scale = 1 / (torch.tensor(stds, device=device) * 255)

    def prepare(images: Tensor, erasures: Erasures | None = None) -> Tensor:
        pixels = images.to(device, non_blocking=True)
        batch, height, width, channels = pixels.shape
        # Rows of pixels, in place: on a CPU three times as fast as on (B, 3, h, w).
        rows = pixels.reshape(batch * height, width * channels).float()
        rows.sub_(mean.repeat(width)).mul_(scale.repeat(width))
        pictures = rows.view(batch, height, width, channels).permute(0, 3, 1, 2)
        if erasures is not None and erasures.noise.numel():
            _fill_boxes(pictures, erasures.boxes.tolist(), erasures.noise.to(device, non_blocking=True))
        return pictures

    return prepare


def _fill_boxes(pictures: Tensor, boxes: list[list[int]], noise: Tensor) -> None:
    offset = 0
    for picture, (top, left, height, width) in zip(pictures, boxes, strict=True):
        size = 3 * height * width
        box = noise[offset : offset + size].view(3, height, width)
        picture[:, top : top + height, left : left + width] = box
        offset += size
