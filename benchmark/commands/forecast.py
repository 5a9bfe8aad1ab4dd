"""`python -m benchmark forecast`: a few steps of every distinct shape, measured here; what the runs will take."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.commands import launch, options
from benchmark.commands.command_line import COMPLETE, INCOMPLETE, STOPPED
from benchmark.config import resolve
from benchmark.config.applicability import require_free, require_meaning
from benchmark.config.compute_setup import parse, require_divisible
from benchmark.config.places import Places
from benchmark.config.resolve import Config, Profile
from benchmark.data import locate
from benchmark.errors import DataError, SettingsError
from benchmark.records import forecasts, provenance
from benchmark.records.estimate import Estimate, estimate_from_forecast
from benchmark.records.forecasts import Forecast, Machine
from benchmark.records.workload import (
    DatasetCounts,
    count_dataset,
    counts_key,
    official_counts,
    step_workload,
)
from benchmark.timing import forecast_table
from benchmark.timing.forecast import Setting, complete, keys_of, run, wants
from benchmark.training import device

NOTES = """\
Weights are random, since time does not depend on their values. Start-up is not in it, nor what several ranks tell each
other. Without workers pictures are read between the steps; with some, the slower of reading and computing counts."""


def told(arguments: argparse.Namespace) -> int:
    """Measure what is lacking and print the table; returns 1 if something could not be measured."""
    profile, overrides = resolve.load_profile(arguments.profile), resolve.parse_overrides(arguments.overrides)
    cells, seeds = options.cells(arguments), options.seeds(arguments.seeds)
    require_meaning(overrides, cells)
    require_free(overrides, cells)
    places = options.places(arguments)
    asked = [resolve.resolve(cell, seeds[0], profile, overrides) for cell in cells]
    setting = _setting(arguments, profile, places, len(cells) * len(seeds))
    if places.generated:
        from benchmark.data.mini.sets import write

        write(places.data, dict.fromkeys(cell.dataset for cell in cells))
    for one in asked:
        require_divisible(one, 1, parse(arguments.tune).accumulate)
    counted = _count(asked, places)
    runs = [(one, counted[counts_key(one)]) for one in asked]
    path = forecasts.forecast_path(places.runs, profile.name, setting.machine)
    _keep_counts(path, setting.machine, runs)
    try:
        measured, problems = complete(path, setting.machine, wants(runs, setting), again=arguments.again)
    except KeyboardInterrupt:
        print("interrupted: what was measured is kept; the same command goes on from there", file=sys.stderr)
        return STOPPED
    _print(arguments, setting, measured, runs, problems, seeds=len(seeds))
    print(f"\nwritten to {path}", flush=True)
    if not problems:
        return COMPLETE
    print(f"error: not all of it is forecast: {next(iter(problems.values()))}", file=sys.stderr)
    return INCOMPLETE


def _setting(arguments: argparse.Namespace, profile: Profile, places: Places, runs: int) -> Setting:
    """What a launch of so many runs here would give each of them."""
    chosen = device.choose(arguments.device, profile.name, profile.device)
    slots = launch.plan_slots(chosen, runs, arguments.jobs)
    threads = device.threads_of(profile, slots.threads)
    workers = arguments.workers
    if workers is None:
        workers = device.workers_of(profile, slots.threads, on_gpu=bool(slots.gpus))
    name = provenance.cpu_name()
    if chosen == "cuda":
        name = run("rehearse", "device_name", device_type=chosen, threads=threads)["name"]
    found, tuning = Machine.of(chosen, name, threads), str(parse(arguments.tune))
    return Setting(found, threads, workers, arguments.overrides, tuning, places.data)


def _count(asked: Sequence[Config], places: Places) -> dict[str, DatasetCounts]:
    """By counts_key: of the data at hand, else the official ones. Raises SettingsError where DATA is no folder."""
    if places.data is not None and not places.data.is_dir():
        raise SettingsError(
            f"DATA={places.data} is no folder: expected the one that holds the datasets, or no DATA to go by official "
            "counts"
        )
    found: dict[str, DatasetCounts] = {}
    for one in asked:
        key, dataset = counts_key(one), one.cell.dataset
        if key in found:
            continue
        if places.data is None:
            found[key] = official_counts(one)
            continue
        try:
            found[key] = count_dataset(one, locate.load_dataset(dataset, places.data, one.settings.data))
        except DataError as error:
            print(f"WARNING: {dataset} cannot be read, official counts stand in: {error}", file=sys.stderr)
            found[key] = official_counts(one)
    return found


def _keep_counts(path: Path, found: Machine, runs: Sequence[tuple[Config, DatasetCounts]]) -> None:
    by = forecasts.measurement_origin()
    entries = {counts_key(one): forecasts.entry(counts, one.cell.dataset, by) for one, counts in runs}
    forecasts.add_entries(path, found, counts=entries)


def _print(
    arguments: argparse.Namespace,
    setting: Setting,
    measured: Forecast,
    runs: Sequence[tuple[Config, DatasetCounts]],
    problems: dict[str, str],
    *,
    seeds: int,
) -> None:
    found: dict[forecast_table.Pair, dict[str, Estimate]] = {}
    lacking: dict[str, list[str]] = {}
    for one, counts in runs:
        of_pair = found.setdefault((one.cell.dataset, one.cell.backbone), {})
        if why := [problems[key] for key in keys_of(one, counts, setting) if key in problems]:
            lacking.setdefault(why[0], []).append(one.cell.id)
        else:
            of_pair[one.cell.method] = estimate_from_forecast(
                one, measured, counts, workers=setting.workers, tuning=setting.tuning
            )
    table = forecast_table.Told(setting.machine, found, seeds, _published(arguments, runs))
    print(
        _heading(arguments, setting, measured, runs),
        NOTES,
        "",
        forecast_table.table(table),
        "",
        *forecast_table.totals(table),
        sep="\n",
    )
    print(
        f"workers of a run: {setting.workers}",
        *forecast_table.rests_on(runs, measured, setting.workers),
        sep="\n",
    )
    for why, cells in lacking.items():
        print(f"not forecast: {', '.join(cells)}: {why}")
    for line in forecast_table.finished(options.collect(arguments)):
        print(line)


def _heading(
    arguments: argparse.Namespace,
    setting: Setting,
    measured: Forecast,
    runs: Sequence[tuple[Config, DatasetCounts]],
) -> str:
    paces = (measured.pace(step_workload(one, counts.classes, setting.tuning)) for one, counts in runs)
    precisions = dict.fromkeys(pace.precision for pace in paces if pace)
    made = provenance.collect()
    versions = ", ".join(f"{name} {number}" for name, number in made["versions"].items())
    tuned = f", TUNE {setting.tuning}" if setting.tuning else ""
    return (
        f"forecast, {resolve.load_profile(arguments.profile).title}\n"
        f"{setting.machine}, {' and '.join(precisions) or 'nothing measured'}{tuned}; {versions}; "
        f"commit {str(made['commit'])[:12]}{provenance.changes_text(made['dirty'])}"
    )


def _published(
    arguments: argparse.Namespace, runs: Sequence[tuple[Config, DatasetCounts]]
) -> set[forecast_table.Pair]:
    if not resolve.is_comparable(arguments.profile, resolve.parse_overrides(arguments.overrides)):
        return set()
    whole = ((one, counts) for one, counts in runs if counts.is_complete(official_counts(one)))
    return {(one.cell.dataset, one.cell.backbone) for one, _ in whole}
