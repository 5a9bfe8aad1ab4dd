"""Synthetic runs of the ablations, with the real settings of each cell."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from synthetic_runs import SyntheticRun, cell, done, with_ranking

from benchmark.config.grid import ablation_cells, named
from benchmark.config.resolve import Config, load_profile, resolve

IMAGES = 400


@dataclass(frozen=True)
class AblationRun(SyntheticRun):
    config: Config = None


@cache
def config_of(cell_id, seed=0, profile="mini"):
    return resolve(named(cell_id), seed, _profile(profile), {})


_profile = cache(load_profile)


def answers(right, seed=0, branches=("both", "sa", "glca")):
    """Predictions with ``right`` of IMAGES right in ``both``, five fewer in the branches alone."""
    random = np.random.default_rng(seed)
    labels = np.arange(IMAGES) % 10
    predictions = {"labels": labels.astype(np.int32)}
    order = random.permutation(IMAGES)
    for branch in branches:
        correct = np.isin(np.arange(IMAGES), order[: right if branch == "both" else right - 5])
        predictions[f"{branch}_correct"] = correct
        predictions[f"{branch}_predicted"] = np.where(correct, labels, (labels + 1) % 10).astype(np.int32)
        predictions[f"{branch}_probability"] = random.random(IMAGES).astype(np.float32)
    return predictions


def ablation(
    method, right, seed=0, *, profile="mini", answer_seed=0, weights="a", logits=None, coverage="generated"
):
    """A done run on CUB. answer_seed: of the random answers; logits: digests by branch, of the branches that it has."""
    cell_id = f"cub/deit_tiny/{method}"
    config = config_of(cell_id, seed, profile)
    with_glca = config.glca is not None
    predictions = answers(right, answer_seed, ("both", "sa", "glca") if with_glca else ("both",))
    metrics = {
        f"{branch}_top1": float(100 * predictions[f"{branch}_correct"].mean())
        for branch in ("sa", "glca")
        if with_glca
    }
    run = done(
        cell_id,
        seed,
        float(100 * predictions["both_correct"].mean()),
        table=named(cell_id).table,
        coverage=coverage,
        **metrics,
    )
    digests = logits or dict.fromkeys(("sa", "glca") if with_glca else ("sa",), weights * 64)
    run.result.update(
        {
            "config_hash": config.hash,
            "final_weights_sha256": weights * 64,
            "outputs_sha256": digests,
            "cost": {"train_seconds": 60.0, "peak_memory_bytes": 2**30, "attempts": 1},
        }
    )
    return AblationRun(run.cell, seed, "done", "", run.result, predictions, config)


def vehicles(method, mean_ap, seed=0, *, profile="mini", first=0, coverage="generated"):
    """A done run on VeRi-776; SA alone of DCAL has an mAP two points lower."""
    cell_id = f"veri/vit_base/{method}"
    branches = {"sa_mAP": mean_ap - 2.0, "sa_R1": 80.0} if method == "dcal" else {}
    unranked = done(cell_id, seed, None, table="table2", coverage=coverage, mAP=mean_ap, R1=90.0, **branches)
    run = with_ranking(unranked, first)
    predictions = dict(run.predictions)
    if branches:
        predictions["sa_ap"] = np.where(predictions["both_first_hit"] > 0, predictions["both_ap"] - 0.02, 0.0)
    return AblationRun(run.cell, seed, "done", "", run.result, predictions, config_of(cell_id, seed, profile))


def missing(cell_id, seed=0, profile="mini", state="missing", reason="not run"):
    twin = cell(cell_id, named(cell_id).table)
    return AblationRun(twin, seed, state, reason, config=config_of(cell_id, seed, profile))


def grid(*runs, seeds=(0,), profile="mini"):
    """These runs, and all other runs of the ablations as missing."""
    known = {(run.cell.id, run.seed): run for run in runs}
    every = [(grid_cell.id, seed) for grid_cell in ablation_cells() for seed in seeds]
    return [known.get(key) or missing(*key, profile) for key in every]


def same_as(run, method):
    """A run of another method with the same results as ``run``, bit for bit."""
    twin = ablation(method, 300, run.seed, profile=run.config.profile)
    same = ("metrics", "data", "final_weights_sha256", "outputs_sha256")
    result = twin.result | {name: run.result[name] for name in same}
    return replace(twin, result=result, predictions=run.predictions)


def some_of_each(profile="mini", coverage="generated"):
    """Two seeds: gain, no gain, loss, identical runs of other selections, R up to rounding, states, missing runs."""
    kind = {"profile": profile, "coverage": coverage}
    runs = []
    for seed in (0, 1):
        base = ablation("baseline", 300 + seed, seed, answer_seed=seed, **kind)
        glca = ablation("glca", 318 + seed, seed, answer_seed=seed, weights="b", **kind)
        near = {
            name: values + np.float32(1e-6) * (values < 0.5) if name.endswith("probability") else values
            for name, values in glca.predictions.items()
        }
        other = ablation("glca_r5", 318 + seed, seed, weights="c", **kind)
        runs += [
            base,
            glca,
            same_as(glca, "glca_random"),
            same_as(glca, "glca_attention"),
            replace(other, result=other.result | {"metrics": glca.result["metrics"]}, predictions=near),
            ablation("dcal", 330, seed, answer_seed=seed, weights="d", **kind),
            ablation("pwca", 302 + seed, seed, answer_seed=seed, weights="e", **kind),
            ablation("pwca_hardest", 270, seed, answer_seed=9 + seed, weights="f", **kind),
            vehicles("baseline", 78.0 + seed, seed, **kind),
            vehicles("dcal", 80.5 + seed, seed, first=30, **kind),
        ]
    runs.append(ablation("glca_mean", 310, 0, weights="1", **kind))
    runs.append(missing("cub/deit_tiny/pwca_t4", 0, profile, "failed", "CUDA out of memory"))
    return grid(*runs, seeds=(0, 1), profile=profile)
