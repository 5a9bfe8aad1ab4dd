"""Samplers of PWCA's partner batches, and a check of the training batches for partners."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from benchmark.config.compute_setup import World, share_parts, training_shares
from benchmark.config.resolve import Config
from benchmark.data.samplers import PARTNERS, Sampler
from benchmark.errors import DataError, SettingsError
from dcal.settings import PWCASettings


def partner_batches(
    pwca: PWCASettings | None, labels: Sequence[int], targets: Sampler, seed: int
) -> Sampler | None:
    """Sampler of a run's partner batches; None without PWCA, or if it pairs within the batch.

    labels: class of each training picture.
    targets: sampler of the target batches.
    Raises DataError as ``ClassPartners``.
    """
    if pwca is None or not pwca.brings_partners:
        return None
    if pwca.pairing == "loader":
        return PartnerBatches(len(labels), targets, seed)
    return ClassPartners(labels, targets, seed, {"same": 1.0, "other": 0.0, "half": 0.5}[pwca.pairing])


class PartnerBatches:
    """Partners from an independently shuffled stream of the same pictures, in batches as large as the targets'.

    The stream is a sequence of permutations of the training set.
    """

    def __init__(self, pictures: int, targets: Sampler, seed: int) -> None:
        self.pictures, self.targets, self.seed = pictures, targets, seed

    def length(self, epoch: int) -> int:
        """Number of batches in this epoch, as of the targets."""
        return self.targets.length(epoch)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[list[int]]:
        """Indices of each batch from batch ``start`` on."""
        ends = np.cumsum([len(batch) for batch in self.targets.epoch(epoch)])
        rng = np.random.default_rng((self.seed, epoch, PARTNERS))
        rounds = -(-int(ends[-1]) // self.pictures)
        order = np.concatenate([rng.permutation(self.pictures) for _ in range(rounds)])[: ends[-1]]
        for batch in np.split(order, ends[:-1])[start:]:
            yield batch.tolist()


class ClassPartners:
    """Partners of the same class or of another class, drawn uniformly for each target.

    A partner only depends on the seed, the epoch and the position of its target in the epoch.

    labels: class of each training picture.
    same: probability of a partner of the same class, 0…1.
    Raises DataError if a picture has no such partner: a class of one picture, or a training set of one class.
    """

    def __init__(self, labels: Sequence[int], targets: Sampler, seed: int, same: float) -> None:
        self.targets, self.seed, self.same = targets, seed, same
        _, class_index, sizes = np.unique(labels, return_inverse=True, return_counts=True)
        # Pictures sorted by class: each class is one interval.
        self._ordered = np.argsort(class_index, kind="stable")
        self._place = np.argsort(self._ordered)
        self._size = sizes[class_index]
        self._start = (np.cumsum(sizes) - sizes)[class_index]
        if same and sizes.min() < 2:
            raise DataError(
                f"{np.count_nonzero(sizes < 2)} of {len(sizes)} training classes have one picture alone, which has no "
                "partner of its class: use model.pwca_pairing=other, batch or loader, or more pictures"
            )
        if same < 1 and len(sizes) < 2:
            raise DataError(
                "the training set has one class, so no picture has a partner of another: use model.pwca_pairing=same, "
                "batch or loader, or more classes"
            )

    def length(self, epoch: int) -> int:
        """Number of batches in this epoch, as of the targets."""
        return self.targets.length(epoch)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[list[int]]:
        """Indices of each batch from batch ``start`` on."""
        batches = list(self.targets.epoch(epoch))
        partners = self._draw_partners(
            np.concatenate(batches), np.random.default_rng((self.seed, epoch, PARTNERS))
        )
        ends = np.cumsum([len(batch) for batch in batches])
        for batch in np.split(partners, ends[:-1])[start:]:
            yield batch.tolist()

    def _draw_partners(self, targets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        place, size, start = self._place[targets], self._size[targets], self._start[targets]
        same = rng.random(len(targets)) < self.same
        offset = rng.integers(np.where(same, size - 1, len(self._place) - size))
        # For the same class the picture itself is skipped, for another class its whole class.
        same_class = start + offset + (start + offset >= place)
        other_class = offset + np.where(offset >= start, size, 0)
        return self._ordered[np.where(same, same_class, other_class)]


def require_other_classes(
    config: Config, labels: Sequence[int], batches: Sampler, ranks: int, parts: int
) -> None:
    """Check, before training, that all batches of a run contain two classes.

    Raises SettingsError if a batch, a rank's share of it or a part of that has pictures of only one class.

    labels: class of each training picture.
    parts: number of parts of each rank's share.
    """
    # Every share of a re-identification batch has two identities (world.require_divisible).
    if config.cell.task == "reid" or config.pwca is None or not config.pwca.pairs_by_features:
        return
    shares, part_shares = (
        training_shares(config, World(size=ranks, attempt="any")),
        share_parts(config, parts),
    )
    for epoch in range(config.settings.train.epochs):
        for step, batch in enumerate(batches.epoch(epoch), start=1):
            rows = iter(batch)
            sizes = [
                size for share in shares.counts(len(batch)) for size in part_shares.counts(share) if size
            ]
            if any(len({labels[index] for index in islice(rows, size)}) < 2 for size in sizes):
                share = "the batch" if len(sizes) == 1 else f"one of {len(sizes)} parts of the batch"
                raise SettingsError(
                    f"model.pwca_pairing={config.pwca.pairing} pairs with another class, but in step {step} of epoch "
                    f"{epoch + 1} {share} has pictures of one class alone: use another train.batch_size or seed, fewer "
                    "processes or parts, or another pairing"
                )
