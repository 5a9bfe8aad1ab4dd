"""Description of a setting beside its name and type, kept in the metadata of its field (no torch)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

_KEY = "setting"


@dataclass(frozen=True)
class OpenReading:
    """A point on which the paper is silent or can be read in two ways.

    question: in one sentence. options: the possible values and what they do, the default first.
    """

    question: str
    options: str


@dataclass(frozen=True, kw_only=True)
class SettingInfo:
    """The description of one setting: the only place of these facts.

    explanation: what it is, in a phrase. task: ``fgvc`` or ``reid``, the only task that has it; "" for both.
    reading: the point of the paper that it decides; None where the paper is clear, or the setting is none of the
        method's recipe. Only with such settings changed do numbers stay comparable with the paper's.
    since: version of the numbers (``NUMBERS_VERSION``) of which records existed before the setting did; None for a
        setting that all records have. former: what those runs did, as a value of the setting.
    """

    explanation: str
    task: str = ""
    reading: OpenReading | None = None
    since: int | None = None
    former: object = None


def description(
    explanation: str,
    *,
    task: str = "",
    reading: OpenReading | None = None,
    since: int | None = None,
    former: object = None,
) -> Mapping[str, SettingInfo]:
    """The metadata of a setting's field. Arguments: as in ``SettingInfo``."""
    return {
        _KEY: SettingInfo(explanation=explanation, task=task, reading=reading, since=since, former=former)
    }


def setting_text(value: object) -> str:
    """A setting's value as SET takes it: ``550,550``, ``true``, ``0.1``."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def descriptions(section: type) -> Iterator[tuple[str, SettingInfo]]:
    """Name and description of every setting of a section, a dataclass."""
    for one in fields(section):
        yield one.name, one.metadata[_KEY]
