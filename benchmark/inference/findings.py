"""What evaluating one trained model again finds, beside what its run recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmark import reading
from benchmark.config.datasets import DATASETS, is_own
from benchmark.config.paper import REPORTED_METRICS
from benchmark.config.resolve import load_profile
from benchmark.data import locate
from benchmark.data.fgvc import FGVCDataset
from benchmark.data.mini.sets import write
from benchmark.data.own import class_folders, market_layout
from benchmark.data.splits import Split, first
from benchmark.errors import DataError
from benchmark.inference import reevaluate
from benchmark.inference.compare import DIGEST, Comparison, compare
from benchmark.inference.reevaluate import Machine
from benchmark.inference.trained import Trained, load_trained
from benchmark.records.predictions import Predictions
from benchmark.records.run_folder import RunFolder
from benchmark.training.tasks import TASKS, Dataset, Evaluation

OTHER_PICTURES = "not compared: these are not the run's own pictures"
DREW = (
    "not compared: GLCA's random selection counts here, and what the run's evaluation drew is not in older records, "
    "nor in saved files of runs by several processes"
)


@dataclass(frozen=True)
class Finding:
    """metrics, notes: as ``Evaluation`` names them. comparison: with the record; without one ``why_not`` says why."""

    source: Path
    run: str
    task: str
    data: str
    device: Mapping[str, object]
    metrics: Mapping[str, float]
    notes: Mapping[str, int]
    comparison: Comparison | None
    why_not: str = ""

    @property
    def equal(self) -> bool:
        """Whether nothing speaks against the record, as far as there is one of these pictures."""
        return self.comparison is None or self.comparison.verdict != "different"

    @property
    def headline(self) -> str:
        """The metrics that tables show."""
        return "  ".join(f"{name} {self.metrics[name]:.2f}" for name in REPORTED_METRICS[self.task])

    def as_json(self) -> dict[str, object]:
        """Everything, as --json writes it; ``compared``: equal, rounding, different or "not compared"."""
        compared = self.comparison
        return {
            "source": str(self.source),
            "run": self.run,
            "data": self.data,
            "device": dict(self.device),
            "metrics": dict(self.metrics),
            "evaluation": dict(self.notes),
            "compared": compared.verdict if compared else "not compared",
            "differences": [difference.text for difference in compared.differences] if compared else [],
            "note": compared.other_way if compared else self.why_not,
        }


def find(path: Path, machine: Machine, data: Path | None, runs: Path) -> Finding:
    """Evaluate the model of a run folder or file. data, runs: as ``pictures.find`` takes them.

    Raises as ``load_trained``, ``pictures.find`` and ``again.compute_for``, and DataError for unreadable pictures.
    """
    trained = load_trained(path)
    shown = find_pictures(trained, data, runs)
    compute = reevaluate.compute_for(trained, machine)
    evaluation = reevaluate.evaluate(trained, shown.dataset, compute, workers=machine.workers)
    comparison, why_not = None, "" if shown.own else OTHER_PICTURES
    if shown.own and reevaluate.draws_unknown(trained):
        why_not = DREW
    if not why_not:
        comparison = against_record(trained, shown, evaluation, reevaluate.other_way(trained, compute))
    return Finding(
        trained.source,
        trained.config.run_id,
        trained.config.cell.task,
        shown.text,
        compute.record(),
        evaluation.metrics(),
        evaluation.notes(),
        comparison,
        why_not,
    )


def against_record(trained: Trained, shown: Pictures, evaluation: Evaluation, otherwise: str) -> Comparison:
    """Metrics, counts of pictures and every array. otherwise: as ``Comparison.other_way``."""
    result, task = trained.result, TASKS[trained.config.cell.task]
    facts = task.facts(shown.dataset)
    digests = {f"{DIGEST} {branch}": digest for branch, digest in result.get(DIGEST, {}).items()}
    return compare(
        {
            **result["metrics"],
            **result.get("evaluation", {}),
            **{name: result["data"].get(name) for name in facts},
            **digests,
        },
        {
            **evaluation.metrics(),
            **evaluation.notes(),
            **facts,
            **{name: evaluation.digests.get(name.removeprefix(f"{DIGEST} ")) for name in digests},
        },
        _recorded_arrays(trained),
        evaluation.arrays(),
        precision=str(result["device"]["precision"]),
        other_way=otherwise,
    )


def _recorded_arrays(trained: Trained) -> Mapping[str, np.ndarray]:
    """Of a run folder; a saved file keeps the metrics alone."""
    if not trained.source.is_dir():
        return {}
    return Predictions(RunFolder(trained.source).predictions, trained.result["predictions_sha256"])


# --- Which pictures a trained model is evaluated on: those of its run, or a user's own folder of the same task ---

SHOWN = 5  # class names of each side in an error


@dataclass(frozen=True)
class Pictures:
    """own: whether they are the run's, so that its record says what is to be found. text: what they are."""

    dataset: Dataset
    own: bool
    text: str


