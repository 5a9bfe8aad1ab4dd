"""``python -m reports robustness FOLDER …``: table and plot of what `benchmark evaluate --corrupt` found."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmark.atomic import write_file
from benchmark.commands import options
from reports.robustness import record, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which records."""
    parser.add_argument(
        "folders", nargs="+", type=Path, help="folders that hold robustness.json, RUNS/PROFILE/robustness/…"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write robustness.md, .csv, .png and .pdf into each folder, and print the table."""
    for folder in map(options.absolute, arguments.folders):
        found = record.read(folder)
        stem = folder / record.NAME
        text, rows = table.markdown(found), table.csv_text(found)
        write_file(stem.with_suffix(".md"), lambda stream, text=text: stream.write(text.encode()))
        write_file(stem.with_suffix(".csv"), lambda stream, rows=rows: stream.write(rows.encode()))
        from reports.heatmaps.overlay import save
        from reports.robustness.figure import figure

        drawn = save(figure(found), stem)
        print(f"\n{text}")
        for file in (stem.with_suffix(".md"), stem.with_suffix(".csv"), *drawn):
            print(f"written: {file}")
    return 0
