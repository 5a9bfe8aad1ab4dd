"""Samplers of training batches. They depend only on seed and epoch, so a run can be resumed within an epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Protocol

import numpy as np

from benchmark.errors import DataError

# Numbers of the two independent random streams of one (seed, epoch).
TARGETS, PARTNERS = 0, 1


class Sampler(Protocol):
    """Batches of indices into a training split."""

    def length(self, epoch: int) -> int:
        """Number of batches in this epoch."""

    def epoch(self, epoch: int, start: int = 0) -> Iterator[list[int]]:
        """Indices of each batch from batch ``start`` on."""


class ShuffledBatches:
    """Every picture once per epoch, in a new order. Baseline and DCAL get the same batches.

    A last batch of one picture could not be paired: the last two batches then share their pictures equally (with
    batches of two, the last one has three).

    pictures: size of the training set.
    batch_size: pictures per step.
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
        """Number of batches in this epoch, the same in all epochs."""
        return len(self.sizes)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[list[int]]:
        """Indices of each batch from batch ``start`` on."""
        order = np.random.default_rng((self.seed, epoch, TARGETS)).permutation(self.pictures)
        for batch in np.split(order, np.cumsum(self.sizes)[:-1])[start:]:
            yield batch.tolist()


class IdentityBatches:
    """Batches of P identities × K pictures, for batch-hard triplets (Re-ID), as TransReID's sampler.

    In every epoch the pictures of each identity are shuffled and divided into groups of K. An identity with fewer than
    K pictures is filled up by drawing from them with replacement; a remainder is dropped. P identities with unused
    groups are drawn at random, one group of each, until fewer than P have any. If an identity then has not appeared in
    the epoch, one more batch contains it, filled with new groups of other identities: no identity misses an epoch.

    labels: identity of each training picture.
    identities: P. instances: K.
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
            selected = rng.choice(available, self.identities, replace=False)
            plan.append([index for identity in selected for index in groups[identity][used[identity]]])
            used[selected] += 1
            remaining[selected] -= 1
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
        """The pictures of an identity in one epoch, in groups of K."""
        count, k = len(pictures), self.instances
        if count < k:  # all of them, and some repeated
            pictures = np.concatenate((pictures, rng.choice(pictures, k - count)))
        shuffled = rng.permutation(pictures)
        return shuffled[: len(shuffled) // k * k].reshape(-1, k).tolist()


def _batch_sizes(pictures: int, batch_size: int) -> list[int]:
    full, remainder = divmod(pictures, batch_size)
    sizes = [batch_size] * full + ([remainder] if remainder else [])
    if batch_size > 1 and remainder == 1 and full:
        sizes[-2:] = [3] if batch_size == 2 else [batch_size // 2 + 1, batch_size - batch_size // 2]
    return sizes
