"""What a tracker shows of a run, as plain names and values out of its folder (no torch)."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Mapping

from benchmark.config.cell_pattern import nearest_hint
from benchmark.errors import SettingsError
from benchmark.records.run_folder import RunFolder, read_json

Plain = bool | int | float | str


def numbers(entry: Mapping[str, object]) -> dict[str, float]:
    """An entry's numbers by name, ``loss/sa`` for what lies deeper; its epoch is their step."""
    named = dict(_leaves(entry, "/"))
    return {
        name: value
        for name, value in named.items()
        if name != "epoch" and isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def settings(folder: RunFolder) -> dict[str, Plain]:
    """What the run is: its settings as SET has them, profile, hash, how much data, weights and commit."""
    config, provenance = read_json(folder.config) or {}, read_json(folder.provenance) or {}
    identity = dict(config.get("identity", {}))
    described = {
        **identity.pop("settings", {}),
        "profile": config.get("profile"),
        "hash": config.get("hash"),
        "coverage": config.get("data"),
        "commit": provenance.get("commit"),
        **identity,
    }
    return {name: _plain(value) for name, value in _leaves(described, ".")}


def _leaves(values: Mapping[str, object], separator: str) -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}{separator}{name}", leaf) for name, leaf in _leaves(value, separator))
        else:
            yield key, value


def _plain(value: object) -> Plain:
    if isinstance(value, (bool, int, float, str)):
        return value
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


# --- Which trackers there are, and which were asked for ---

TRACKERS = {"tensorboard": "TensorBoard", "wandb": "Weights & Biases"}  # by the package each of them needs


def parse(text: str) -> tuple[str, ...]:
    """``"tensorboard wandb"`` to names, in this order. Raises SettingsError for an unknown one, naming the nearest."""
    names = tuple(dict.fromkeys(text.replace(",", " ").split()))
    for name in names:
        if name not in TRACKERS:
            hint = nearest_hint(name.lower(), TRACKERS)
            raise SettingsError(f"TRACK: unknown tracker {name!r}{hint}. There are {' and '.join(TRACKERS)}")
    return names


def parse_installed(text: str) -> tuple[str, ...]:
    """As ``parse``, for who uses them here. Raises SettingsError also as ``require_installed``."""
    names = parse(text)
    require_installed(names)
    return names


def require_installed(names: Iterable[str]) -> None:
    """Raises SettingsError for a tracker whose package this Python has not."""
    for name in names:
        spec = importlib.util.find_spec(name)
        # A folder that has the name, and no package in it, is found too, and has no origin.
        if spec is None or spec.origin is None:
            raise SettingsError(
                f"TRACK={name}: the package {name}, which {TRACKERS[name]} needs, is not installed: `make optional` "
                "installs it"
            )
