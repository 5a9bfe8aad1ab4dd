"""Measuring what a machine's forecast lacks, each in a fresh process, and keeping it at once."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.errors import RunError
from benchmark.records import forecasts
from benchmark.records.forecasts import Forecast, Machine
from benchmark.timing.forecast import Want
from benchmark.timing.measure import measure


def complete(
    path: Path, machine: Machine, wanted: Sequence[Want], *, again: bool
) -> tuple[Forecast, dict[str, str]]:
    """A machine's forecast with everything wanted that can be measured, and of the rest by key why it cannot.

    path: the forecast's file, which has every measurement as soon as it is made. again: measure also what this code
    measured with this torch before. Raises RunError as store.add.
    """
    by, forecast, problems = forecasts.measured_by(), forecasts.add(path, machine), {}
    lacking = [want for want in wanted if again or not _has(forecast, want, by)]
    for number, want in enumerate(lacking, start=1):
        print(f"measuring {number} of {len(lacking)}: {want.text}", file=sys.stderr)
        try:
            found = want.kind(**run(*want.work, **want.arguments))
        except RunError as error:
            problems[want.key] = str(error)
            print(f"  cannot be measured: {error}", file=sys.stderr)
            continue
        entries = {want.table: {want.key: forecasts.entry(found, want.of, by)}}
        forecast = forecasts.add(path, machine, **entries)
    return forecast, problems


def _has(forecast: Forecast, want: Want, by: dict[str, str]) -> bool:
    stored = getattr(forecast, want.table).get(want.key)
    readable = forecasts.measurement(want.kind, stored) is not None
    return readable and forecasts.is_fresh(stored, by) and want.is_met_by(stored)


def run(module: str, function: str, **arguments: object) -> dict[str, object]:
    """What a function of this package returns from a process of its own. Raises RunError with the reason in a line."""
    work = getattr(importlib.import_module(f"benchmark.timing.{module}"), function)
    try:
        return measure(work, **arguments).result
    except RunError as error:
        raise RunError(_reason(str(error))) from error


def _reason(said: str) -> str:
    """The exception's own line out of a process's last words."""
    if "ended with -9" in said:  # nobody else sends that
        return "the system ended it, most likely for want of memory: use a machine with more, or TUNE=accumulate=2"
    last = said.strip().splitlines()[-1]
    name, _, message = last.partition(": ")
    is_exception = name.replace(".", "").replace("_", "").isalnum() and message
    return message if is_exception else last
