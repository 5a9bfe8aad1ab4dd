"""Made-up run records for the bench: what commands have to read, and nothing that was measured."""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmark import provenance
from benchmark.atomic import file_sha256
from benchmark.config import Config
from benchmark.data import sources
from benchmark.data.registry import DATASETS
from benchmark.errors import RunError
from benchmark.records import SCHEMA, folder_of, result_problem
from benchmark.submission import Submission, stored

JOB_NAME = "dcal-mini-default-00000000"


def record(configs: Sequence[Config], runs: Path, pictures: Path, *, all_done: bool) -> None:
    """Write run folders: all done, or by turns done, failed, and waiting in a queue."""
    prints = {key: sources.fingerprint(sources.locate(key, pictures), key) for key in DATASETS}
    for number, asked in enumerate(configs):
        folder = folder_of(asked, runs)
        folder.make()
        identity = {
            "hash": asked.hash,
            "identity": dict(asked.identity),
            "data_fingerprint": prints[asked.cell.dataset],
        }
        folder.config.write_text(json.dumps(identity))
        folder.log.write_text("a line\n" * 200)
        beat = {"time": time.time(), "epoch": 3, "epochs": 8, "step": 1, "steps": 9, "seconds": 100.0}
        folder.heartbeat.write_text(json.dumps(beat))
        submission = _submission(number, asked)
        folder.submission.write_text(json.dumps(stored(submission)))
        folder.provenance.write_text(json.dumps({**submission.code, "submitted": submission.code}))
        if all_done or number % 3 == 0:
            arrays = _predictions(asked)
            with open(folder.predictions, "wb") as stream:
                np.savez_compressed(stream, **arrays)
            digest = file_sha256(folder.predictions)
            folder.result.write_text(json.dumps(_result(asked, prints[asked.cell.dataset], arrays, digest)))
        elif number % 3 == 1:
            outcome = {"state": "failed", "message": "made up", "owner": submission.owner}
            folder.outcome.write_text(json.dumps(outcome))


def _submission(number: int, asked: Config) -> Submission:
    code = {"commit": "0" * 40, "dirty": False, "changes": ""}
    return Submission(
        f"1_{number}", JOB_NAME, asked.hash, code, provenance.now(), "me", gpus=0, ranks=1, logs="."
    )


def _predictions(asked: Config) -> dict[str, np.ndarray]:
    """As many as the official test split has; the two methods differ by chance alone."""
    random = np.random.default_rng(zlib.crc32(asked.run_id.encode()))
    official = DATASETS[asked.cell.dataset].official
    if asked.cell.task == "fgvc":
        labels = np.arange(official["test"], dtype=np.int32) % official["classes"]
        return {"labels": labels, "both_correct": random.random(len(labels)) < 0.85}
    identities = np.arange(official["query"], dtype=np.int32) % official["query_ids"]
    precision = random.random(len(identities))
    return {
        "identities": identities,
        "cameras": np.zeros_like(identities),
        "both_ap": precision,
        "both_first_hit": np.ones_like(identities),
        "both_rank1_correct": precision > 0.2,
    }


def _result(
    asked: Config, fingerprint: str, predictions: Mapping[str, np.ndarray], digest: str
) -> dict[str, object]:
    metric = {"fgvc": ("top1", "top5"), "reid": ("mAP", "R1", "R5", "R10")}[asked.cell.task]
    numbers = dict.fromkeys(
        ("classes", "train_images", "test_images", "query_images", "gallery_images", "skipped_images"), 1
    )
    measured = {
        name: 100 * float(predictions[of].mean())
        for name, of in (("top1", "both_correct"), ("mAP", "both_ap"), ("R1", "both_rank1_correct"))
        if of in predictions
    }
    result = {
        "schema": SCHEMA,
        "run": asked.run_id,
        "cell": asked.cell.id,
        "seed": asked.seed,
        "profile": asked.profile,
        "config_hash": asked.hash,
        "metrics": dict.fromkeys(metric, 50.0) | measured,
        "best": {"epoch": 1, metric[0]: 50.0},
        "evaluation": {"queries": 1, "queries_without_match": 0, "ties": 0},
        "data": {
            "name": DATASETS[asked.cell.dataset].title,
            "coverage": "generated",
            "text": "made up",
            "fingerprint": fingerprint,
            "version": "",
            "protocol": "",
            **numbers,
        },
        "weights": {"tag": asked.tag, "file": "none", "sha256": "none", "dropped": []},
        "device": {"type": "cpu", "name": "none", "precision": "float32", "threads": 1, "world_size": 1},
        "cost": {"epochs": 1, "steps": 1, "train_seconds": 1.0, "peak_memory_bytes": 1, "attempts": 1},
        "final_weights_sha256": "none",
        "predictions_sha256": digest,
        "provenance": {},
    }
    if problem := result_problem(result):
        raise RunError(f"the bench's made-up result does not satisfy the schema: {problem}")
    return result
