"""``python -m reports page``, ``ablations``, ``heatmaps``, ``heatmap``, ``overlay``, ``attention``, ``robustness``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from benchmark.commands.command_line import Parser, exit_status, status_of

# verb → (module with add_arguments(parser) and run(arguments) -> exit status, what it does)
VERBS = {
    "page": ("reports.page.command", "write the report: one folder of pages, from the run records"),
    "heatmaps": (
        "reports.heatmaps.test_images",
        "draw rollout heatmaps of baseline and DCAL on test pictures",
    ),
    "heatmap": (
        "reports.heatmaps.any_image_command",
        "draw the heatmap of any picture with any checkpoint or timm weights",
    ),
    "overlay": (
        "reports.heatmaps.overlay_command",
        "draw where a trained model looks in pictures, as benchmark predict shows them",
    ),
    "attention": (
        "reports.heatmaps.attention_command",
        "measure how concentrated attention is over the whole test set",
    ),
    "ablations": (
        "reports.ablations.command",
        "write the page of the ablations, from the run records",
    ),
    "robustness": (
        "reports.robustness.command",
        "draw table and plot of what benchmark evaluate --corrupt found",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(prog="python -m reports", description="Pictures and pages of the runs.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, (module, does) in VERBS.items():
        importlib.import_module(module).add_arguments(verbs.add_parser(name, help=does, description=does))
    asked = parser.parse_args(arguments)
    return status_of(lambda: importlib.import_module(VERBS[asked.verb][0]).run(asked))


if __name__ == "__main__":
    sys.exit(exit_status(main))
