"""From a profile file and command-line overrides to a run's settings and their hash."""

from __future__ import annotations

import hashlib
import json
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from benchmark.config.applicability import (
    applicable_settings,
    belongs_to_other,
    check_values,
    is_glca_without,
)
from benchmark.config.backbones import BACKBONES
from benchmark.config.cell_pattern import LIKELY, nearest_hint
from benchmark.config.datasets import DATASETS, is_own
from benchmark.config.grid import Cell
from benchmark.config.parse import convert, entries, typed
from benchmark.config.settings import (
    CAME_LATER,
    DCAL_ONLY,
    GLCA_ONLY,
    NUMBERS_VERSION,
    PWCA_ONLY,
    READINGS,
    TASK_NAMES,
    Settings,
)
from benchmark.config.variants import VARIANTS, fixed
from benchmark.errors import SettingsError
from dcal.settings import GLCASettings, PWCASettings

RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Profile:
    """A profile file. ``tables`` holds the dotted settings and their values: by task; for one dataset alone, by
    dataset; for one backbone alone, by backbone; for one variant alone, by variant. Where they differ, the later of
    these four counts."""

    name: str
    title: str
    pictures: typing.Literal["official", "generated"]
    backbones: typing.Literal["real", "mini"]
    comparable: bool
    device: typing.Literal["auto", "cpu", "cuda"]
    tables: Mapping[str, Mapping[str, object]]


@dataclass(frozen=True)
class Config:
    """What determines one run's numbers, besides the data's content.

    identity: all of it as plain JSON values; hash: sha256 over it.
    """

    cell: Cell
    seed: int
    profile: str
    settings: Settings
    tag: str
    identity: Mapping[str, object]

    @property
    def run_id(self) -> str:
        return f"{self.cell.id}/seed{self.seed}"

    @property
    def glca(self) -> GLCASettings | None:
        """GLCA of this run; None where it has none."""
        return _glca(self.settings, self.cell)

    @property
    def pwca(self) -> PWCASettings | None:
        """PWCA of this run, or what takes its place; None where it has none."""
        return _pwca(self.settings, self.cell)

    @property
    def determining(self) -> dict[str, object]:
        """Dotted name → value of every setting that the numbers depend on: those of the identity, and those that were
        added later and stay out of it at their former value.
        """
        settings = dict(self.identity["settings"])
        for name, value in CAME_LATER.items():
            if (self.glca if name in GLCA_ONLY else self.pwca) is not None:
                settings.setdefault(name, value)
        return settings

    @property
    def hash(self) -> str:
        canonical = json.dumps(self.identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def profiles() -> tuple[str, ...]:
    """Names of the profiles at hand, one recipe file each."""
    return tuple(sorted(path.stem for path in RECIPES.glob("*.toml")))


def load_profile(name: str) -> Profile:
    """Read ``recipes/<name>.toml`` on top of its base. Raises SettingsError for anything unknown in it."""
    document = _read(name, ())
    header = document.pop("profile", {})
    _check_fields(header, Profile, f"recipe {name}, section [profile]", optional=("name", "tables"))
    tables: dict[str, dict[str, object]] = {}
    for owner, sections in document.items():
        if owner not in (*TASK_NAMES, *DATASETS, *BACKBONES, *VARIANTS):
            raise SettingsError(
                f"recipe {name}: unknown section [{owner}]; expected [profile], a task: {', '.join(TASK_NAMES)}, a "
                f"dataset: {', '.join(DATASETS)}, a backbone: {', '.join(BACKBONES)}, or a variant of the ablations"
            )
        tables[owner] = {}
        for section, values in sections.items():
            for key, value in values.items():
                dotted = f"{section}.{key}"
                tables[owner][dotted] = typed(dotted, value, f"recipe {name}")
        if owner in BACKBONES and (idle := [key for key in tables[owner] if is_glca_without(key, owner)]):
            raise SettingsError(f"recipe {name}: [{owner}] sets {idle[0]}, but {owner} has no GLCA")
        if owner in VARIANTS and (other := tables[owner].keys() - fixed(owner).keys()):
            raise SettingsError(
                f"recipe {name}: [{owner}] sets {min(other)}; a variant's section only says what it fixes to another "
                f"value in this profile: {', '.join(fixed(owner))}"
            )
    return Profile(name=name, tables=tables, **header)


def _read(name: str, chain: tuple[str, ...]) -> dict[str, typing.Any]:
    path = RECIPES / f"{name}.toml"
    if name in chain:
        raise SettingsError(f"recipes name each other as base: {' → '.join((*chain, name))}")
    if not path.is_file():
        hint = nearest_hint(name, profiles(), cutoff=LIKELY)
        raise SettingsError(f"unknown profile {name!r}: expected one of {', '.join(profiles())}{hint}")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"recipe {path} is not valid TOML: {error}") from error
    base = document.pop("base", None)
    return _merged(_read(base, (*chain, name)), document) if base else document


def _merged(under: dict[str, typing.Any], over: dict[str, typing.Any]) -> dict[str, typing.Any]:
    result = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _merged(result[key], value) if both else value
    return result


