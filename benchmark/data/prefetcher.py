"""Transfer of training batches to the device while it computes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.data.loader import ImageBatch, Prepare


@dataclass(frozen=True)
class DeviceBatch:
    """A training batch for the model.

    images, partner_images: (B, 3, h, w) on the device, normalised.
    labels, counts: as of ``ImageBatch``.
    """

    images: Tensor
    partner_images: Tensor | None
    labels: Tensor
    counts: tuple[int, ...]


class Transfer:
    """Prepare batches on the device one by one, each when it is requested.

    On a GPU this uses a stream of its own. The next batch is requested as soon as a step is queued: it is copied from
    pinned memory and normalised while the step computes. No batch is loaded that is not trained on.

    prepare: turns uint8 pictures into normalised ones on the device.
    """

    def __init__(self, prepare: Prepare, device: torch.device) -> None:
        self._prepare = prepare
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        if self._stream:
            self._stream.wait_stream(torch.cuda.current_stream(device))  # wait for prepare's own tensors

    def __call__(self, batches: Iterable[ImageBatch]) -> Iterator[DeviceBatch]:
        for batch in batches:
            if self._stream is None:
                yield self._to_device(batch)
                continue
            with torch.cuda.stream(self._stream):
                device_batch = self._to_device(batch)
            training_stream = torch.cuda.current_stream(self._stream.device)
            training_stream.wait_stream(self._stream)
            for pictures in (device_batch.images, device_batch.partner_images):
                if pictures is not None:
                    pictures.record_stream(
                        training_stream
                    )  # the other stream frees the memory only after its use
            yield device_batch

    def _to_device(self, batch: ImageBatch) -> DeviceBatch:
        partners = None
        if batch.partner_images is not None:
            partners = self._prepare(batch.partner_images, batch.partner_erasures)
        return DeviceBatch(self._prepare(batch.images, batch.erasures), partners, batch.labels, batch.counts)
