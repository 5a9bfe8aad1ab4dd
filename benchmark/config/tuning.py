"""``TUNE="accumulate=2 recompute=true"``: what changes a run's speed and memory, not what it computes (no torch)."""

from __future__ import annotations

import typing
from dataclasses import asdict, dataclass, fields

from benchmark.config.close_match import nearest_hint
from benchmark.config.parse import convert, entries
from benchmark.errors import SettingsError


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
        asked = {
            field.name: value
            for field in fields(self)
            if (value := getattr(self, field.name)) != field.default
        }
        return " ".join(f"{name}={str(value).lower()}" for name, value in asked.items())


def parse(text: str) -> Tuning:
    """``"accumulate=2 compile=true"`` to a Tuning.

    Raises SettingsError for unknown names (naming the nearest), wrong types, malformed entries and nonsense.
    """
    known, values = typing.get_type_hints(Tuning), {}
    for name, value in entries(text, "TUNE", f"name=value, e.g. {_described()}"):
        if name not in known:
            raise SettingsError(
                f"TUNE: unknown name {name!r}{nearest_hint(name, known)}. It takes {_described()}"
            )
        try:
            values[name] = convert(value, known[name])
        except (TypeError, ValueError) as error:
            raise SettingsError(f"TUNE: {name}={value!r} {error}") from error
    return Tuning(**values)


def _described() -> str:
    return " ".join(f"{name}={str(value).lower()}" for name, value in asdict(Tuning()).items())
