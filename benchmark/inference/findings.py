"""Re-evaluation of a trained model, compared with the record of its run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark import reading
from benchmark.config.datasets import DATASETS, is_own
from benchmark.config.paper import REPORTED_METRICS
from benchmark.config.resolve import load_profile
from benchmark.data import locate
from benchmark.data.fgvc import FGVCDataset
from benchmark.data.mini.sets import write
from benchmark.data.own import class_folders, market_layout
from benchmark.data.splits import Split, first_items
from benchmark.errors import DataError
from benchmark.inference import reevaluate
from benchmark.inference.compare import DIGEST, Comparison, compare
from benchmark.inference.reevaluate import EvaluationOptions
from benchmark.inference.trained import TrainedModel, load_trained
from benchmark.records.predictions import Predictions
from benchmark.records.run_folder import RunFolder
from benchmark.training.tasks import TASKS, Dataset, Evaluation

NOT_THE_RUNS_PICTURES = "not compared: these are not the run's own pictures"
UNKNOWN_DRAWS = (
    "not compared: GLCA's random selection counts here, and what the run's evaluation drew is not in older records, "
    "nor in saved files of runs by several processes"
)


@dataclass(frozen=True)
class Reevaluation:
    """Result of re-evaluating a model.

    source: run folder or file of the model.
    run: id of the run.
    data: description of the test pictures.
    device: as recorded in a result.
    metrics, notes: as of ``Evaluation``.
    comparison: with the record of the run; None if there is nothing to compare, for the reason in ``why_not``.
    """

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
        """Whether the evaluation does not contradict the record; True if there is no comparison."""
        return self.comparison is None or self.comparison.verdict != "different"

    @property
    def headline(self) -> str:
        """The metrics of the tables, as text."""
        return "  ".join(f"{name} {self.metrics[name]:.2f}" for name in REPORTED_METRICS[self.task])

    def as_json(self) -> dict[str, object]:
        """The JSON object that --json writes; ``compared``: equal, rounding, different or "not compared"."""
        comparison = self.comparison
        return {
            "source": str(self.source),
            "run": self.run,
            "data": self.data,
            "device": dict(self.device),
            "metrics": dict(self.metrics),
            "evaluation": dict(self.notes),
            "compared": comparison.verdict if comparison else "not compared",
            "differences": [difference.text for difference in comparison.differences] if comparison else [],
            "note": comparison.computing_difference if comparison else self.why_not,
        }


def reevaluate_model(path: Path, options: EvaluationOptions, data: Path | None, runs: Path) -> Reevaluation:
    """Evaluate the model of a run folder or saved file, and compare it with its record.

    data, runs: as of ``evaluation_set``.
    Raises as ``load_trained``, ``evaluation_set`` and ``compute_for``, and DataError for unreadable pictures.
    """
    trained = load_trained(path)
    test_set = evaluation_set(trained, data, runs)
    compute = reevaluate.compute_for(trained, options)
    evaluation = reevaluate.evaluate(trained, test_set.dataset, compute, workers=options.workers)
    comparison, why_not = None, "" if test_set.matches_run else NOT_THE_RUNS_PICTURES
    if test_set.matches_run and reevaluate.draws_unknown(trained):
        why_not = UNKNOWN_DRAWS
    if not why_not:
        difference = reevaluate.computing_difference(trained, compute)
        comparison = compare_with_record(trained, test_set, evaluation, difference)
    return Reevaluation(
        trained.source,
        trained.config.run_id,
        trained.config.cell.task,
        test_set.text,
        compute.record(),
        evaluation.metrics(),
        evaluation.notes(),
        comparison,
        why_not,
    )


def compare_with_record(
    trained: TrainedModel, test_set: EvaluationSet, evaluation: Evaluation, computing_difference: str
) -> Comparison:
    """Compare metrics, counts of pictures, digests and every array. computing_difference: as of ``Comparison``."""
    result, task = trained.result, TASKS[trained.config.cell.task]
    facts = task.facts(test_set.dataset)
    arrays = {}  # a saved file has no recorded arrays
    if trained.source.is_dir():
        arrays = Predictions(RunFolder(trained.source).predictions, result["predictions_sha256"])
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
        arrays,
        evaluation.arrays(),
        precision=str(result["device"]["precision"]),
        computing_difference=computing_difference,
    )


# --- Test pictures of a trained model: those of its run, or a user's own folder for the same task ---

LISTED_CLASSES = 5  # class names of each side in an error


@dataclass(frozen=True)
class EvaluationSet:
    """Pictures that a model is evaluated on.

    matches_run: whether they are the pictures of the model's run, so that the results can be compared with its record.
    text: description of the pictures.
    """

    dataset: Dataset
    matches_run: bool
    text: str


def evaluation_set(trained: TrainedModel, data: Path | None, runs: Path) -> EvaluationSet:
    """Find the test pictures for a trained model.

    If ``data`` holds the run's dataset, complete or not, that is used. Otherwise ``data`` itself is read as class
    folders or in Market-1501's layout. A mini run without ``data`` uses generated pictures: those beside its run
    folder, else those below ``runs``, which are written if they are missing.
    Raises DataError if none of these exists, and for class names that the model does not know.
    """
    config, recorded, key = trained.config, trained.result["data"], trained.config.cell.dataset
    if data is None and load_profile(config.profile).pictures == "generated" and not is_own(key):
        data = _write_generated(trained, runs)
    if data is not None:
        _require_folder(data, f"the folder that holds {DATASETS[key].folders[0]}, or one of your own")
    root = locate.locate(key, data)
    if root is None and data is not None:
        return _load_own_folder(trained, data)
    dataset = locate.load_dataset(key, data, config.settings.data)
    fingerprint = locate.fingerprint(dataset.root, key)
    if fingerprint == recorded["fingerprint"]:
        return EvaluationSet(dataset, True, str(recorded["text"]))
    if isinstance(dataset, FGVCDataset):
        dataset = _use_model_labels(dataset, trained.classes)
    return EvaluationSet(dataset, False, _dataset_text(dataset))


def _require_folder(path: Path, expected: str) -> None:
    with reading.explained(path, DataError):
        if path.is_dir():
            return
        state = "is a file" if path.exists() else "is not there"
    raise DataError(f"{path} {state}, expected {expected}")


def _write_generated(trained: TrainedModel, runs: Path) -> Path:
    root = runs / trained.config.profile / "data"
    parents = trained.source.parents
    if trained.source.is_dir() and len(parents) > 3 and (parents[3] / "data").is_dir():
        root = parents[3] / "data"
    write(root, (trained.config.cell.dataset,))
    return root


def _load_own_folder(trained: TrainedModel, root: Path) -> EvaluationSet:
    if trained.config.cell.task == "reid":
        dataset = market_layout.read_as_test(root)
    else:
        dataset = class_folders.read_as_test(root, trained.classes)
    # The text also names what was left out of a user's folders.
    return EvaluationSet(dataset, False, "; ".join((_dataset_text(dataset), *dataset.notes)))


def _use_model_labels(dataset: FGVCDataset, classes: Sequence[str]) -> FGVCDataset:
    """The dataset with the model's class indices as test labels. Raises DataError for a class unknown to the model."""
    label_map = {name: index for index, name in enumerate(classes)}
    if unknown := sorted({dataset.classes[old] for old in dataset.test.labels} - label_map.keys()):
        unknown_names, model_names = (
            ", ".join(first_items(names, LISTED_CLASSES)) for names in (unknown, list(label_map))
        )
        raise DataError(
            f"{dataset.root}: {len(unknown):,} of its classes are none of the model's, "
            f"{unknown_names}; the model tells {len(label_map):,} apart, {model_names}. Use data of these classes, "
            "under the same names"
        )
    labels = tuple(label_map[dataset.classes[old]] for old in dataset.test.labels)
    return replace(dataset, classes=tuple(classes), test=Split(dataset.test.files, labels))


def _dataset_text(dataset: Dataset) -> str:
    if isinstance(dataset, FGVCDataset):
        present, total = len(set(dataset.test.labels)), len(dataset.classes)
        return f"{len(dataset.test):,} pictures of {present:,} of the model's {total:,} classes, at {dataset.root}"
    return (
        f"{len(dataset.query):,} queries of {dataset.query.identities:,} identities, {len(dataset.gallery):,} gallery "
        f"pictures, at {dataset.root}"
    )
