"""`python -m benchmark evaluate --corrupt`: models on pictures made worse, with table and plot."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmark.commands import options, predict
from benchmark.commands.command_line import INCOMPLETE
from benchmark.data.corruptions import Corruption
from benchmark.errors import SuiteError
from benchmark.inference.reevaluate import EvaluationOptions
from benchmark.inference.robustness import NAME, ModelGroup, evaluate_model, require_comparable
from benchmark.inference.trained import TrainedModel, load_trained


def evaluate_corrupted(
    arguments: argparse.Namespace, paths: Sequence[Path], corruptions: Sequence[Corruption], unfinished: int
) -> int:
    """Evaluate, and write a folder for each dataset and backbone with its table and plot.

    Returns 1 where pictures as they are do not give the recorded numbers, and where one of several models could not be
    evaluated, which stops no other; else the exit status of the drawing. A single one's error is raised.
    """
    groups: dict[Path, ModelGroup] = {}
    wrong = False
    for path in paths:
        try:
            wrong |= _add(groups, arguments, path, corruptions) == "different"
        except SuiteError as error:
            if len(paths) == 1:
                raise
            wrong = True
            print(f"{path}: left out: {error}", file=sys.stderr)
    status = predict.run_reports([NAME, *map(str, groups)]) if groups else INCOMPLETE
    if not wrong and not unfinished:
        return status
    reason = (
        "gave their recorded numbers, why is said above" if wrong else f"are finished: {unfinished} left out"
    )
    print(f"error: not all models {reason}", file=sys.stderr)
    return INCOMPLETE


def _add(
    groups: dict[Path, ModelGroup],
    arguments: argparse.Namespace,
    path: Path,
    corruptions: Sequence[Corruption],
) -> str:
    """Evaluate a model into its group, which is written; returns what came of the comparison with its record."""
    trained = load_trained(path)
    folder = _folder(arguments, trained)
    run, images, outcomes, about = evaluate_model(
        trained,
        corruptions,
        EvaluationOptions(arguments.device, arguments.threads, arguments.workers),
        options.absolute(arguments.data),
        options.one_folder(arguments.runs),
    )
    group = groups.get(folder, ModelGroup(about, images))
    require_comparable(group, run, images, about)
    group.runs.append(run)
    group.outcomes.append(outcomes)
    group.write(folder)
    groups[folder] = group
    return str(run["recorded"])


def _folder(arguments: argparse.Namespace, trained: TrainedModel) -> Path:
    cell, profile = trained.config.cell, trained.config.profile
    root = options.absolute(arguments.out) or options.one_folder(arguments.runs) / profile / NAME
    return root / cell.dataset / cell.backbone
