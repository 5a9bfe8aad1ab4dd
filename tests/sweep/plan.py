"""Which made-up runs there are, and what each of them is meant to show."""

from __future__ import annotations

from dataclasses import dataclass

SEEDS = (0, 1, 2)
HOSTILE_HOST = "made-up-host <img src=x onerror=alert(1)> & 'co'"
HOSTILE_REASON = (
    "CUDA out of memory: <script>alert('reason')</script> \"quoted\" & 'more' | a_b ~ ^ \\x{1} 100% #1 $5 `code` "
    "数据 \u202eمرحبا\u202c " + "x" * 300
)
HOSTILE_LOG = "2026-01-01 10:00:09 E <script>alert('log')</script> \x1b[31mred\x1b[0m & \"last words\" 数据"
HOSTILE_NAMES = (
    "<script>alert(1)</script>",
    "\"quotes\" & 'more'",
    "a name of 300 characters " + "long " * 55,
    "数据",
    "\u202eطائر مصنوع\u202c",
    r"back\slash_under_score %d {brace} $math$ #1 ~ ^",
)


@dataclass(frozen=True)
class Planned:
    """One made-up run.

    best, rank1: the metric aimed at, in percent: top-1, or mAP and Rank-1; None for a run that is not done.
    noise: how much the order of difficulty differs between runs. 0: who makes fewer errors makes none of its own.
    history: whether history.jsonl lies in the folder. epochs: how many are in it, 0 for all.
    older: the record lacks what the first version of the suite did not write.
    """

    run: str
    state: str
    best: float | None = None
    rank1: float | None = None
    coverage: str = "full"
    noise: float = 0.03
    history: bool = True
    epochs: int = 0
    older: bool = False
    dirty: bool = False
    host: str = "made-up-host"
    detail: str = ""


def _done(cell: str, values: dict[int, float], rank1: float | None = None, **more: object) -> list[Planned]:
    return [Planned(f"{cell}/seed{seed}", "done", value, rank1, **more) for seed, value in values.items()]


PAPER = (
    # A clear gain, close to what was published.
    *_done("cub/deit_tiny/baseline", {0: 82.0, 1: 82.25, 2: 81.75}),
    *_done("cub/deit_tiny/dcal", {0: 84.5, 1: 84.75, 2: 84.25}, host=HOSTILE_HOST),
    # No difference shown.
    *_done("cub/deit_small/baseline", {0: 85.75, 1: 86.0, 2: 85.5}, noise=0.3, history=False),
    *_done("cub/deit_small/dcal", {0: 86.0, 1: 85.75, 2: 85.75}, noise=0.3, history=False),
    # Half of a pair is running.
    *_done("cub/deit_base/baseline", {0: 88.0}, history=False),
    Planned("cub/deit_base/dcal/seed0", "running", epochs=31),
    # Unequal seeds, and older records.
    *_done("cub/vit_base/baseline", {0: 90.75, 1: 90.5}, older=True, history=False),
    *_done("cub/vit_base/dcal", {1: 91.5, 2: 91.25}, older=True, history=False, dirty=True),
    # DCAL hurts.
    *_done("cars/deit_tiny/baseline", {0: 87.25, 1: 87.0, 2: 87.5}, history=False),
    *_done("cars/deit_tiny/dcal", {0: 83.25, 1: 82.75, 2: 83.5}, history=False),
    Planned("cars/deit_small/baseline/seed0", "failed", epochs=3, detail=HOSTILE_REASON),
    Planned("cars/deit_small/dcal/seed0", "queued", history=False),
    Planned("cars/deit_small/dcal/seed1", "queued", history=False),
    Planned("cars/deit_base/baseline/seed0", "failed", epochs=12, detail="without a word"),
    Planned("cars/deit_base/dcal/seed0", "damaged", history=False, detail="torn"),
    Planned("cars/vit_base/baseline/seed0", "running", epochs=1),
    Planned("cars/vit_base/dcal/seed0", "preempted", epochs=57),
    # On a subset: not compared with the paper.
    *_done("aircraft/deit_tiny/baseline", {0: 78.0}, coverage="subset", history=False),
    *_done("aircraft/deit_tiny/dcal", {0: 80.5}, coverage="subset", history=False),
    Planned("aircraft/deit_small/dcal/seed0", "stale", 90.0, history=False),
    # Re-identification: a clear gain, no difference shown, and a baseline alone.
    *_done("veri/deit_tiny/baseline", {0: 71.2, 1: 71.4, 2: 71.1}, 94.3),
    *_done("veri/deit_tiny/dcal", {0: 74.0, 1: 74.3, 2: 73.9}, 94.7),
    *_done("market/deit_small/baseline", {0: 84.2, 1: 84.4}, 93.7, noise=1.0, history=False),
    *_done("market/deit_small/dcal", {0: 84.5, 1: 84.3}, 93.8, noise=1.0, history=False, host=HOSTILE_HOST),
    *_done("msmt17/vit_base/baseline", {0: 61.3}, 81.2, history=False),
)

MINI = (
    *_done("cub/deit_tiny/baseline", {0: 68.75, 1: 70.0}, coverage="generated", noise=0.2),
    *_done("cub/deit_tiny/dcal", {0: 72.0, 1: 71.25}, coverage="generated", noise=0.2),
    *_done("aircraft/deit_small/baseline", {0: 62.5}, coverage="generated", noise=0.2),
    *_done("aircraft/deit_small/dcal", {0: 62.0}, coverage="generated", noise=0.2),
    *_done("market/deit_tiny/baseline", {0: 52.5}, 62.5, coverage="generated", noise=1.0),
    *_done("market/deit_tiny/dcal", {0: 38.0}, 40.0, coverage="generated", noise=1.0),
)

PLANS = {"paper": PAPER, "mini": MINI}
