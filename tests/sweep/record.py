"""The JSON files of a made-up run."""

from __future__ import annotations

from sweep.plan import Planned

from benchmark.config.backbones import BACKBONES
from benchmark.config.datasets import DATASETS

NOTE = "made-up numbers for tests of tables and reports, not measurements"
CLASSES = {"full": 40, "subset": 30, "generated": 12}
EACH = {"full": 10, "subset": 10, "generated": 20}  # test images a class
QUERIES = {"full": (300, 900), "generated": (80, 200)}  # and gallery images
_GPU = {"type": "cuda", "name": "NVIDIA A100 80GB", "precision": "bfloat16", "threads": 8, "world_size": 1}
_CPU = {"type": "cpu", "name": "Some CPU", "precision": "float32", "threads": 1, "world_size": 1}
_SIZE = {"deit_tiny": 1.0, "deit_small": 2.2}  # of a backbone's cost; the others' 5.5


def task_of(planned: Planned) -> str:
    return DATASETS[planned.run.partition("/")[0]].task


def config(profile: str, planned: Planned) -> dict[str, object]:
    """identity: only what differs from today's settings; the rest is stamped."""
    changed = {"settings": {"train.epochs": 50}} if planned.state == "stale" else {}
    about = data(planned)
    return {
        "run": planned.run,
        "profile": profile,
        "hash": "",
        "identity": changed,
        "data_fingerprint": about["fingerprint"],
        "data": about["text"],
    }


def provenance(profile: str, planned: Planned) -> dict[str, object]:
    seed = int(planned.run[-1])
    return {
        "note": NOTE,
        "commit": ("b" if planned.dirty else "a") * 40,
        "dirty": planned.dirty,
        "changes": "0123456789abcdef" if planned.dirty else "",
        "started": f"2026-01-0{seed + 1}T10:00:00+00:00",
        "command": f"made-up run {planned.run} --profile {profile} --set 'x=<b>\"&'",
        "host": planned.host,
        "platform": "made-up platform",
        "cpu": "Some CPU",
        "cores": 8,
        "versions": {"python": "3.11.7", "torch": "2.9.0", "timm": "1.0.27", "numpy": "2.2.0"},
    }


def submission(planned: Planned) -> dict[str, object]:
    code = {"commit": "a" * 40, "dirty": False, "changes": ""}
    return {
        "job": f"4711_{planned.run[-1]}",
        "name": "dcal-made-up",
        "hash": "",
        "code": code,
        "time": "2026-01-01T10:00:00+00:00",
        "user": "made-up-user",
        "gpus": 1,
        "ranks": 1,
        "logs": "made-up-logs",
    }


def data(planned: Planned) -> dict[str, object]:
    dataset = planned.run.partition("/")[0]
    row, coverage = DATASETS[dataset], planned.coverage
    about = {"name": row.title, "coverage": coverage, "fingerprint": dataset.ljust(64, "0")}
    if row.task == "fgvc":
        classes, images = CLASSES[coverage], CLASSES[coverage] * EACH[coverage]
        of = f" of {row.official['classes']}" if coverage == "subset" else ""
        text = f"{coverage}: {classes}{of} classes, {images} train and {images} test images (made up)"
        return about | {"text": text, "classes": classes, "train_images": images, "test_images": images}
    queries, gallery = QUERIES[coverage]
    version = "V2" if dataset == "msmt17" else ""
    named = f"{row.title} {version}, train + val: " if version else ""
    counted = f"50 identities, 400 train images, {queries} queries, {gallery} gallery images (made up)"
    return about | {
        "text": f"{named}{coverage}: {counted}",
        "version": version,
        "protocol": "single query; a made-up protocol",
        "classes": 50,
        "train_images": 400,
        "query_images": queries,
        "gallery_images": gallery,
        "skipped_images": 0,
    }


def result(
    profile: str, planned: Planned, metrics: dict[str, float], notes: dict[str, int], history: list[dict]
) -> dict[str, object]:
    """history: all epochs, whether or not they are written. notes: of the evaluation; may be empty."""
    dataset, backbone, method, seed = planned.run.split("/")
    mini, row = profile == "mini", BACKBONES[backbone]
    metric = {"fgvc": "top1", "reid": "mAP"}[task_of(planned)]
    best = max((line for line in history if "metrics" in line), key=lambda line: line["metrics"][metric])
    tag = row.mini if mini else row.tag
    size = _SIZE.get(backbone, 5.5) * (2.3 if method == "dcal" else 1.0)
    day = int(seed[-1]) + 2
    return {
        "schema": 1,
        "run": planned.run,
        "cell": f"{dataset}/{backbone}/{method}",
        "seed": int(seed[-1]),
        "profile": profile,
        "config_hash": "",
        "metrics": metrics,
        "best": {"epoch": best["epoch"], metric: best["metrics"][metric]},
        **({"evaluation": notes} if notes else {}),
        "data": data(planned),
        "weights": {
            "tag": tag,
            "file": f"{tag}.safetensors",
            "sha256": "a" * 64,
            "dropped": ["head.bias", "head.weight"],
            **({} if planned.older else {"resized": [[1, 197, 192], [1, 785, 192]]}),
        },
        "device": _CPU if mini else _GPU,
        "cost": {
            "epochs": len(history),
            "steps": 375 * len(history),
            "train_seconds": round((1.5 if mini else 90.0) * len(history) * size, 1),
            "peak_memory_bytes": round((1.0 if mini else 5.0) * size * 1e9),
            "attempts": 2 if planned.dirty else 1,
        },
        "final_weights_sha256": "b" * 64,
        "predictions_sha256": "",
        "provenance": provenance(profile, planned) | {"finished": f"2026-01-0{day}T09:30:00+00:00"},
    }
