"""Which pictures make up a batch: a function of seed and epoch alone, so that a run can go on in mid-epoch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmark.errors import DataError

# Separates the streams drawn from one (seed, epoch): the targets' and the independent one of partners.
TARGETS, PARTNERS = 0, 1


class ShuffledBatches:
    """Every picture once an epoch, in a fresh order.

    A remainder of one picture could not be paired, so it is shared out: the last two batches are halves then
    (with batches of two the last one has three).
    Baseline and DCAL see the same batches.

    pictures: size of the training set; batch_size: pictures a step; stream: TARGETS or PARTNERS.
    Raises DataError for fewer than two pictures.
    """

    def __init__(self, pictures: int, batch_size: int, seed: int, stream: int = TARGETS) -> None:
        if pictures < 2:
            raise DataError(
                f"a training set of {pictures} picture cannot be trained on: at least 2 are needed"
            )
        self.pictures = pictures
        self.seed = seed
        self.stream = stream
        self.sizes = _sizes(pictures, batch_size)

    def __len__(self) -> int:
        """Batches an epoch."""
        return len(self.sizes)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[list[int]]:
        """Indices of each batch from batch ``start`` on."""
        order = np.random.default_rng((self.seed, epoch, self.stream)).permutation(self.pictures)
        for batch in np.split(order, np.cumsum(self.sizes)[:-1])[start:]:
            yield batch.tolist()


def _sizes(pictures: int, batch_size: int) -> list[int]:
    full, rest = divmod(pictures, batch_size)
    sizes = [batch_size] * full + ([rest] if rest else [])
    if batch_size > 1 and rest == 1 and full:
        sizes[-2:] = [3] if batch_size == 2 else [batch_size // 2 + 1, batch_size - batch_size // 2]
    return sizes
