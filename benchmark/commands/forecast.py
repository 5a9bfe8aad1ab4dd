"""`python -m benchmark forecast`: a few steps of every distinct shape, measured here; what the runs will take."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.commands import options, pool
from benchmark.commands.command_line import COMPLETE, INCOMPLETE, JOBS, STOPPED, Command, whole_number
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
from benchmark.timing import forecast_table, glca_overhead
from benchmark.timing.forecast import Setting, complete, measurement_keys, measurement_requests, run
from benchmark.training import device

NOTES = """\
Weights are random, since time does not depend on their values. Start-up is not in it, nor what several ranks tell each
other. Without workers pictures are read between the steps; with some, the slower of reading and computing counts."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which runs, on what, and whether to measure anew."""
    options.add_grid(parser)
    options.add_machine(parser)
    parser.add_argument(
        "--jobs", type=whole_number(1, JOBS), default=None, help="runs at once, as launch has it"
    )
    parser.add_argument("--again", action="store_true", help="measure also what was measured before")


def forecast(arguments: argparse.Namespace) -> int:
    """Measure a few steps of every distinct shape here, and print what the runs will take."""
    profile, overrides = resolve.load_profile(arguments.profile), resolve.parse_overrides(arguments.overrides)
    cells, seeds = options.cells(arguments), options.seeds(arguments.seeds)
    require_meaning(overrides, cells)
    require_free(overrides, cells)
    places = options.places(arguments)
    configs = [resolve.resolve(cell, seeds[0], profile, overrides) for cell in cells]
    setting = _setting(arguments, profile, places, len(cells) * len(seeds))
    if places.generated:
        from benchmark.data.mini.sets import write

        write(places.data, dict.fromkeys(cell.dataset for cell in cells))
    for config in configs:
        require_divisible(config, 1, parse(arguments.tune).accumulate)
    counts_by_key = _count(configs, places)
    runs = [(config, counts_by_key[counts_key(config)]) for config in configs]
    path = forecasts.forecast_path(places.runs, profile.name, setting.machine)
    _keep_counts(path, setting.machine, runs)
    try:
        measured, problems = complete(
            path, setting.machine, measurement_requests(runs, setting), again=arguments.again
        )
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
    slots = pool.plan_slots(chosen, runs, arguments.jobs)
    threads = device.threads_of(profile, slots.threads)
    workers = arguments.workers
    if workers is None:
        workers = device.workers_of(profile, slots.threads, on_gpu=bool(slots.gpus))
    name = provenance.cpu_name()
    if chosen == "cuda":
        name = run("rehearse", "device_name", device_type=chosen, threads=threads)["name"]
    machine, tuning = Machine.of(chosen, name, threads), str(parse(arguments.tune))
    return Setting(machine, threads, workers, arguments.overrides, tuning, places.data)


def _count(configs: Sequence[Config], places: Places) -> dict[str, DatasetCounts]:
    """By counts_key: of the data at hand, else the official ones. Raises SettingsError where DATA is no folder."""
    if places.data is not None and not places.data.is_dir():
        raise SettingsError(
            f"DATA={places.data} is no folder: expected the one that holds the datasets, or no DATA to go by official "
            "counts"
        )
    counts_by_key: dict[str, DatasetCounts] = {}
    for config in configs:
        key, dataset = counts_key(config), config.cell.dataset
        if key in counts_by_key:
            continue
        if places.data is None:
            counts_by_key[key] = official_counts(config)
            continue
        try:
            counts_by_key[key] = count_dataset(
                config, locate.load_dataset(dataset, places.data, config.settings.data)
            )
        except DataError as error:
            print(f"WARNING: {dataset} cannot be read, official counts stand in: {error}", file=sys.stderr)
            counts_by_key[key] = official_counts(config)
    return counts_by_key


def _keep_counts(path: Path, machine: Machine, runs: Sequence[tuple[Config, DatasetCounts]]) -> None:
    origin = forecasts.measurement_origin()
    entries = {
        counts_key(config): forecasts.entry(counts, config.cell.dataset, origin) for config, counts in runs
    }
    forecasts.add_entries(path, machine, counts=entries)


def _print(
    arguments: argparse.Namespace,
    setting: Setting,
    measured: Forecast,
    runs: Sequence[tuple[Config, DatasetCounts]],
    problems: dict[str, str],
    *,
    seeds: int,
) -> None:
    estimates: dict[forecast_table.Pair, dict[str, Estimate]] = {}
    unmeasured: dict[str, list[str]] = {}
    for config, counts in runs:
        pair_estimates = estimates.setdefault((config.cell.dataset, config.cell.backbone), {})
        if why := [problems[key] for key in measurement_keys(config, counts, setting) if key in problems]:
            unmeasured.setdefault(why[0], []).append(config.cell.id)
        else:
            pair_estimates[config.cell.method] = estimate_from_forecast(
                config, measured, counts, workers=setting.workers, tuning=setting.tuning
            )
    table = forecast_table.ForecastTable(setting.machine, estimates, seeds, _published(arguments, runs))
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
    for why, cells in unmeasured.items():
        print(f"not forecast: {', '.join(cells)}: {why}")
    for line in forecast_table.finished(options.collect(arguments)):
        print(line)


def _heading(
    arguments: argparse.Namespace,
    setting: Setting,
    measured: Forecast,
    runs: Sequence[tuple[Config, DatasetCounts]],
) -> str:
    paces = (measured.pace(step_workload(config, counts.classes, setting.tuning)) for config, counts in runs)
    precisions = dict.fromkeys(pace.precision for pace in paces if pace)
    origin = provenance.collect()
    versions = ", ".join(f"{name} {number}" for name, number in origin["versions"].items())
    tuned = f", TUNE {setting.tuning}" if setting.tuning else ""
    return (
        f"forecast, {resolve.load_profile(arguments.profile).title}\n"
        f"{setting.machine}, {' and '.join(precisions) or 'nothing measured'}{tuned}; {versions}; "
        f"commit {str(origin['commit'])[:12]}{provenance.changes_text(origin['dirty'])}"
    )


def _published(
    arguments: argparse.Namespace, runs: Sequence[tuple[Config, DatasetCounts]]
) -> set[forecast_table.Pair]:
    if not resolve.is_comparable(arguments.profile, resolve.parse_overrides(arguments.overrides)):
        return set()
    full_runs = ((config, counts) for config, counts in runs if counts.is_complete(official_counts(config)))
    return {(config.cell.dataset, config.cell.backbone) for config, _ in full_runs}


def count_overhead(arguments: argparse.Namespace) -> int:
    """Count what GLCA adds to a baseline at the paper's sizes, and write it for the ablation table."""
    path = forecasts.glca_cost_path(
        options.places(arguments).runs, resolve.load_profile(arguments.profile).name
    )
    print(glca_overhead.text(glca_overhead.complete(path)))
    return 0


COMMANDS = {"forecast": Command(forecast, add_arguments), "overhead": Command(count_overhead)}
