"""``python -m reports ablations``: write the page of the ablations, from the run records. Trains nothing."""

from __future__ import annotations

import argparse

from benchmark.variants import VARIANTS
from reports.ablations.gathered import gather
from reports.page import page_options

add_arguments = page_options.add_arguments


def run(arguments: argparse.Namespace) -> int:
    """Write the page and say where it lies; where no ablation is run there is none, and that is no error."""
    gathered = gather(page_options.asked_for(arguments, VARIANTS))
    if not gathered.started:
        print("no ablation is run there: make ablations runs them and writes their page")
        return 0
    from reports.ablations import ablation_site

    print(f"written: {ablation_site.write(gathered)}")
    return 0
