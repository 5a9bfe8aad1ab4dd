"""`python -m benchmark forecast`: a few steps of every distinct shape, measured here; what the runs will take."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark import config, device, options, pool, provenance
from benchmark.config import Config, Profile
from benchmark.data import sources
from benchmark.errors import DataError, SettingsError
from benchmark.exit_codes import COMPLETE, INCOMPLETE, STOPPED
from benchmark.forecast import show, store
from benchmark.forecast.counts import Counts, counts_key, of_dataset, official
from benchmark.forecast.estimate import Estimate, from_stored
from benchmark.forecast.measuring import complete, run
from benchmark.forecast.shapes import shape_of
from benchmark.forecast.store import Forecast, Machine
from benchmark.forecast.wants import Setting, keys_of, wants
from benchmark.meaning import require_free, require_meaning
from benchmark.places import Places
from benchmark.tuning import parse
from benchmark.world import require_divisible

NOTES = """\
Weights are random, since time does not depend on their values. Start-up is not in it, nor what several ranks tell each
other. Without workers pictures are read between the steps; with some, the slower of reading and computing counts."""


def told(arguments: argparse.Namespace) -> int:
    """Measure what is lacking and print the table; returns 1 if something could not be measured."""
    profile, overrides = config.load_profile(arguments.profile), config.parse_overrides(arguments.overrides)
    cells, seeds = options.cells(arguments), options.seeds(arguments.seeds)
    require_meaning(overrides, cells)
    require_free(overrides, cells)
    places = options.places(arguments)
    asked = [config.resolve(cell, seeds[0], profile, overrides) for cell in cells]
    setting = _setting(arguments, profile, places, len(cells) * len(seeds))
    if places.generated:
        from benchmark.mini.sets import write

        write(places.data, dict.fromkeys(cell.dataset for cell in cells))
    for one in asked:
        require_divisible(one, 1, parse(arguments.tune).accumulate)
    counted = _count(asked, places)
    runs = [(one, counted[counts_key(one)]) for one in asked]
    path = store.path_of(places.runs, profile.name, setting.machine)
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
    slots = pool.plan_slots(chosen, runs, arguments.jobs)
    threads = pool.threads_of(profile, slots.threads)
    workers = arguments.workers
    if workers is None:
        workers = pool.workers_of(profile, slots.threads, on_gpu=bool(slots.gpus))
    name = provenance.cpu_name()
    if chosen == "cuda":
        name = run("steps", "device_name", device_type=chosen, threads=threads)["name"]
    found, tuning = Machine.of(chosen, name, threads), str(parse(arguments.tune))
    return Setting(found, threads, workers, arguments.overrides, tuning, places.data)


def _count(asked: Sequence[Config], places: Places) -> dict[str, Counts]:
    """By counts_key: of the data at hand, else the official ones. Raises SettingsError where DATA is no folder."""
    if places.data is not None and not places.data.is_dir():
        raise SettingsError(
            f"DATA={places.data} is no folder: expected the one that holds the datasets, or no DATA to go by official "
            "counts"
        )
    found: dict[str, Counts] = {}
    for one in asked:
        key, dataset = counts_key(one), one.cell.dataset
        if key in found:
            continue
        if places.data is None:
            found[key] = official(one)
            continue
        try:
            found[key] = of_dataset(one, sources.load_for(dataset, places.data, one.settings.data))
        except DataError as error:
            print(f"WARNING: {dataset} cannot be read, official counts stand in: {error}", file=sys.stderr)
            found[key] = official(one)
    return found


def _keep_counts(path: Path, found: Machine, runs: Sequence[tuple[Config, Counts]]) -> None:
    by = store.measured_by()
    entries = {counts_key(one): store.entry(counts, one.cell.dataset, by) for one, counts in runs}
    store.add(path, found, counts=entries)


def _print(
    arguments: argparse.Namespace,
    setting: Setting,
    measured: Forecast,
    runs: Sequence[tuple[Config, Counts]],
    problems: dict[str, str],
    *,
    seeds: int,
) -> None:
    found: dict[show.Pair, dict[str, Estimate]] = {}
    lacking: dict[str, list[str]] = {}
    for one, counts in runs:
        of_pair = found.setdefault((one.cell.dataset, one.cell.backbone), {})
        if why := [problems[key] for key in keys_of(one, counts, setting) if key in problems]:
            lacking.setdefault(why[0], []).append(one.cell.id)
        else:
            of_pair[one.cell.method] = from_stored(
                one, measured, counts, workers=setting.workers, tuning=setting.tuning
            )
    table = show.Told(setting.machine, found, seeds, _published(arguments, runs))
    print(
        _heading(arguments, setting, measured, runs),
        NOTES,
        "",
        show.table(table),
        "",
        *show.totals(table),
        sep="\n",
    )
    print(f"workers of a run: {setting.workers}", *show.rests_on(runs, measured, setting.workers), sep="\n")
    for why, cells in lacking.items():
        print(f"not forecast: {', '.join(cells)}: {why}")
    for line in show.finished(options.collect(arguments)):
        print(line)


def _heading(
    arguments: argparse.Namespace, setting: Setting, measured: Forecast, runs: Sequence[tuple[Config, Counts]]
) -> str:
    paces = (measured.pace(shape_of(one, counts.classes, setting.tuning)) for one, counts in runs)
    precisions = dict.fromkeys(pace.precision for pace in paces if pace)
    made = provenance.collect()
    versions = ", ".join(f"{name} {number}" for name, number in made["versions"].items())
    tuned = f", TUNE {setting.tuning}" if setting.tuning else ""
    return (
        f"forecast, {config.load_profile(arguments.profile).title}\n"
        f"{setting.machine}, {' and '.join(precisions) or 'nothing measured'}{tuned}; {versions}; "
        f"commit {str(made['commit'])[:12]}{provenance.changes_text(made['dirty'])}"
    )


def _published(arguments: argparse.Namespace, runs: Sequence[tuple[Config, Counts]]) -> set[show.Pair]:
    if not config.is_comparable(arguments.profile, config.parse_overrides(arguments.overrides)):
        return set()
    whole = ((one, counts) for one, counts in runs if counts.is_whole(official(one)))
    return {(one.cell.dataset, one.cell.backbone) for one, _ in whole}
