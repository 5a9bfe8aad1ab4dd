"""``python -m reports robustness FOLDER …``: table and plot of the results of `benchmark evaluate --corrupt`."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmark.atomic import write_file
from benchmark.commands import options
from reports.robustness import record, table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "folders", nargs="+", type=Path, help="folders that hold robustness.json, RUNS/PROFILE/robustness/…"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write robustness.md, .csv, .png and .pdf into each folder, and print the table."""
    for folder in map(options.absolute, arguments.folders):
        results = record.read(folder)
        stem = folder / record.FILE_STEM
        texts = {".md": table.markdown(results), ".csv": table.csv_text(results)}
        for suffix, text in texts.items():
            write_file(stem.with_suffix(suffix), lambda stream, text=text: stream.write(text.encode()))
        from reports.heatmaps.overlay import save
        from reports.robustness import figure

        figures = save(figure.draw(results), stem)
        print(f"\n{texts['.md']}")
        for file in (*map(stem.with_suffix, texts), *figures):
            print(f"written: {file}")
    return 0
