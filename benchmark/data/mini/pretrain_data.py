"""Endless batches of generic pictures for the pretraining."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import IterableDataset

from benchmark.data.mini.generic import WORLDS, PretrainingWorld

ECHO = 2560  # pictures until one returns mirrored
Batch = tuple[Tensor, ...]  # image, species, genus, kinds, marks: Sample's fields


class Pictures(IterableDataset):
    """Endless batches (image, species, genus, kinds, marks), the same for the same seed."""

    def __init__(self, world: str, seed: int, batch: int) -> None:
        self.world, self.seed, self.batch = world, seed, batch

    def __iter__(self) -> Iterator[Batch]:
        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        world, index = PretrainingWorld(WORLDS[self.world]), 0
        while True:
            drawn = [world.sample(np.random.default_rng((self.seed, index + k))) for k in range(self.batch)]
            index += self.batch
            yield (
                torch.from_numpy(np.stack([s.image for s in drawn])),
                torch.tensor([s.species for s in drawn]),
                torch.tensor([s.genus for s in drawn]),
                torch.from_numpy(np.stack([s.kinds for s in drawn])),
                torch.from_numpy(np.stack([s.marks for s in drawn])),
            )


def mirrored(batch: Batch) -> Batch:
    """The batch with its pictures, and the marks of their patches, turned left to right."""
    image, species, genus, kinds, marks = batch
    grid = math.isqrt(marks.shape[1])
    return image.flip(2), species, genus, kinds, marks.unflatten(1, (grid, grid)).flip(2).flatten(1, 2)


def through_a_camera(image: Tensor) -> Tensor:
    """Cast, blur and noise of another camera for each picture. image and result: (B, h, w, 3) uint8."""
    rows, x = len(image), image.permute(0, 3, 1, 2).float()
    blurred = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
    x = torch.lerp(x, blurred, torch.rand(rows, 1, 1, 1))
    x = x * (0.75 + 0.5 * torch.rand(rows, 3, 1, 1)) + 8 * torch.rand(rows, 1, 1, 1) * torch.randn_like(x)
    return x.clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def twice(batches: Iterable[Batch], echo: int) -> Iterator[Batch]:
    """Each batch twice, the second time mirrored and ``echo`` batches later: drawing costs half as much."""
    waiting: deque[Batch] = deque()
    for batch in batches:
        yield batch
        waiting.append(mirrored(batch))
        if len(waiting) > echo:
            yield waiting.popleft()