def parse_overrides(text: str) -> dict[str, object]:
    """``"train.epochs=3 model.glca_readout=mean"`` to typed values by dotted name.

    Raises SettingsError for unknown names (naming the nearest), wrong types and malformed entries.
    """
    return {name: typed(name, value, "SET") for name, value in entries(text, "SET", "section.name=value")}


def is_comparable(profile: str, changed: Iterable[str] = ()) -> bool:
    """Whether a profile's numbers, on full data, may stand beside the paper's.

    changed: dotted names of settings that differ from the profile's; only readings of the paper may.
    """
    return profile in profiles() and load_profile(profile).comparable and set(changed) <= set(READINGS)


def resolve(cell: Cell, seed: int, profile: Profile, overrides: Mapping[str, object]) -> Config:
    """The settings of one run; overrides that have no meaning for its cell, or that its variant fixes, are left out.

    Raises SettingsError where the profile lacks a value or a value makes no sense.
    """
    if cell.task not in profile.tables:
        raise SettingsError(
            f"profile {profile.name} has no [{cell.task}] recipe; add one to recipes/{profile.name}.toml"
        )
    recipe = {**profile.tables[cell.task], **profile.tables.get(cell.dataset, {})}
    if foreign := [name for name in recipe if belongs_to_other(name, cell.task)]:
        raise SettingsError(f"recipe {profile.name}: {foreign[0]} has no meaning in {cell.task}")
    values = {
        **recipe,
        **applicable_settings(profile.tables.get(cell.backbone, {}), cell),
        **applicable_settings(overrides, cell),
        **applicable_settings(fixed(cell.method), cell),
        **applicable_settings(profile.tables.get(cell.method, {}), cell),
    }
    sections: dict[str, dict[str, object]] = {}
    for dotted, value in values.items():
        section, _, name = dotted.partition(".")
        sections.setdefault(section, {})[name] = value
    types_ = typing.get_type_hints(Settings)
    for section, type_ in types_.items():
        absent = [
            field.name
            for field in fields(type_)
            if field.name not in sections.get(section, {})
            and not belongs_to_other(f"{section}.{field.name}", cell.task)
        ]
        if absent:
            raise SettingsError(f"profile {profile.name} gives no value for {section}.{min(absent)}")
    settings = Settings(**{section: type_(**sections[section]) for section, type_ in types_.items()})
    check_values(settings, cell)
    backbone = BACKBONES[cell.backbone]
    tag = backbone.mini if profile.backbones == "mini" else backbone.tag
    identity = {
        "numbers_version": NUMBERS_VERSION,
        "run": f"{cell.id}/seed{seed}",
        "weights": _weights_identity(tag, profile),
        "pictures": _pictures_identity(profile, cell.dataset),
        "settings": _determining(settings, cell),
    }
    return Config(cell, seed, profile.name, settings, tag, identity)


def _determining(settings: Settings, cell: Cell) -> dict[str, object]:
    flat = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in settings.named_values().items()
    }
    without = {name for name, value in CAME_LATER.items() if flat[name] == value}
    if cell.method == "baseline":
        without |= set(DCAL_ONLY)
    # Of a branch that is switched off only that counts.
    if _glca(settings, cell) is None:
        without |= set(GLCA_ONLY) - {"model.glca_blocks"}
    if _pwca(settings, cell) is None:
        without |= set(PWCA_ONLY) - {"model.pwca_blocks"}
    return applicable_settings({name: value for name, value in flat.items() if name not in without}, cell)


def _glca(settings: Settings, cell: Cell) -> GLCASettings | None:
    without = cell.method == "baseline" or not BACKBONES[cell.backbone].glca
    return None if without else settings.model.glca()


def _pwca(settings: Settings, cell: Cell) -> PWCASettings | None:
    return None if cell.method == "baseline" else settings.model.pwca()


def _weights_identity(tag: str, profile: Profile) -> dict[str, object]:
    """Real weights are identified by their pinned tag; the mini ones can be trained anew, so by their content."""
    if profile.backbones == "real":
        return {"tag": tag}
    from benchmark.config.backbones import sha256_of, weights_file

    return {"tag": tag, "sha256": sha256_of(tag) if weights_file(tag).is_file() else "none"}


def _pictures_identity(profile: Profile, dataset: str) -> str:
    if is_own(dataset):
        return "own"
    if profile.pictures == "official":
        return "official"
    return f"generated, version {DATASETS[dataset].mini_version}"


def _check_fields(values: Mapping[str, object], type_: type, where: str, optional: tuple[str, ...]) -> None:
    hints = {name: hint for name, hint in typing.get_type_hints(type_).items() if name not in optional}
    if unknown := values.keys() - hints.keys():
        raise SettingsError(f"{where}: unknown {', '.join(sorted(unknown))}; expected {', '.join(hints)}")
    if lacking := hints.keys() - values.keys():
        raise SettingsError(f"{where}: no value for {', '.join(sorted(lacking))}")
    for name, hint in hints.items():
        if not isinstance(hint, types.UnionType):
            try:
                convert(values[name], hint)
            except (TypeError, ValueError) as error:
                raise SettingsError(f"{where}: {name}={values[name]!r} {error}") from error
