"""What evaluating one trained model again finds, beside what its run recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.config.paper import REPORTED_METRICS
from benchmark.inference import pictures, reevaluate
from benchmark.inference.compare import DIGEST, Comparison, compare
from benchmark.inference.pictures import Pictures
from benchmark.inference.reevaluate import Machine
from benchmark.inference.trained import Trained, load_trained
from benchmark.records.predictions import Predictions
from benchmark.records.run_folder import RunFolder
from benchmark.training.tasks import TASKS, Evaluation

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
    shown = pictures.find(trained, data, runs)
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
