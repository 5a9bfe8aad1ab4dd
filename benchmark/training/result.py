"""A finished run as its result.json states it."""

from __future__ import annotations

import math
from pathlib import Path

from benchmark.config.datasets import DATASETS
from benchmark.config.resolve import Config
from benchmark.data.locate import Coverage
from benchmark.records.run_folder import SCHEMA
from benchmark.training import checkpoint
from benchmark.training.tasks import Dataset, Evaluation
from benchmark.training.trainer import Trainer
from dcal.weights.load import LoadReport


def make_result(
    config: Config,
    trainer: Trainer,
    predictions: Evaluation,
    *,
    dataset: Dataset,
    coverage: Coverage,
    fingerprint: str,
    predictions_sha256: str,
    peak_memory_bytes: int,
    provenance: dict,
    forecast_seconds: float | None = None,
) -> dict:
    """The result of the last epoch; the best one stands beside it, labelled by its own key.

    peak_memory_bytes: the largest of the ranks. forecast_seconds: of training and evaluations, if there was a forecast.
    """
    metric = trainer.task.metric
    evaluated = [entry for entry in trainer.progress.history if "metrics" in entry]
    best = max(evaluated, key=lambda entry: entry["metrics"][metric])
    seconds = trainer.progress.train_seconds + trainer.progress.evaluate_seconds
    notes = predictions.notes()
    return {
        "schema": SCHEMA,
        "run": config.run_id,
        "cell": config.cell.id,
        "seed": config.seed,
        "profile": config.profile,
        "config_hash": config.hash,
        "metrics": predictions.metrics(),
        "best": {"epoch": best["epoch"], metric: best["metrics"][metric]},
        **({"evaluation": notes} if notes else {}),
        "data": {
            "name": DATASETS[dataset.key].title,
            "coverage": coverage.kind,
            "text": coverage.text,
            "fingerprint": fingerprint,
            **trainer.task.facts(dataset),
        },
        "weights": _weights(config.tag, trainer.model.pretrained),
        "device": _device(trainer),
        "cost": {
            "epochs": trainer.train.epochs,
            "steps": trainer.steps,
            "train_seconds": round(trainer.progress.train_seconds, 2),
            **({"seconds": round(seconds, 2)} if math.isfinite(seconds) else {}),
            **({"forecast_seconds": forecast_seconds} if forecast_seconds else {}),
            "peak_memory_bytes": peak_memory_bytes,
            "attempts": trainer.progress.attempts,
        },
        "final_weights_sha256": checkpoint.weights_sha256(trainer.model.state_dict()),
        "predictions_sha256": predictions_sha256,
        "outputs_sha256": predictions.digests,
        "provenance": provenance,
    }


def _device(trainer: Trainer) -> dict[str, object]:
    described = trainer.compute.record()
    if tuning := str(trainer.tuning):
        described["tuning"] = tuning
    return described


def _weights(tag: str, report: LoadReport) -> dict[str, object]:
    described = {
        "tag": tag,
        "file": Path(report.file).name,
        "sha256": report.sha256,
        "dropped": list(report.dropped),
    }
    if report.resized:
        described["resized"] = [list(shape) for shape in report.resized]
    return described
