"""Finished models on test pictures made worse: of every kind and level, what each model makes of each picture."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from benchmark import options
from benchmark.atomic import explained, write_file, write_json
from benchmark.config import Config
from benchmark.data.corruptions import KINDS, Corruption
from benchmark.errors import SettingsError, SuiteError
from benchmark.exit_codes import INCOMPLETE
from benchmark.finished import again, drawing, pictures
from benchmark.finished.again import Machine
from benchmark.finished.finding import against_record
from benchmark.settings import DCAL_ONLY
from benchmark.trained import Trained, load_trained

NAME = "robustness"
SCHEMA = 1
# By task: what tells the test pictures (or queries) apart, and what a model made of each.
IMAGES = {"fgvc": ("labels",), "reid": ("identities", "cameras")}
OUTCOMES = {"fgvc": ("both_correct",), "reid": ("both_ap", "both_rank1_correct", "both_first_hit")}
Outcomes = dict[str, np.ndarray]  # by name, (conditions, n): as the pictures are, then each corruption


@dataclass
class Group:
    """Models of one profile, dataset and backbone, whose numbers stand side by side.

    about: what all of them share. images: by name, (n,). runs, outcomes: of each model.
    """

    about: dict[str, object]
    images: dict[str, np.ndarray]
    runs: list[dict[str, object]] = field(default_factory=list)
    outcomes: list[Outcomes] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """``robustness.npz``, then ``robustness.json``. Raises RunError where they cannot be written."""
        with explained(folder / f"{NAME}.json"):
            folder.mkdir(parents=True, exist_ok=True)
        outcomes = {name: np.stack([found[name] for found in self.outcomes]) for name in self.outcomes[0]}
        write_file(folder / f"{NAME}.npz", partial(np.savez_compressed, **self.images, **outcomes))
        write_json(folder / f"{NAME}.json", {"schema": SCHEMA, **self.about, "runs": self.runs})


def evaluate_corrupted(
    arguments: argparse.Namespace, paths: Sequence[Path], corruptions: Sequence[Corruption], unfinished: int
) -> int:
    """Evaluate, and write a folder for each dataset and backbone with its table and plot.

    Returns 1 where pictures as they are do not give the recorded numbers, and where one of several models could not be
    evaluated, which stops no other; else the exit status of the drawing. A single one's error is raised.
    """
    groups: dict[Path, Group] = {}
    wrong = False
    for path in paths:
        try:
            wrong |= _add(groups, arguments, path, corruptions) == "different"
        except SuiteError as error:
            if len(paths) == 1:
                raise
            wrong = True
            print(f"{path}: left out: {error}", file=sys.stderr)
    status = drawing.by_reports([NAME, *map(str, groups)]) if groups else INCOMPLETE
    if not wrong and not unfinished:
        return status
    reason = (
        "gave their recorded numbers, why is said above" if wrong else f"are finished: {unfinished} left out"
    )
    print(f"error: not all models {reason}", file=sys.stderr)
    return INCOMPLETE


def _add(
    groups: dict[Path, Group], arguments: argparse.Namespace, path: Path, corruptions: Sequence[Corruption]
) -> str:
    """Evaluate a model into its group, which is written; returns what came of the comparison with its record."""
    trained = load_trained(path)
    folder = _folder(arguments, trained)
    run, images, outcomes, about = _evaluated(arguments, trained, corruptions)
    group = groups.get(folder, Group(about, images))
    require_fitting(group, run, images, about)
    group.runs.append(run)
    group.outcomes.append(outcomes)
    group.write(folder)
    groups[folder] = group
    return str(run["recorded"])


def _folder(arguments: argparse.Namespace, trained: Trained) -> Path:
    cell, profile = trained.config.cell, trained.config.profile
    root = options.absolute(arguments.out) or options.one_folder(arguments.runs) / profile / NAME
    return root / cell.dataset / cell.backbone


def _evaluated(
    arguments: argparse.Namespace, trained: Trained, corruptions: Sequence[Corruption]
) -> tuple[dict[str, object], dict[str, np.ndarray], Outcomes, dict[str, object]]:
    """A model under all conditions: its entry, the pictures, what it made of them, what others have to share."""
    config, task = trained.config, trained.config.cell.task
    shown = pictures.find(trained, options.absolute(arguments.data), options.one_folder(arguments.runs))
    machine = Machine(arguments.device, arguments.threads, arguments.workers)
    compute = again.compute_for(trained, machine)
    metrics, arrays, recorded = [], [], "not compared"
    for corruption in (None, *corruptions):
        found = again.evaluate(
            trained, shown.dataset, compute, workers=machine.workers, corruption=corruption
        )
        if corruption is None and shown.own and not again.draws_unknown(trained):
            way = again.other_way(trained, compute)
            recorded = against_record(trained, shown, found, way).verdict
        metrics.append(found.metrics())
        arrays.append(found.arrays())
        said = "  ".join(f"{name} {value:.2f}" for name, value in metrics[-1].items())
        print(f"{config.run_id}  {corruption.text if corruption else 'as they are'}  {said}", flush=True)
    run = {
        "run": config.run_id,
        "method": config.cell.method,
        "seed": config.seed,
        "source": str(trained.source),
        "weights_sha256": trained.result["final_weights_sha256"],
        "device": compute.record(),
        "recorded": recorded,
        "metrics": metrics,
    }
    about = {
        "profile": config.profile,
        "dataset": config.cell.dataset,
        "backbone": config.cell.backbone,
        "task": task,
        "pictures": shown.text,
        "input": list(config.settings.data.crop),
        "training": _training(config),
        "conditions": [{"kind": "", "level": 0.0, "unit": "as they are"}]
        + [{"kind": one.kind, "level": one.level, "unit": KINDS[one.kind].unit} for one in corruptions],
    }
    images = {name: arrays[0][name] for name in IMAGES[task]}
    return run, images, {name: np.stack([of[name] for of in arrays]) for name in OUTCOMES[task]}, about


def _training(config: Config) -> dict[str, object]:
    """By name what a model was trained by, its branches and how often it was evaluated aside."""
    settings = config.identity["settings"].items()
    shared = {name: value for name, value in settings if name not in (*DCAL_ONLY, "evaluate.every")}
    return {**shared, "pretrained weights": config.identity["weights"]}


def require_fitting(
    group: Group, run: dict[str, object], images: dict[str, np.ndarray], about: dict[str, object]
) -> None:
    """Raises SettingsError for a model that cannot stand beside those of its group."""
    for name in ("profile", "pictures", "input"):
        if group.about[name] != about[name]:
            raise SettingsError(
                f"{run['source']}: {name} {about[name]}, but {group.runs[0]['source']}: {group.about[name]}; only "
                "models with the same test pictures can stand side by side: name them apart, each with its --out"
            )
    first = group.about["training"]
    for name in first.keys() | about["training"].keys():
        found, expected = about["training"].get(name), first.get(name)
        if found != expected:
            raise SettingsError(
                f"{run['source']} was trained with {name} {found}, {group.runs[0]['source']} with {expected}: only "
                "models of the same training can stand side by side; name them apart, each with its --out"
            )
    if any(other["run"] == run["run"] for other in group.runs):
        raise SettingsError(f"{run['source']} is {run['run']}, which is there already from another source")
    if not all(np.array_equal(group.images[name], images[name]) for name in images):
        raise SettingsError(f"{run['source']} is tested on other pictures than {group.runs[0]['source']}")
