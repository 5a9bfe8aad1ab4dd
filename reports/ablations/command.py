"""``python -m reports ablations``: write the page of the ablations from the run records. Nothing is trained."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from benchmark.config.variants import VARIANTS
from benchmark.records.provenance import now
from reports.ablations.inputs import PAGE_PATH, AblationInputs, read_ablations
from reports.ablations.page import write_page
from reports.page.html_table import ASSETS, write_site
from reports.page.inputs import add_page_arguments, parse_request

add_arguments = add_page_arguments


def run(arguments: argparse.Namespace) -> int:
    """Write the page and print its path. Without ablation runs there is no page, and no error."""
    inputs = read_ablations(parse_request(arguments, VARIANTS))
    if inputs.started:
        print(f"written: {write(inputs)}")
    else:
        print("no ablation is run there: make ablations runs them and writes their page")
    return 0


def write(inputs: AblationInputs) -> Path:
    """Write the page with its files, complete or not at all; return its index.html. Raises as ``write_site``."""

    def fill(new_folder: Path) -> None:
        shutil.copytree(ASSETS, new_folder / "assets")
        write_page(inputs, new_folder, f"{now()[:16].replace('T', ' ')} UTC")

    index = inputs.request.root.joinpath(*PAGE_PATH)
    write_site(index.parent, fill)
    return index
