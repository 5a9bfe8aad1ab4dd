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


def config_from_record(record: Mapping[str, object], source: str) -> Config:
    """The settings of a run as its config.json recorded them, whatever the recipe says by now.

    record: its ``profile`` and ``identity``. source: they are from, for errors.
    Raises RunError for an identity that is none, SettingsError for a setting, cell or profile that is unknown here.
    """
    try:
        identity, profile = record["identity"], load_profile(record["profile"])
        register_recorded(identity)
        cell_id, _, seed = identity["run"].rpartition("/seed")
        values = {key: typed(key, value, source) for key, value in identity["settings"].items()}
        config = resolve(named(cell_id), int(seed), profile, {**CAME_LATER, **values})
        return replace(config, tag=identity["weights"]["tag"], identity=identity)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{source} does not say which run it is of: {type(error).__name__} {error}") from error


def view_as_recorded(view: RunView) -> RunView:
    """A run that was finished with other settings than were asked for as done, with its own; any other as it is."""
    if view.state != "stale":
        return view
    result, _ = read_result(view.folder)
    record = read_json(view.folder.config)
    if result is None or record is None:
        return view
    try:
        config = config_from_record(record, str(view.folder.config))
    except (RunError, SettingsError) as error:
        return replace(view, reason=str(error))
    if config.hash != result["config_hash"]:
        return replace(
            view, reason="config.json is of other settings than result.json; copy the run folder again"
        )
    return replace(view, state="done", reason="", result=result, config=config)


def changed_settings(config: Config) -> dict[str, object]:
    """The settings of a run that are not its profile's of today: what SET made of them."""
    profile_values = resolve(
        config.cell, config.seed, load_profile(config.profile), {}
    ).settings.named_values()
    run_values = config.settings.named_values()
    return {name: run_values[name] for name in config.determining if run_values[name] != profile_values[name]}


def set_text(config: Config) -> str:
    """``train.epochs=3 data.crop=48,64``: the SET that gives a run its settings; "" where the profile does."""
    return " ".join(
        f"{name}={shlex.quote(setting_text(value))}" for name, value in changed_settings(config).items()
    )


def require_agreement(overrides: str, runs: Iterable[tuple[RunFolder, Config]]) -> None:
    """Raises SettingsError where SET names another value than the record of a finished run, which is read as it is.

    overrides: SET as it was given. What has no meaning for a run contradicts nothing.
    """
    values = parse_overrides(overrides)
    for folder, config in runs:
        if not (contradiction := _contradiction(values, config)):
            continue
        run_set = set_text(config)
        advice = (
            f"with SET={shlex.quote(run_set)}; give that SET, or none"
            if run_set
            else "without SET: leave it out"
        )
        other = next(
            (path for path in _stale_folders(folder) if not _contradiction(values, _finished_config(path))),
            None,
        )
        hint = f"; a run with this SET was set aside: name {other.path}" if other else ""
        raise SettingsError(
            f"SET={shlex.quote(overrides)} contradicts {folder.path}, where {contradiction}: a finished run is read as "
            f"it was made, {advice}{hint}"
        )


def training_differences(first_config: Config, second_config: Config) -> str:
    """How two methods were trained otherwise, apart from their cross-attentions and how often they were evaluated.

    ``train.epochs 3 and 16``, or "".
    """
    first, second = dict(first_config.identity["settings"]), dict(second_config.identity["settings"])
    names = (first.keys() & second.keys()) - {*DCAL_ONLY, "evaluate.every"}
    differences = [
        f"{name} {setting_text(first[name])} and {setting_text(second[name])}"
        for name in sorted(names)
        if first[name] != second[name]
    ]
    if first_config.identity["weights"] != second_config.identity["weights"]:
        differences.append("the pretrained weights")
    return ", ".join(differences)


def _contradiction(overrides: Mapping[str, object], config: Config | None) -> str:
    """``train.epochs is 16``: the first setting of SET that a run has otherwise; "" where there is none."""
    if config is None:
        return "its settings are not recorded"
    run_values, determining = config.settings.named_values(), config.determining
    for name, value in overrides.items():
        if name in determining and run_values[name] != value:
            return f"{name} is {setting_text(run_values[name])}"
    return ""


def _stale_folders(folder: RunFolder) -> list[RunFolder]:
    """Runs of the same seed that RERUN=stale moved away, the newest first."""
    name = re.compile(rf"{re.escape(folder.path.name)}\.stale-[\d-]+")
    beside = folder.path.parent.glob(f"{folder.path.name}.stale-*")
    return [RunFolder(path) for path in sorted(beside, reverse=True) if name.fullmatch(path.name)]


def _finished_config(folder: RunFolder) -> Config | None:
    """Of a finished run that was set aside; None where it is none or does not say."""
    result, _ = read_result(folder)
    record = read_json(folder.config)
    try:
        return config_from_record(record, str(folder.config)) if result and record else None
    except (RunError, SettingsError):
        return None
