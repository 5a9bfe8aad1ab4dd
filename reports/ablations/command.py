"""``python -m reports ablations``: write the page of the ablations, from the run records. Trains nothing."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from benchmark.config.variants import VARIANTS
from benchmark.records.provenance import now
from reports.ablations import page
from reports.ablations.inputs import PLACE, Gathered, gather
from reports.page import html_table, inputs
from reports.page.html_table import write_site

add_arguments = inputs.add_arguments


def run(arguments: argparse.Namespace) -> int:
    """Write the page and say where it lies; where no ablation is run there is none, and that is no error."""
    gathered = gather(inputs.asked_for(arguments, VARIANTS))
    if not gathered.started:
        print("no ablation is run there: make ablations runs them and writes their page")
        return 0
    pass

    print(f"written: {write(gathered)}")
    return 0


# --- The ablations' page with its files, swapped in as a whole ---


def write(gathered: Gathered) -> Path:
    """Write the page, whole or not at all; returns its index.html. Raises RunError as ``write_site``."""

    def fill(beside: Path) -> None:
        shutil.copytree(html_table.ASSETS, beside / "assets")
        page.write(gathered, beside, f"{now()[:16].replace('T', ' ')} UTC")

    index = gathered.asked.root.joinpath(*PLACE)
    write_site(index.parent, fill)
    return index
