"""Training batches onto the device, beside the work that it still has to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.data.loader import Batch, Prepare


@dataclass(frozen=True)
class Ready:
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

    def __call__(self, batches: Iterable[Batch]) -> Iterator[Ready]:
        for batch in batches:
            yield self._ready(batch) if self._beside is None else self._ready_beside(batch, self._beside)

    def _ready(self, batch: Batch) -> Ready:
        partners = None
        if batch.partner_images is not None:
            partners = self._prepare(batch.partner_images, batch.partner_erased)
        return Ready(self._prepare(batch.images, batch.erased), partners, batch.labels, batch.counts)

    def _ready_beside(self, batch: Batch, beside: torch.cuda.Stream) -> Ready:
        with torch.cuda.stream(beside):
            ready = self._ready(batch)
        training = torch.cuda.current_stream(beside.device)
        training.wait_stream(beside)
        for pictures in (ready.images, ready.partner_images):
            if pictures is not None:
                pictures.record_stream(training)  # its memory is the other stream's to give away again
        return ready
