"""A finished run as it is: the settings of its own record, and the SET that it was made with (no torch)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import replace

from benchmark.config.grid import named
from benchmark.config.model_settings import setting_text
from benchmark.config.parse import typed
from benchmark.config.resolve import Config, load_profile, parse_overrides, resolve
from benchmark.config.settings import CAME_LATER, DCAL_ONLY
from benchmark.data.own.register import register_recorded
from benchmark.errors import RunError, SettingsError
from benchmark.records.run_folder import RunFolder, read_json, read_result
from benchmark.records.status import RunView


def config_of(started: Mapping[str, object], where: str) -> Config:
    """The settings of a run as its config.json recorded them, whatever the recipe says by now.

    started: its ``profile`` and ``identity``. where: they are from, for errors.
    Raises RunError for an identity that is none, SettingsError for a setting, cell or profile that is unknown here.
    """
    try:
        identity, profile = started["identity"], load_profile(started["profile"])
        register_recorded(identity)
        cell_id, _, seed = identity["run"].rpartition("/seed")
        recorded = {key: typed(key, value, where) for key, value in identity["settings"].items()}
        config = resolve(named(cell_id), int(seed), profile, {**CAME_LATER, **recorded})
        return replace(config, tag=identity["weights"]["tag"], identity=identity)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{where} does not say which run it is of: {type(error).__name__} {error}") from error


def view_as_recorded(view: RunView) -> RunView:
    """A run that was finished with other settings than were asked for as done, with its own; any other as it is."""
    if view.state != "stale":
        return view
    result, _ = read_result(view.folder)
    started = read_json(view.folder.config)
    if result is None or started is None:
        return view
    try:
        config = config_of(started, str(view.folder.config))
    except (RunError, SettingsError) as error:
        return replace(view, reason=str(error))
    if config.hash != result["config_hash"]:
        return replace(
            view, reason="config.json is of other settings than result.json; copy the run folder again"
        )
    return replace(view, state="done", reason="", result=result, config=config)


def changed_settings(config: Config) -> dict[str, object]:
    """The settings of a run that are not its profile's of today: what SET made of them."""
    usual = resolve(config.cell, config.seed, load_profile(config.profile), {}).settings.named_values()
    own = config.settings.named_values()
    return {name: own[name] for name in config.determining if own[name] != usual[name]}


def set_text(config: Config) -> str:
    """``train.epochs=3 data.crop=48,64``: the SET that gives a run its settings; "" where the profile does."""
    return " ".join(
        f"{name}={shlex.quote(setting_text(value))}" for name, value in changed_settings(config).items()
    )


def require_agreement(overrides: str, runs: Iterable[tuple[RunFolder, Config]]) -> None:
    """Raises SettingsError where SET names another value than the record of a finished run, which is read as it is.

    overrides: SET as it was given. What has no meaning for a run contradicts nothing.
    """
    given = parse_overrides(overrides)
    for folder, config in runs:
        if not (differing := _contradiction(given, config)):
            continue
        made = set_text(config)
        own = f"with SET={shlex.quote(made)}; give that SET, or none" if made else "without SET: leave it out"
        other = next(
            (path for path in _set_aside(folder) if not _contradiction(given, _config_in(path))), None
        )
        hint = f"; a run with this SET was set aside: name {other.path}" if other else ""
        raise SettingsError(
            f"SET={shlex.quote(overrides)} contradicts {folder.path}, where {differing}: a finished run is read as it "
            f"was made, {own}{hint}"
        )


def unlike(one: Config, other: Config) -> str:
    """How two methods were trained otherwise, apart from their cross-attentions and how often they were evaluated.

    ``train.epochs 3 and 16``, or "".
    """
    first, second = dict(one.identity["settings"]), dict(other.identity["settings"])
    names = (first.keys() & second.keys()) - {*DCAL_ONLY, "evaluate.every"}
    found = [
        f"{name} {setting_text(first[name])} and {setting_text(second[name])}"
        for name in sorted(names)
        if first[name] != second[name]
    ]
    if one.identity["weights"] != other.identity["weights"]:
        found.append("the pretrained weights")
    return ", ".join(found)


def _contradiction(given: Mapping[str, object], config: Config | None) -> str:
    """``train.epochs is 16``: the first setting of SET that a run has otherwise; "" where there is none."""
    if config is None:
        return "its settings are not recorded"
    own, determining = config.settings.named_values(), config.determining
    for name, value in given.items():
        if name in determining and own[name] != value:
            return f"{name} is {setting_text(own[name])}"
    return ""


def _set_aside(folder: RunFolder) -> list[RunFolder]:
    """Runs of the same seed that RERUN=stale moved away, the newest first."""
    name = re.compile(rf"{re.escape(folder.path.name)}\.stale-[\d-]+")
    beside = folder.path.parent.glob(f"{folder.path.name}.stale-*")
    return [RunFolder(path) for path in sorted(beside, reverse=True) if name.fullmatch(path.name)]


def _config_in(folder: RunFolder) -> Config | None:
    """Of a finished run that was set aside; None where it is none or does not say."""
    result, _ = read_result(folder)
    started = read_json(folder.config)
    try:
        return config_of(started, str(folder.config)) if result and started else None
    except (RunError, SettingsError):
        return None