def find_pictures(trained: Trained, data: Path | None, runs: Path) -> Pictures:
    """The pictures that a trained model is evaluated on.

    The run's dataset where ``data`` holds it, whole or not; else that folder itself, read as class folders or in
    Market-1501's layout. Of a mini run the generated pictures, if no folder is named: those beside the run's folder,
    else below ``runs``, written if they are not there.
    Raises DataError where none of these is there, and for class names that the model does not know.
    """
    config, recorded, key = trained.config, trained.result["data"], trained.config.cell.dataset
    if data is None and load_profile(config.profile).pictures == "generated" and not is_own(key):
        data = _generated(trained, runs)
    if data is not None:
        _require_folder(data, f"the folder that holds {DATASETS[key].folders[0]}, or one of your own")
    root = locate.locate(key, data)
    if root is None and data is not None:
        return _users_own(trained, data)
    dataset = locate.load_for(key, data, config.settings.data)
    fingerprint = locate.fingerprint(dataset.root, key)
    if fingerprint == recorded["fingerprint"]:
        return Pictures(dataset, True, str(recorded["text"]))
    if isinstance(dataset, FGVCDataset):
        dataset = _in_the_models_classes(dataset, trained.classes)
    return Pictures(dataset, False, _text(dataset))


def _require_folder(path: Path, expected: str) -> None:
    with reading.explained(path, DataError):
        if path.is_dir():
            return
        found = "is a file" if path.exists() else "is not there"
    raise DataError(f"{path} {found}, expected {expected}")


def _generated(trained: Trained, runs: Path) -> Path:
    root = runs / trained.config.profile / "data"
    above = trained.source.parents
    if trained.source.is_dir() and len(above) > 3 and (above[3] / "data").is_dir():
        root = above[3] / "data"
    write(root, (trained.config.cell.dataset,))
    return root


def _users_own(trained: Trained, root: Path) -> Pictures:
    if trained.config.cell.task == "reid":
        dataset = market_layout.read_as_test(root)
    else:
        dataset = class_folders.read_as_test(root, trained.classes)
    # What was left out of a user's folders is said with what is there.
    return Pictures(dataset, False, "; ".join((_text(dataset), *dataset.notes)))


def _in_the_models_classes(dataset: FGVCDataset, classes: Sequence[str]) -> FGVCDataset:
    """The test split with labels as the model counts them. Raises DataError for a class that it does not know."""
    label = {name: index for index, name in enumerate(classes)}
    if unknown := sorted({dataset.classes[old] for old in dataset.test.labels} - label.keys()):
        raise DataError(
            f"{dataset.root}: {len(unknown):,} of its classes are none of the model's, "
            f"{', '.join(first(unknown, SHOWN))}; the model tells {len(label):,} apart, "
            f"{', '.join(first(list(label), SHOWN))}. Use data of these classes, under the same names"
        )
    labels = tuple(label[dataset.classes[old]] for old in dataset.test.labels)
    return replace(dataset, classes=tuple(classes), test=Split(dataset.test.files, labels))


def _text(dataset: Dataset) -> str:
    if isinstance(dataset, FGVCDataset):
        shown, known = len(set(dataset.test.labels)), len(dataset.classes)
        return (
            f"{len(dataset.test):,} pictures of {shown:,} of the model's {known:,} classes, at {dataset.root}"
        )
    return (
        f"{len(dataset.query):,} queries of {dataset.query.identities:,} identities, {len(dataset.gallery):,} gallery "
        f"pictures, at {dataset.root}"
    )
