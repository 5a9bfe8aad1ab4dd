"""Settings of finished runs from their records, and the SET that they were made with."""

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
    """The settings of a run as recorded in its config.json, whatever its recipe contains today.

    record: with ``profile`` and ``identity``.
    source: of the record, for error messages.
    Raises RunError for an invalid identity, SettingsError for an unknown setting, cell or profile.
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
    """Turn the view of a run finished with other settings into a done one with its own settings; keep any other."""
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
    """Settings of a run that differ from those of its profile today, and their values: the effect of SET."""
    profile_values = resolve(
        config.cell, config.seed, load_profile(config.profile), {}
    ).settings.named_values()
    run_values = config.settings.named_values()
    return {name: run_values[name] for name in config.determining if run_values[name] != profile_values[name]}


def set_text(config: Config) -> str:
    """The SET that gives a run its settings, ``train.epochs=3 data.crop=48,64``; "" for the profile's settings."""
    return " ".join(
        f"{name}={shlex.quote(setting_text(value))}" for name, value in changed_settings(config).items()
    )


def require_agreement(overrides: str, runs: Iterable[tuple[RunFolder, Config]]) -> None:
    """Raise SettingsError if SET contradicts the record of a finished run, whose own settings are used.

    overrides: the value of SET. Settings without meaning for a run contradict nothing.
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
        stale_run = next(
            (path for path in _stale_folders(folder) if not _contradiction(values, _finished_config(path))),
            None,
        )
        hint = f"; a run with this SET was set aside: name {stale_run.path}" if stale_run else ""
        raise SettingsError(
            f"SET={shlex.quote(overrides)} contradicts {folder.path}, where {contradiction}: a finished run is read as "
            f"it was made, {advice}{hint}"
        )


def training_differences(first_config: Config, second_config: Config) -> str:
    """Differences between the training of two methods, ``train.epochs 3 and 16``, or "".

    The settings of their cross-attentions and the evaluation interval do not count.
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
    """The first setting of SET that differs in the run, ``train.epochs is 16``; "" if none does."""
    if config is None:
        return "its settings are not recorded"
    run_values, determining = config.settings.named_values(), config.determining
    for name, value in overrides.items():
        if name in determining and run_values[name] != value:
            return f"{name} is {setting_text(run_values[name])}"
    return ""


def _stale_folders(folder: RunFolder) -> list[RunFolder]:
    """Runs of the same seed that RERUN=stale renamed, newest first."""
    name = re.compile(rf"{re.escape(folder.path.name)}\.stale-[\d-]+")
    beside = folder.path.parent.glob(f"{folder.path.name}.stale-*")
    return [RunFolder(path) for path in sorted(beside, reverse=True) if name.fullmatch(path.name)]


def _finished_config(folder: RunFolder) -> Config | None:
    """Settings of a renamed finished run; None if it is not finished or its settings are not readable."""
    result, _ = read_result(folder)
    record = read_json(folder.config)
    try:
        return config_from_record(record, str(folder.config)) if result and record else None
    except (RunError, SettingsError):
        return None
