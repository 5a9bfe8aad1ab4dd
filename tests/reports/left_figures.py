"""Figures of one finished pair of the sweep as the other verbs leave them, with hostile text wherever it can stand."""

import json

from sweep.plan import HOSTILE_LOG, HOSTILE_NAMES, HOSTILE_REASON

from benchmark.records import merge
from reports.heatmaps import pair_heatmaps, run_pairs

DRAWN = ("veri", "deit_tiny")


def leave_figures(runs):
    """Write heatmaps and the attention measure of DRAWN into the profile paper of an unpacked sweep."""
    from PIL import Image

    merged = merge.collect(
        [runs], profile="paper", seeds=(0,), patterns=["/".join(DRAWN)], data_dir=None, weights_dir=None
    )
    (pair,) = run_pairs.make_pairs(merged, runs / "paper")
    pair.folder.mkdir(parents=True)
    for stem in ("heatmaps", "ranked"):
        Image.new("RGB", (1600, 800), "teal").save(pair.folder / f"{stem}.webp")
        (pair.folder / f"{stem}.pdf").write_bytes(b"%PDF-1.4 made up")
    prediction = {"correct": False, "predicted": HOSTILE_NAMES[1], "confidence": 0.5}
    row = {
        "letter": "A",
        "file": HOSTILE_NAMES[0],
        "rule": HOSTILE_REASON,
        "true": {"class": HOSTILE_NAMES[3]},
        "baseline": prediction,
        "dcal": prediction | {"confidence": None},
    }
    record = {
        "identity": pair_heatmaps.identity(pair),
        "files": [f"{stem}.{kind}" for stem in ("heatmaps", "ranked") for kind in ("pdf", "webp")],
        "caption": f"Caption {HOSTILE_LOG}",
        "rows": [row],
    }
    (pair.folder / "heatmaps.json").write_text(json.dumps(record), encoding="utf-8")
    gap = {"mean": 0.25, "low": 0.125, "high": 0.375, "level": 95}
    attention = {
        "title": HOSTILE_REASON,
        "runs": pair.identity,
        "layers": [1, 11],
        "pictures": 300,
        "note": HOSTILE_LOG,
        "boxes": None,
        "measures": {
            "entropy": {"meaning": HOSTILE_NAMES[0], "baseline": 4.5, "dcal": 4.75, "difference": gap},
        },
    }
    (pair.folder / "attention.json").write_text(json.dumps(attention), encoding="utf-8")
