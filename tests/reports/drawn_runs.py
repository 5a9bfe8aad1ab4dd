"""A moment of training, and its runs as pairs to draw."""

from pathlib import Path

from benchmark.records import merge
from reports.heatmaps.run_pairs import make_pairs

# A moment of training: 60 pictures of three classes, or the whole of the generated Market-1501, once.
OVERRIDES = {
    "cub/deit_tiny": {"data.class_limit": 3, "train.epochs": 1, "evaluate.every": 1},
    "market/deit_tiny": {"train.epochs": 1, "evaluate.every": 1, "train.warmup_epochs": 0},
}
CUB_SET = " ".join(f"{name}={value}" for name, value in OVERRIDES["cub/deit_tiny"].items())


def pair_of(runs, cells="cub/deit_tiny"):
    """The pair of runs below ``runs``, read anew."""
    merged = merge.collect([Path(runs)], profile="mini", patterns=[cells], overrides=OVERRIDES[cells])
    (pair,) = make_pairs(merged, Path(runs) / "mini")
    return pair
