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
from reports.page.html_table import HtmlCell, HtmlColumn, HtmlTable, text_cell


def readings_table(profile: str, runs: Iterable[RunView]) -> HtmlTable:
    """Show one row per open reading. runs: all runs of the report; finished ones give the values used."""
    done = [run for run in runs if run.state == "done"]
    return HtmlTable(
        "readings",
        "Settings that the paper leaves open",
        (
            HtmlColumn("Setting"),
            HtmlColumn("Question"),
            HtmlColumn("Options"),
            HtmlColumn("Profile's default"),
            HtmlColumn("Used"),
        ),
        tuple(_row(name, reading, profile, done) for name, reading in READINGS.items()),
        sortable=False,
    )


def _row(name: str, reading: OpenReading, profile: str, done: list[RunView]) -> tuple[HtmlCell, ...]:
    return (
        text_cell(name, "code"),
        text_cell(reading.question, "prose"),
        text_cell(reading.options, "prose"),
        text_cell(_defaults(name, profile), "prose"),
        text_cell(_used(name, done) or "no finished run", "prose"),
    )


def _defaults(name: str, profile: str) -> str:
    """Format the profile's defaults: ``16 (fine-grained), 64 (re-identification)``, and values of single datasets."""
    tables = load_profile(profile).tables
    titles = TASK_NAMES | {key: row.column for key, row in DATASETS.items()}
    values = {title: tables.get(section, {}).get(name) for section, title in titles.items()}
    texts = {title: setting_text(value) for title, value in values.items() if value is not None}
    return _values_text(texts) or "none"


def _used(name: str, done: list[RunView]) -> str:
    """Format the values of finished runs, by task where they differ.

    A run is done only if its record has the hash of the settings shown here, so these are the values that it used.
    """
    values: dict[str, dict[str, None]] = {}
    for run in done:
        settings = run.config.determining
        if name in settings:
            values.setdefault(TASK_NAMES[run.cell.task], {})[setting_text(settings[name])] = None
    return _values_text({task: " and ".join(texts) for task, texts in values.items()})


def _values_text(values: Mapping[str, str]) -> str:
    """Join values by their title; one value for all is written once."""
    if len(values) > 1 and len(set(values.values())) == 1:
        return next(iter(values.values()))
    return ", ".join(f"{value} ({title})" for title, value in values.items())
