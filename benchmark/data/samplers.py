"""Which pictures make up a batch: a function of seed and epoch alone, so that a run can go on in mid-epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np

from benchmark.errors import DataError

# Separates the streams drawn from one (seed, epoch): the targets' and the independent one of partners.
TARGETS, PARTNERS = 0, 1


class Sampler(Protocol):
    """Batches of indices into a training split."""

    def length(self, epoch: int) -> int:
        """Batches in this epoch."""

    def epoch(self, epoch: int, start: int = 0) -> Iterator[list[int]]:
        """Indices of each batch from batch ``start`` on."""


class ShuffledBatches:
    """Every picture once an epoch, in a fresh order.

    A remainder of one picture could not be paired, so it is shared out: the last two batches are halves then
    (with batches of two the last one has three).
    Baseline and DCAL see the same batches.

    pictures: size of the training set; batch_size: pictures a step.
    Raises DataError for fewer than two pictures.
    """

    def __init__(self, pictures: int, batch_size: int, seed: int) -> None:
        if pictures < 2:
            raise DataError(
                f"a training set of {pictures} picture cannot be trained on: at least 2 are needed"
            )
        self.pictures = pictures
        self.seed = seed
        self.sizes = _batch_sizes(pictures, batch_size)

    def length(self, epoch: int) -> int:
        """Batches in this epoch: the same in all."""
        return len(self.sizes)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[list[int]]:
        """Indices of each batch from batch ``start`` on."""
        order = np.random.default_rng((self.seed, epoch, TARGETS)).permutation(self.pictures)
        for batch in np.split(order, np.cumsum(self.sizes)[:-1])[start:]:
            yield batch.tolist()


class IdentityBatches:
    """P identities × K pictures a batch, for batch-hard triplets (Re-ID).

    In every epoch the pictures of each identity are shuffled and cut into groups of K; an identity with fewer than K
    is filled up by drawing from its own with replacement; what is left over of a larger one is dropped. P identities
    with groups left are drawn at random, one group each, until fewer than P have any: as TransReID's sampler, whose
    recipe this is. Should that leave an identity without any appearance in the epoch, one more batch takes it in,
    filled with groups drawn afresh for others: no identity misses an epoch.

    labels: identity of each training picture. identities: P; instances: K.
    Raises DataError if there are fewer than P identities.
    """

    def __init__(self, labels: Sequence[int], identities: int, instances: int, seed: int) -> None:
        self.identities, self.instances, self.seed = identities, instances, seed
        order = np.argsort(labels, kind="stable")
        cuts = np.flatnonzero(np.diff(np.asarray(labels)[order])) + 1
        self._pictures = np.split(order, cuts)
        if len(self._pictures) < identities:
            raise DataError(
                f"a batch needs {identities} identities (train.batch_size / train.instances), the training set has "
                f"{len(self._pictures)}: lower train.batch_size or use more identities"
            )
        self._plan = lru_cache(maxsize=2)(self._make_plan)
        self.length = lru_cache(maxsize=None)(self._length)

    def _length(self, epoch: int) -> int:
        return len(self._plan(epoch))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[list[int]]:
        """Indices of each batch from batch ``start`` on: K of one identity, K of the next, …"""
        yield from self._plan(epoch)[start:]

    def _make_plan(self, epoch: int) -> list[list[int]]:
        rng = np.random.default_rng((self.seed, epoch, TARGETS))
        groups = [self._groups(pictures, rng) for pictures in self._pictures]
        remaining = np.array([len(identity_groups) for identity_groups in groups])
        used = np.zeros_like(remaining)
        plan = []
        while len(available := np.flatnonzero(remaining)) >= self.identities:
            chosen = rng.choice(available, self.identities, replace=False)
            plan.append([index for identity in chosen for index in groups[identity][used[identity]]])
            used[chosen] += 1
            remaining[chosen] -= 1
        absent = np.flatnonzero(used == 0)
        if len(absent):
            others = rng.choice(np.flatnonzero(used), self.identities - len(absent), replace=False)
            plan.append(
                [
                    index
                    for identity in rng.permutation(np.concatenate((absent, others)))
                    for index in self._groups(self._pictures[identity], rng)[0]
                ]
            )
        return plan

    def _groups(self, pictures: np.ndarray, rng: np.random.Generator) -> list[list[int]]:
        """An identity's pictures of one epoch in groups of K."""
        count, k = len(pictures), self.instances
        if count < k:  # all of them, and some again
            pictures = np.concatenate((pictures, rng.choice(pictures, k - count)))
        shuffled = rng.permutation(pictures)
        return shuffled[: len(shuffled) // k * k].reshape(-1, k).tolist()


def _batch_sizes(pictures: int, batch_size: int) -> list[int]:
    full, remainder = divmod(pictures, batch_size)
    sizes = [batch_size] * full + ([remainder] if remainder else [])
    if batch_size > 1 and remainder == 1 and full:
        sizes[-2:] = [3] if batch_size == 2 else [batch_size // 2 + 1, batch_size - batch_size // 2]
    return sizes
