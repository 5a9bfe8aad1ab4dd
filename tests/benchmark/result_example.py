"""A result as a finished run writes it; numbers are invented and stand for nothing."""

RESULT = {
    "schema": 1,
    "run": "cub/deit_tiny/dcal/seed0",
    "cell": "cub/deit_tiny/dcal",
    "seed": 0,
    "profile": "mini",
    "config_hash": "0" * 64,
    "metrics": {"top1": 51.0, "top5": 90.5, "sa_top1": 50.0, "glca_top1": 49.5},
    "best": {"epoch": 7, "top1": 52.0},
    "data": {
        "name": "CUB-200-2011",
        "coverage": "subset",
        "text": "subset: 10 of 200 classes",
        "fingerprint": "f" * 64,
        "classes": 10,
        "train_images": 240,
        "test_images": 200,
    },
    "weights": {"tag": "t", "file": "t.safetensors", "sha256": "a" * 64, "dropped": ["head.weight"]},
    "device": {"type": "cpu", "name": "CPU", "precision": "float32", "threads": 1, "world_size": 1},
    "cost": {"epochs": 8, "steps": 120, "train_seconds": 9.5, "peak_memory_bytes": 1, "attempts": 1},
    "final_weights_sha256": "b" * 64,
    "predictions_sha256": "c" * 64,
    "provenance": {"commit": "d" * 40, "dirty": False},
}

REID_RESULT = {
    **RESULT,
    "run": "msmt17/deit_tiny/dcal/seed0",
    "cell": "msmt17/deit_tiny/dcal",
    "metrics": {"mAP": 41.0, "R1": 63.5, "R5": 77.0, "R10": 82.0, "sa_mAP": 40.0, "glca_mAP": 39.0},
    "best": {"epoch": 7, "mAP": 41.0},
    "evaluation": {"queries": 120, "queries_without_match": 1, "ties": 2},
    "data": {
        "name": "MSMT17",
        "coverage": "subset",
        "text": "MSMT17 V2, train + val: subset: 10 of 1,041 identities",
        "fingerprint": "f" * 64,
        "version": "V2",
        "protocol": "single query",
        "classes": 10,
        "train_images": 80,
        "query_images": 120,
        "gallery_images": 400,
        "skipped_images": 0,
    },
}
