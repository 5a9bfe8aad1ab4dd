"""Values of settings: from text or TOML to the type that `settings.py` declares, or a refusal."""

from __future__ import annotations

import math
import shlex
import typing
from collections.abc import Mapping, Sequence
from functools import cache

from benchmark.config.cell_pattern import LIKELY, nearest_hint
from benchmark.config.settings import Settings
from benchmark.errors import SettingsError


@cache
def setting_types() -> Mapping[str, object]:
    """Dotted name → type of every setting."""
    return {
        f"{section}.{name}": type_
        for section, section_type in typing.get_type_hints(Settings).items()
        for name, type_ in typing.get_type_hints(section_type).items()
    }


def typed(name: str, value: object, where: str) -> object:
    """A setting's value in its own type. Raises SettingsError for an unknown name or a wrong type."""
    types = setting_types()
    if name not in types:
        raise SettingsError(
            f"{where}: unknown setting {name!r}{nearest_hint(name, types)}. `make settings` lists them all"
        )
    try:
        return convert(value, types[name])
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{where}: {name}={value!r} {error}") from error


def convert(value: object, type_: object) -> object:
    """value as type_. Raises TypeError or ValueError that reads on from "name=value"."""
    origin = typing.get_origin(type_)
    if origin is typing.Literal:
        choices = typing.get_args(type_)
        if value not in choices:
            raise ValueError(
                f"is not one of {', '.join(choices)}{nearest_hint(str(value), choices, cutoff=LIKELY)}"
            )
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)) or len(value) != len(typing.get_args(type_)):
            raise TypeError("is not a pair of whole numbers like 550,550")
        return tuple(convert(item, kind) for item, kind in zip(value, typing.get_args(type_), strict=True))
    if type_ is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type_:
        kinds = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
        raise TypeError(f"is not {kinds[type_]}")
    return value


def entries(text: str, option: str, example: str) -> list[tuple[str, object]]:
    """``"train.epochs=3 data.pad=2"`` to names and values. option: SET or TUNE, for its errors; example: of an entry.

    Raises SettingsError for a quote that does not end and for an entry without a value.
    """
    try:
        parts = shlex.split(text)
    except ValueError as error:
        raise SettingsError(f"{option}={text!r}: {error}") from error
    pairs = []
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals:
            raise SettingsError(f"{option} entry {part!r} has no value: expected {example}")
        pairs.append((name, literal(value)))
    return pairs


def literal(text: str) -> object:
    """A value from the command line: true, 3, 0.1, 5e-4, 550,550 or a bare word."""
    if "," in text:
        return [literal(part) for part in text.split(",")]
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


# --- Durations, amounts and long lists as text ---


def duration(seconds: float | None) -> str:
    """``0.52 s``, ``45 s``, ``12 min``, ``3 h 05 min``, ``2 d 3 h``.

    A dash for None; ``unknown`` for what is not finite, as a damaged record may say.
    """
    if seconds is None:
        return "–"
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 99.5:
        return f"{seconds:.2g} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours = round(seconds / 3600)
    return f"{minutes // 60} h {minutes % 60:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def hours(value: float) -> str:
    """``< 0.001``, ``0.0062``, ``0.31``, ``15.2``, ``1,204``."""
    if 0 < value < 0.001:
        return "< 0.001"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def memory(count: int) -> str:
    """Bytes as ``0.93 GiB``."""
    return f"{count / 2**30:.2f} GiB"


def amount(number: int, noun: str) -> str:
    """``1 run`` or ``1,204 runs``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def abridged(items: Sequence[str], limit: int = 1, separator: str = ", ") -> str:
    """The first ``limit`` items and how many more there are: ``a, b and 3 more``; of sentences ``a; b; and 3 more``."""
    rest = len(items) - limit
    ending = f"{separator.rstrip(', ')} and {rest:,} more" if rest > 0 else ""
    return separator.join(items[:limit]) + ending


def natural_number(text: str, digits: int = 9) -> int | None:
    """The number that a text of decimal digits alone is, at most so many of them; None for every other text.

    Nine digits fit into the 32 bits that records have for identities and cameras.
    """
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= digits else None
