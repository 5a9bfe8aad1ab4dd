"""What has to be measured for a forecast: each shape, way of reading pictures and gallery once (no torch)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmark.config.datasets import DATASETS
from benchmark.config.resolve import Config
from benchmark.errors import RunError
from benchmark.records import forecasts
from benchmark.records.forecasts import Forecast, Machine, Pace, RankingTime, ReadingPace, ranking_key
from benchmark.records.workload import AT_HAND, DatasetCounts, reading_key, step_workload
from benchmark.timing.measure import measure


@dataclass(frozen=True)
class MeasurementRequest:
    """One measurement. table, key: its place in a Forecast. text: for the user; of: for readers of the file.

    kind: what comes out. work: module and function of the measured process; arguments: the function's.
    """

    table: str
    key: str
    text: str
    of: object
    kind: type[Pace | ReadingPace | RankingTime]
    work: tuple[str, str]
    arguments: Mapping[str, object]

    def is_met_by(self, stored: Mapping) -> bool:
        """Whether a measurement is of the same pictures or better: generated ones are a makeshift."""
        return self.table != "pictures" or not self.arguments["data"] or bool(stored["found"].get("at_hand"))


@dataclass(frozen=True)
class Setting:
    """What all runs of a forecast have in common. overrides, tuning: as SET and TUNE have them. data: of the datasets.

    workers: decoding processes of a run.
    """

    machine: Machine
    threads: int
    workers: int
    overrides: str
    tuning: str
    data: Path | None


def measurement_keys(config: Config, counts: DatasetCounts, setting: Setting) -> tuple[str, ...]:
    """Of everything that a run's forecast rests on."""
    read = reading_key(config.cell.dataset, config.settings.data, in_process=not setting.workers)
    ranked = (ranking_key(counts),) if counts.gallery else ()
    return step_workload(config, counts.classes, setting.tuning).key, read, *ranked


def measurement_requests(
    runs: Iterable[tuple[Config, DatasetCounts]], setting: Setting
) -> list[MeasurementRequest]:
    """Everything that these runs' forecasts rest on, each once, in the order of the runs."""
    requests: dict[str, MeasurementRequest] = {}
    for config, counts in runs:
        for want in (
            _pace(config, counts, setting),
            _pictures(config, counts, setting),
            _ranking(counts, setting),
        ):
            if want is not None:
                requests.setdefault(want.key, want)
    return list(requests.values())


def _run(config: Config, setting: Setting) -> dict[str, object]:
    return {"cell": config.cell.id, "profile": config.profile, "overrides": setting.overrides}


def _machine(setting: Setting) -> dict[str, object]:
    return {"device_type": setting.machine.type, "threads": setting.threads}


def _pace(config: Config, counts: DatasetCounts, setting: Setting) -> MeasurementRequest:
    shape = step_workload(config, counts.classes, setting.tuning)
    arguments = _run(config, setting) | _machine(setting)
    arguments |= {"tuning": setting.tuning, "classes": counts.classes}
    return MeasurementRequest(
        "paces", shape.key, str(shape), asdict(shape), Pace, ("rehearse", "rehearse"), arguments
    )


def _pictures(config: Config, counts: DatasetCounts, setting: Setting) -> MeasurementRequest:
    data, in_process = config.settings.data, not setting.workers
    at_hand = str(setting.data) if counts.source == AT_HAND else ""
    return MeasurementRequest(
        "pictures",
        reading_key(config.cell.dataset, data, in_process=in_process),
        f"reading {DATASETS[config.cell.dataset].title}{'' if at_hand else ', generated pictures'}",
        {"dataset": config.cell.dataset, "data": asdict(data), "in_process": in_process},
        ReadingPace,
        ("forecast_input", "read"),
        _run(config, setting) | {"data": at_hand, "in_process": in_process},
    )


def _ranking(counts: DatasetCounts, setting: Setting) -> MeasurementRequest | None:
    if not counts.gallery:
        return None
    sizes = {name: getattr(counts, name) for name in ("queries", "gallery", "identities", "cameras")}
    text = f"ranking {counts.queries:,} × {counts.gallery:,}"
    arguments = sizes | _machine(setting)
    return MeasurementRequest(
        "rankings", ranking_key(counts), text, sizes, RankingTime, ("forecast_input", "rank"), arguments
    )


# --- Measuring what a machine's forecast lacks, each in a fresh process, and keeping it at once ---


def complete(
    path: Path, machine: Machine, requests: Sequence[MeasurementRequest], *, again: bool
) -> tuple[Forecast, dict[str, str]]:
    """A machine's forecast with everything wanted that can be measured, and of the rest by key why it cannot.

    path: the forecast's file, which has every measurement as soon as it is made. again: measure also what this code
    measured with this torch before. Raises RunError as ``forecasts.add_entries``.
    """
    origin, forecast, problems = forecasts.measurement_origin(), forecasts.add_entries(path, machine), {}
    pending = [want for want in requests if again or not _is_stored(forecast, want, origin)]
    for number, want in enumerate(pending, start=1):
        print(f"measuring {number} of {len(pending)}: {want.text}", file=sys.stderr)
        try:
            measurement = want.kind(**run(*want.work, **want.arguments))
        except RunError as error:
            problems[want.key] = str(error)
            print(f"  cannot be measured: {error}", file=sys.stderr)
            continue
        entries = {want.table: {want.key: forecasts.entry(measurement, want.of, origin)}}
        forecast = forecasts.add_entries(path, machine, **entries)
    return forecast, problems


def _is_stored(forecast: Forecast, want: MeasurementRequest, origin: dict[str, str]) -> bool:
    stored = getattr(forecast, want.table).get(want.key)
    readable = forecasts.parse_measurement(want.kind, stored) is not None
    return readable and forecasts.is_fresh(stored, origin) and want.is_met_by(stored)


def run(module: str, function: str, **arguments: object) -> dict[str, object]:
    """What a function of this package returns from a process of its own. Raises RunError with the reason in a line."""
    work = getattr(importlib.import_module(f"benchmark.timing.{module}"), function)
    try:
        return measure(work, **arguments).result
    except RunError as error:
        raise RunError(_reason(str(error))) from error


def _reason(output: str) -> str:
    """The exception's own line out of a process's last words."""
    if "ended with -9" in output:  # nobody else sends that
        return "the system ended it, most likely for want of memory: use a machine with more, or TUNE=accumulate=2"
    last = output.strip().splitlines()[-1]
    name, _, message = last.partition(": ")
    is_exception = name.replace(".", "").replace("_", "").isalnum() and message
    return message if is_exception else last
