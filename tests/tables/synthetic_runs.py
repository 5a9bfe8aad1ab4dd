"""Synthetic run records with every state, for the tests of the tables."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmark.config.backbones import BACKBONES
from benchmark.config.grid import TABLES, Cell

HOSTILE = r"<script>alert('x')</script> | a & b_c ~ ^ \ {x} 100% #1 $5 `code` *b* [l](u) --jobs 数据 é"
WEIGHTS_SHA256 = "0123456789abcdef" * 4
ALL_STATES = "missing no-data no-weights queued running preempted failed stale done".split()


@dataclass(frozen=True)
class SyntheticRun:
    cell: Cell
    seed: int
    state: str
    reason: str = ""
    result: dict | None = None
    predictions: Mapping[str, np.ndarray] | None = None

    @property
    def id(self):
        return f"{self.cell.id}/seed{self.seed}"


def cell(cell_id, table="table1"):
    return Cell(table, *cell_id.split("/"))


def done(
    cell_id, seed, top1, *, table="table1", coverage="full", text=None, dirty=False, commit="a" * 40, **more
):
    """A done run; ``more`` adds metrics."""
    result = {
        "schema": 1,
        "run": f"{cell_id}/seed{seed}",
        "config_hash": f"hash-{cell_id.replace('/', '-')}",
        "metrics": ({} if top1 is None else {"top1": top1}) | more,
        "data": {"coverage": coverage, "text": text or f"{coverage}: 200 classes"},
        "weights": {"tag": BACKBONES[cell_id.split("/")[1]].tag, "sha256": WEIGHTS_SHA256},
        "device": {"name": "Some CPU", "type": "cpu", "precision": "float32", "threads": 1, "world_size": 1},
        "provenance": {
            "commit": commit,
            "dirty": dirty,
            "started": f"2026-01-0{seed + 1}T10:00:00+00:00",
            "finished": f"2026-01-0{seed + 2}T10:00:00+00:00",
        },
        "best": {"epoch": 7, "top1": 99.9},
    }
    return SyntheticRun(cell(cell_id, table), seed, "done", "", result)


def with_answers(run, first=0, images=1000):
    """The run with predictions that give its top-1: ``images`` of ten classes, right from image ``first`` on."""
    right = round(run.result["metrics"]["top1"] * images / 100)
    correct = np.isin(np.arange(images), np.arange(first, first + right) % images)
    predictions = {"labels": np.arange(images, dtype=np.int32) % 10, "both_correct": correct}
    return dataclasses.replace(run, predictions=predictions)


def with_ranking(run, first=0, queries=1000, unanswered=3):
    """The run with predictions that give its mAP and R1, and ``unanswered`` queries that count in neither."""
    metrics, every = run.result["metrics"], queries + unanswered
    spread = np.where(np.arange(queries) % 2, 0.2, -0.2) * (-1 if first else 1)
    hit = np.where(
        np.isin(np.arange(queries), np.arange(first, first + round(metrics["R1"] * queries / 100)) % queries),
        1,
        4,
    )
    empty = np.zeros(unanswered)
    predictions = {
        "identities": np.arange(every, dtype=np.int32) // 4,
        "cameras": np.arange(every, dtype=np.int32) % 4,
        "both_ap": np.concatenate([metrics["mAP"] / 100 + spread, empty]),
        "both_first_hit": np.concatenate([hit, empty]).astype(np.int32),
    }
    predictions["both_rank1_correct"] = predictions["both_first_hit"] == 1
    return dataclasses.replace(run, predictions=predictions)


def other(cell_id, seed, state, reason="", table="table1"):
    return SyntheticRun(cell(cell_id, table), seed, state, reason)


def everything(coverage="full", seeds=(0, 1, 2)):
    """Table 1 with full cells, partial cells, unequal seeds, a subset, an old record, no predictions, every state."""
    words = {"full": None, "generated": "generated: 6 classes of drawn birds"}
    kind = {"coverage": coverage, "text": words[coverage]}
    runs = {}

    def put(*records):
        runs.update({(run.cell.id, run.seed): run for run in records})

    for seed, (before, after) in enumerate([(81.8, 84.3), (82.1, 84.9), (82.3, 84.6)]):
        put(with_answers(done("cub/deit_tiny/baseline", seed, before, top5=95.0 + seed, **kind)))
        branches = {"sa_top1": after - 1, "glca_top1": after - 2, "top5": 96.25}
        run = done("cub/deit_tiny/dcal", seed, after, dirty=seed == 2, commit="b" * 40, **branches, **kind)
        if seed == 2:
            run.result["weights"]["sha256"] = "e" * 64
        put(with_answers(run, first=20))
    # The baseline has seeds 0 and 1, DCAL has 1 and 2: one pair.
    put(*(with_answers(done("cub/deit_small/baseline", seed, 85.0 + seed, **kind)) for seed in (0, 1)))
    put(other("cub/deit_small/baseline", 2, "failed", "CUDA out of memory. Tried to allocate 2.00 GiB"))
    put(*(with_answers(done("cub/deit_small/dcal", seed, 87.0 + seed, **kind)) for seed in (1, 2)))
    put(other("cub/deit_small/dcal", 0, "running", "epoch 3 of 100"))
    # No common seed.
    put(done("cub/deit_base/baseline", 0, 88.0, **kind), done("cub/deit_base/dcal", 1, 88.5, **kind))
    # A hostile data text, and a record of an older schema with metrics only.
    put(*(done("cars/deit_tiny/baseline", seed, 60.5, coverage="subset", text=HOSTILE) for seed in seeds))
    old = {"schema": 1, "metrics": {"top1": 61.25}}
    put(*(SyntheticRun(cell("cars/deit_tiny/dcal"), seed, "done", "", dict(old)) for seed in seeds))
    put(*(done("cars/deit_small/baseline", seed, None) for seed in seeds))
    put(*(other("cars/deit_small/dcal", seed, "failed", HOSTILE + "\nmore " + "x" * 500) for seed in seeds))
    for state, cell_id in zip(
        [state for state in ALL_STATES if state != "done"],
        [cell.id for cell in TABLES["table1"].cells if cell.dataset == "aircraft"],
        strict=False,
    ):
        put(*(other(cell_id, seed, state, f"because of {state}") for seed in seeds))
    grid = [(cell, seed) for cell in TABLES["table1"].cells for seed in seeds]
    return [runs.get((c.id, seed)) or other(c.id, seed, "missing", "not run") for c, seed in grid]


def retrieval_runs():
    """Table 2 with MSMT17 in two versions, queries without a match, ties, branches, and a missing dataset."""
    runs = {}
    protocol = {"protocol": "single query; cosine distance"}

    def put(cell_id, seed, mean_ap, rank1, *, version="", evaluation=None, **branches):
        text = f"MSMT17 {version}, train + val: full" if version else "full: 10 identities"
        run = done(cell_id, seed, None, table="table2", text=text, mAP=mean_ap, R1=rank1, **branches)
        run.result["data"] |= {**protocol, "version": version}
        run.result["evaluation"] = {"queries": 1003, "queries_without_match": 0, "ties": 0} | (
            evaluation or {}
        )
        # VeRi-776 has predictions, of MSMT17 they were lost.
        runs[cell_id, seed] = run if version else with_ranking(run, first=30 if branches else 0)

    branches = {"sa_mAP": 73.0, "sa_R1": 94.0, "glca_mAP": 72.5, "glca_R1": 93.5, "R5": 97.0}
    put("veri/deit_tiny/baseline", 0, 71.0, 94.4, evaluation={"queries_without_match": 3})
    put("veri/deit_tiny/dcal", 0, 73.9, 94.6, evaluation={"queries_without_match": 3, "ties": 12}, **branches)
    put("msmt17/deit_tiny/baseline", 0, 42.0, 63.0, version="V1")
    put("msmt17/deit_tiny/dcal", 0, 45.0, 68.0, version="V1")
    put("msmt17/vit_base/baseline", 0, 61.0, 81.0, version="V1")
    put("msmt17/vit_base/dcal", 0, 59.0, 80.0, version="V2")
    grid = TABLES["table2"].cells
    empty = {cell: other(cell.id, 0, "no-data", "no such folder", table="table2") for cell in grid}
    return [runs.get((cell.id, 0)) or empty[cell] for cell in grid]


def extras_runs():
    """The extras, all done; DCAL with Swin has a single branch."""
    msmt17 = {"table": "extras", "text": "MSMT17 V1, train + val: full"}
    branches = {"sa_top1": 88.8, "glca_top1": 88.2, "top5": 98.5}
    return [
        with_answers(done("cub/cait_xs24/baseline", 0, 88.3, table="extras", top5=98.1)),
        with_answers(done("cub/cait_xs24/dcal", 0, 89.4, table="extras", **branches), first=20),
        with_answers(done("cub/swin_tiny/baseline", 0, 84.6, table="extras", top5=97.0)),
        with_answers(done("cub/swin_tiny/dcal", 0, 85.5, table="extras", top5=97.2), first=5),
        with_ranking(done("msmt17/swin_tiny/baseline", 0, None, mAP=55.0, R1=79.0, **msmt17)),
        with_ranking(done("msmt17/swin_tiny/dcal", 0, None, mAP=56.1, R1=79.5, **msmt17), first=30),
    ]
