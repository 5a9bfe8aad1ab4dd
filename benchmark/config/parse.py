"""Values of settings: from text or TOML to the type that `settings.py` declares, or a refusal (no torch)."""

from __future__ import annotations

import shlex
import typing
from collections.abc import Mapping
from functools import cache

from benchmark.config.close_match import LIKELY, nearest_hint
from benchmark.config.settings import Settings
from benchmark.errors import SettingsError


@cache
def known_settings() -> Mapping[str, object]:
    """Dotted name → type of every setting."""
    return {
        f"{section}.{name}": type_
        for section, section_type in typing.get_type_hints(Settings).items()
        for name, type_ in typing.get_type_hints(section_type).items()
    }


def typed(name: str, value: object, where: str) -> object:
    """A setting's value in its own type. Raises SettingsError for an unknown name or a wrong type."""
    known = known_settings()
    if name not in known:
        raise SettingsError(
            f"{where}: unknown setting {name!r}{nearest_hint(name, known)}. `make settings` lists them all"
        )
    try:
        return convert(value, known[name])
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
    found = []
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals:
            raise SettingsError(f"{option} entry {part!r} has no value: expected {example}")
        found.append((name, literal(value)))
    return found


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
