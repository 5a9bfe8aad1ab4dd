"""Training batches onto the device, beside the work that it still has to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.data.loader import ImageBatch, Prepare


@dataclass(frozen=True)
class DeviceBatch:
    """A training batch for the model. images, partner_images: (B, 3, h, w) on the device, normalised; labels, counts:
    as the loader gave them.
    """

    images: Tensor
    partner_images: Tensor | None
    labels: Tensor
    counts: tuple[int, ...]


class Transfer:
    """Batches made ready one by one, each when it is asked for.

    On a GPU that happens in a stream of its own. A step is only queued when the next batch is asked for: its copy, out
    of pinned memory, and its normalisation run while the step computes. Nothing is fetched that is not trained on.
    prepare: uint8 pictures to normalised ones on the device.
    """

    def __init__(self, prepare: Prepare, device: torch.device) -> None:
        self._prepare = prepare
        self._beside = torch.cuda.Stream(device) if device.type == "cuda" else None
        if self._beside:
            self._beside.wait_stream(torch.cuda.current_stream(device))  # what prepare normalises with

    def __call__(self, batches: Iterable[ImageBatch]) -> Iterator[DeviceBatch]:
        for batch in batches:
            yield self._ready(batch) if self._beside is None else self._ready_beside(batch, self._beside)

    def _ready(self, batch: ImageBatch) -> DeviceBatch:
        partners = None
        if batch.partner_images is not None:
            partners = self._prepare(batch.partner_images, batch.partner_erasures)
        return DeviceBatch(self._prepare(batch.images, batch.erasures), partners, batch.labels, batch.counts)

    def _ready_beside(self, batch: ImageBatch, stream: torch.cuda.Stream) -> DeviceBatch:
        with torch.cuda.stream(stream):
            device_batch = self._ready(batch)
        training_stream = torch.cuda.current_stream(stream.device)
        training_stream.wait_stream(stream)
        for pictures in (device_batch.images, device_batch.partner_images):
            if pictures is not None:
                pictures.record_stream(training_stream)  # its memory is the other stream's to give away again
        return device_batch
