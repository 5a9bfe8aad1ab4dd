"""Finished models on test pictures made worse: of every kind and level, what each model makes of each picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from benchmark.atomic import explained, write_file, write_json
from benchmark.config.resolve import Config
from benchmark.config.settings import DCAL_ONLY
from benchmark.data.corruptions import KINDS, Corruption
from benchmark.errors import SettingsError
from benchmark.inference import findings, reevaluate
from benchmark.inference.findings import against_record
from benchmark.inference.reevaluate import Machine
from benchmark.inference.trained import Trained

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


def evaluate_model(
    trained: Trained, corruptions: Sequence[Corruption], machine: Machine, data: Path | None, runs: Path
) -> tuple[dict[str, object], dict[str, np.ndarray], Outcomes, dict[str, object]]:
    """A model under all conditions: its entry, the pictures, what it made of them, what others have to share.

    data, runs: folders, as for ``pictures.find``.
    """
    config, task = trained.config, trained.config.cell.task
    shown = findings.find_pictures(trained, data, runs)
    compute = reevaluate.compute_for(trained, machine)
    metrics, arrays, recorded = [], [], "not compared"
    for corruption in (None, *corruptions):
        found = reevaluate.evaluate(
            trained, shown.dataset, compute, workers=machine.workers, corruption=corruption
        )
        if corruption is None and shown.own and not reevaluate.draws_unknown(trained):
            way = reevaluate.other_way(trained, compute)
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
