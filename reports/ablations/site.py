"""The ablations' page with its files, swapped in as a whole."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmark.records.provenance import now
from reports.ablations import page
from reports.ablations.inputs import PLACE, Gathered
from reports.page import render
from reports.page.site import write_site


def write(gathered: Gathered) -> Path:
    """Write the page, whole or not at all; returns its index.html. Raises RunError as ``write_site``."""

    def fill(beside: Path) -> None:
        shutil.copytree(render.ASSETS, beside / "assets")
        page.write(gathered, beside, f"{now()[:16].replace('T', ' ')} UTC")

    index = gathered.asked.root.joinpath(*PLACE)
    write_site(index.parent, fill)
    return index
