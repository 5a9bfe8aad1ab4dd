"""The processes that train one run together, and what each of them takes of a batch."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TypeVar

from benchmark.config.cell_pattern import nearest_hint
from benchmark.config.parse import convert, entries
from benchmark.config.resolve import Config
from benchmark.errors import SettingsError

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """This process among the ones that a launcher started for one run, one a GPU.

    rank, size: its number and how many there are. local_rank, local_size: the same among those on its machine.
    attempt: the launcher's name of this attempt, a part of a file name that no other attempt at the run has.
    Raises ValueError for numbers that do not fit together, and for several ranks without an attempt.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    attempt: str = ""

    def __post_init__(self) -> None:
        if not (0 <= self.rank < self.size and 0 <= self.local_rank < self.local_size <= self.size):
            raise ValueError(f"{self}: ranks count from 0, and a machine has no more of them than there are")
        if self.size > 1 and (not self.attempt or "/" in self.attempt):
            raise ValueError(
                f"{self}: several ranks find each other by the name of their attempt, a file name"
            )


@dataclass(frozen=True)
class Shares:
    """How the ranks share a batch out: a contiguous part each, as even as possible, the first ranks one more.

    least: rows without which a rank's part is of no use, e.g. two where PWCA pairs them. If there are too few for all,
    the last ranks get none; they take a stand-in that counts nowhere, as every rank must take part in every step.
    """

    rank: int = 0
    ranks: int = 1
    least: int = 1

    def counts(self, rows: int) -> tuple[int, ...]:
        """How many of so many rows count for each rank; their sum is rows."""
        serving = max(1, min(self.ranks, rows // self.least))
        each, more = divmod(rows, serving)
        idle = self.ranks - serving
        return (each + 1,) * more + (each,) * (serving - more) + (0,) * idle

    def take(self, batch: Sequence[T]) -> Sequence[T]:
        """This rank's part, or the first ``least`` rows as its stand-in."""
        counts = self.counts(len(batch))
        start, count = sum(counts[: self.rank]), counts[self.rank]
        return batch[start : start + count] if count else batch[: self.least]


def training_shares(config: Config, world: World) -> Shares:
    """How a run's ranks share its training batches out."""
    return Shares(world.rank, world.size, 2 if _pairs_in_batch(config) else 1)


def share_parts(config: Config, parts: int) -> Shares:
    """How a rank cuts its share of a training batch into parts: as the ranks cut the batch, and none is a stand-in."""
    return Shares(ranks=parts, least=2 if _pairs_in_batch(config) else 1)


def require_divisible(config: Config, ranks: int, parts: int = 1) -> None:
    """Raises SettingsError if so many ranks cannot share a run's batches out evenly, each with rows to pair.

    parts: into which each rank cuts its share; for each of them the same holds.
    """
    train = config.settings.train
    total, rows = train.batch_size, "pictures"
    if (
        config.cell.task == "reid"
    ):  # whole identities, so that every share is as good a batch for PWCA's partners
        total, rows = train.batch_size // train.instances, "identities"
    least = 2 if _pairs_in_batch(config) else 1
    pieces = ranks * parts
    if pieces >= 1 and total % pieces == 0 and total // pieces >= least:
        return
    fitting = [number for number in range(1, total + 1) if total % number == 0 and total // number >= least]
    pairing = (
        f" and at least {least} of them, to pair within the share (model.pwca_pairing={config.pwca.pairing})"
        if least > 1
        else ""
    )
    each = f", each in {parts} parts (TUNE accumulate), {pieces} in all" if parts > 1 else ""
    raise SettingsError(
        f"{config.cell.id} by {ranks} processes, one a GPU{each}: a batch of {total} {rows} (train.batch_size="
        f"{train.batch_size}) is shared out, and each needs the same number of {rows}{pairing}. Use {_or(fitting)} "
        f"of them{' in all' if each else ''}, or another train.batch_size"
    )


def _pairs_in_batch(config: Config) -> bool:
    return config.pwca is not None and config.pwca.pairs_in_batch


def _or(numbers: Sequence[int]) -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} or {last}" if first else last


# --- ``TUNE="accumulate=2 recompute=true"``: what changes a run's speed and memory, not what it computes ---


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """How a training step is computed. No part of a run's identity; its result names it under ``device``.

    accumulate: parts that each rank's share of a batch is cut into, one on the device at a time. They are to a share
        what shares are to a batch: losses and gradients are the whole batch's, PWCA pairs within a part.
    recompute: keep only the blocks' inputs and compute the rest again in the backward pass (activation checkpointing).
    compile: torch.compile what leads to the branches' features.

    Raises SettingsError if accumulate is not positive.
    """

    accumulate: int = 1
    recompute: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        if self.accumulate < 1:
            raise SettingsError(f"TUNE: accumulate={self.accumulate}: a batch has at least one part")

    def __str__(self) -> str:
        """What ``parse`` reads as this; empty where nothing is tuned."""
        changed = {
            field.name: value
            for field in fields(self)
            if (value := getattr(self, field.name)) != field.default
        }
        return " ".join(f"{name}={str(value).lower()}" for name, value in changed.items())


def parse(text: str) -> Tuning:
    """``"accumulate=2 compile=true"`` to a Tuning.

    Raises SettingsError for unknown names (naming the nearest), wrong types, malformed entries and nonsense.
    """
    types, values = typing.get_type_hints(Tuning), {}
    for name, value in entries(text, "TUNE", f"name=value, e.g. {_described()}"):
        if name not in types:
            raise SettingsError(
                f"TUNE: unknown name {name!r}{nearest_hint(name, types)}. It takes {_described()}"
            )
        try:
            values[name] = convert(value, types[name])
        except (TypeError, ValueError) as error:
            raise SettingsError(f"TUNE: {name}={value!r} {error}") from error
    return Tuning(**values)


def _described() -> str:
    return " ".join(f"{name}={str(value).lower()}" for name, value in asdict(Tuning()).items())
