"""Evaluation of finished models on corrupted test pictures, for every kind and level of corruption."""

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
from benchmark.inference.findings import compare_with_record
from benchmark.inference.reevaluate import EvaluationOptions
from benchmark.inference.trained import TrainedModel

NAME = "robustness"
SCHEMA = 1
# Arrays by task: identification of the test pictures (or queries), and the model's results for each.
IMAGES = {"fgvc": ("labels",), "reid": ("identities", "cameras")}
OUTCOMES = {"fgvc": ("both_correct",), "reid": ("both_ap", "both_rank1_correct", "both_first_hit")}
Outcomes = dict[str, np.ndarray]  # by name, (conditions, n): original pictures first, then each corruption


@dataclass
class ModelGroup:
    """Models of one profile, dataset and backbone, which are compared with each other.

    about: properties that all of them share.
    images: arrays (n,) that identify the test pictures, by name.
    runs, outcomes: entry and results of each model.
    """

    about: dict[str, object]
    images: dict[str, np.ndarray]
    runs: list[dict[str, object]] = field(default_factory=list)
    outcomes: list[Outcomes] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write ``robustness.npz``, then ``robustness.json``. Raises RunError if they cannot be written."""
        with explained(folder / f"{NAME}.json"):
            folder.mkdir(parents=True, exist_ok=True)
        outcomes = {name: np.stack([outcome[name] for outcome in self.outcomes]) for name in self.outcomes[0]}
        write_file(folder / f"{NAME}.npz", partial(np.savez_compressed, **self.images, **outcomes))
        write_json(folder / f"{NAME}.json", {"schema": SCHEMA, **self.about, "runs": self.runs})


def evaluate_model(
    trained: TrainedModel,
    corruptions: Sequence[Corruption],
    options: EvaluationOptions,
    data: Path | None,
    runs: Path,
) -> tuple[dict[str, object], dict[str, np.ndarray], Outcomes, dict[str, object]]:
    """Evaluate a model on the original and on the corrupted pictures.

    data, runs: folders, as of ``findings.evaluation_set``.
    Returns the model's entry for robustness.json, the arrays that identify the pictures, its results, and the
    properties that all models of a group must share.
    """
    config, task = trained.config, trained.config.cell.task
    test_set = findings.evaluation_set(trained, data, runs)
    compute = reevaluate.compute_for(trained, options)
    metrics, arrays, recorded = [], [], "not compared"
    for corruption in (None, *corruptions):
        evaluation = reevaluate.evaluate(
            trained, test_set.dataset, compute, workers=options.workers, corruption=corruption
        )
        if corruption is None and test_set.matches_run and not reevaluate.draws_unknown(trained):
            difference = reevaluate.computing_difference(trained, compute)
            recorded = compare_with_record(trained, test_set, evaluation, difference).verdict
        metrics.append(evaluation.metrics())
        arrays.append(evaluation.arrays())
        metrics_text = "  ".join(f"{name} {value:.2f}" for name, value in metrics[-1].items())
        print(
            f"{config.run_id}  {corruption.text if corruption else 'as they are'}  {metrics_text}", flush=True
        )
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
        "pictures": test_set.text,
        "input": list(config.settings.data.crop),
        "training": _training(config),
        "conditions": [{"kind": "", "level": 0.0, "unit": "as they are"}]
        + [{"kind": each.kind, "level": each.level, "unit": KINDS[each.kind].unit} for each in corruptions],
    }
    images = {name: arrays[0][name] for name in IMAGES[task]}
    return run, images, {name: np.stack([of[name] for of in arrays]) for name in OUTCOMES[task]}, about


def _training(config: Config) -> dict[str, object]:
    """Training settings by name, without those of GLCA and PWCA and the evaluation interval."""
    settings = config.identity["settings"].items()
    shared = {name: value for name, value in settings if name not in (*DCAL_ONLY, "evaluate.every")}
    return {**shared, "pretrained weights": config.identity["weights"]}


def require_comparable(
    group: ModelGroup, run: dict[str, object], images: dict[str, np.ndarray], about: dict[str, object]
) -> None:
    """Raise SettingsError for a model that cannot be compared with those of its group."""
    for name in ("profile", "pictures", "input"):
        if group.about[name] != about[name]:
            raise SettingsError(
                f"{run['source']}: {name} {about[name]}, but {group.runs[0]['source']}: {group.about[name]}; only "
                "models with the same test pictures can stand side by side: name them apart, each with its --out"
            )
    first = group.about["training"]
    for name in first.keys() | about["training"].keys():
        value, expected = about["training"].get(name), first.get(name)
        if value != expected:
            raise SettingsError(
                f"{run['source']} was trained with {name} {value}, {group.runs[0]['source']} with {expected}: only "
                "models of the same training can stand side by side; name them apart, each with its --out"
            )
    if any(entry["run"] == run["run"] for entry in group.runs):
        raise SettingsError(f"{run['source']} is {run['run']}, which is there already from another source")
    if not all(np.array_equal(group.images[name], images[name]) for name in images):
        raise SettingsError(f"{run['source']} is tested on other pictures than {group.runs[0]['source']}")
