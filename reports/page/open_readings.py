"""Table of the open readings: question and options of the settings, the profile's default, and the values of
finished runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from benchmark.config.datasets import DATASETS
from benchmark.config.model_settings import OpenReading, setting_text
from benchmark.config.resolve import load_profile
from benchmark.config.settings import READINGS, TASK_NAMES
from benchmark.records.status import RunView
from reports.page.html_table import Column, Entry, Sheet, word


def sheet(profile: str, runs: Iterable[RunView]) -> Sheet:
    """One row a reading. runs: all that are asked for; the finished ones tell what was used."""
    done = [run for run in runs if run.state == "done"]
    return Sheet(
        "readings",
        "Where the paper is silent or reads two ways",
        (
            Column("Setting"),
            Column("Question"),
            Column("Options"),
            Column("Profile's default"),
            Column("Used"),
        ),
        tuple(_row(name, reading, profile, done) for name, reading in READINGS.items()),
        sortable=False,
    )


def _row(name: str, reading: OpenReading, profile: str, done: list[RunView]) -> tuple[Entry, ...]:
    return (
        word(name, "code"),
        word(reading.question, "prose"),
        word(reading.options, "prose"),
        word(_defaults(name, profile), "prose"),
        word(_used(name, done) or "no finished run", "prose"),
    )


def _defaults(name: str, profile: str) -> str:
    """``16 (fine-grained), 64 (re-identification)``, with the datasets that have a value of their own."""
    loaded = load_profile(profile)
    words = {**TASK_NAMES} | {key: row.column for key, row in DATASETS.items()}
    found = {section: loaded.tables.get(section, {}).get(name) for section in (*TASK_NAMES, *DATASETS)}
    given = {words[section]: setting_text(value) for section, value in found.items() if value is not None}
    return _values_text(given) or "none"


def _used(name: str, done: list[RunView]) -> str:
    """The values of finished runs, by task where these differ.

    A run is done only if its record has the hash of the settings it is shown under, so these are what it was made with.
    """
    by_task: dict[str, dict[str, None]] = {}
    for run in done:
        settings = run.config.determining
        if name in settings:
            by_task.setdefault(TASK_NAMES[run.cell.task], {})[setting_text(settings[name])] = None
    return _values_text({task: " and ".join(values) for task, values in by_task.items()})


def _values_text(given: Mapping[str, str]) -> str:
    if len(given) > 1 and len(set(given.values())) == 1:
        return next(iter(given.values()))
    return ", ".join(f"{value} ({where})" for where, value in given.items())
