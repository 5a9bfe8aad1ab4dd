"""``python -m reports page``, ``ablations``, ``heatmaps``, ``heatmap``, ``overlay``, ``attention``, ``robustness``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from benchmark.commands.command_line import Parser, exit_status, status_of

# verb → (module with add_arguments(parser) and run(arguments) -> exit status, purpose)
VERBS = {
    "page": ("reports.page.command", "write the report: one folder of pages, from the run records"),
    "heatmaps": (
        "reports.heatmaps.pair_heatmaps",
        "draw rollout heatmaps of baseline and DCAL for test pictures",
    ),
    "heatmap": (
        "reports.heatmaps.any_image_command",
        "draw the heatmap of any picture with any checkpoint or timm weights",
    ),
    "overlay": (
        "reports.heatmaps.overlay_command",
        "draw a trained model's attention over pictures, as benchmark predict uses it",
    ),
    "attention": (
        "reports.heatmaps.attention_command",
        "measure how concentrated attention is, over the whole test set",
    ),
    "ablations": (
        "reports.ablations.command",
        "write the page of the ablations, from the run records",
    ),
    "robustness": (
        "reports.robustness.command",
        "write table and plot of the results of benchmark evaluate --corrupt",
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(
        prog="python -m reports", description="Write pages and figures from run records and checkpoints."
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, (module, purpose) in VERBS.items():
        importlib.import_module(module).add_arguments(
            verbs.add_parser(name, help=purpose, description=purpose)
        )
    options = parser.parse_args(arguments)
    return status_of(lambda: importlib.import_module(VERBS[options.verb][0]).run(options))


if __name__ == "__main__":
    sys.exit(exit_status(main))
