"""``python -m reports ablations``: write the page of the ablations, from the run records. Trains nothing."""

from __future__ import annotations

import argparse

from benchmark.config.variants import VARIANTS
from reports.ablations.inputs import gather
from reports.page import options

add_arguments = options.add_arguments


def run(arguments: argparse.Namespace) -> int:
    """Write the page and say where it lies; where no ablation is run there is none, and that is no error."""
    gathered = gather(options.asked_for(arguments, VARIANTS))
    if not gathered.started:
        print("no ablation is run there: make ablations runs them and writes their page")
        return 0
    from reports.ablations import site

    print(f"written: {site.write(gathered)}")
    return 0
