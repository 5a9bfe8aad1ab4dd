"""Which trackers there are, and which were asked for (no torch)."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

from benchmark.config.close_match import nearest_hint
from benchmark.errors import SettingsError

TRACKERS = {"tensorboard": "TensorBoard", "wandb": "Weights & Biases"}  # by the package each of them needs


def parse(text: str) -> tuple[str, ...]:
    """``"tensorboard wandb"`` to names, in this order. Raises SettingsError for an unknown one, naming the nearest."""
    names = tuple(dict.fromkeys(text.replace(",", " ").split()))
    for name in names:
        if name not in TRACKERS:
            hint = nearest_hint(name.lower(), TRACKERS)
            raise SettingsError(f"TRACK: unknown tracker {name!r}{hint}. There are {' and '.join(TRACKERS)}")
    return names


def asked(text: str) -> tuple[str, ...]:
    """As ``parse``, for who uses them here. Raises SettingsError also as ``require_installed``."""
    names = parse(text)
    require_installed(names)
    return names


def require_installed(names: Iterable[str]) -> None:
    """Raises SettingsError for a tracker whose package this Python has not."""
    for name in names:
        found = importlib.util.find_spec(name)
        # A folder that has the name, and no package in it, is found too, and has no origin.
        if found is None or found.origin is None:
            raise SettingsError(
                f"TRACK={name}: the package {name}, which {TRACKERS[name]} needs, is not installed: `make optional` "
                "installs it"
            )
