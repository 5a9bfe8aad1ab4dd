"""Ablation runs beside a made-up sweep's own, copied from them: twins, other roundings, a loss, a failure, the rest not
run.
"""

import json
import shutil

import numpy as np

from benchmark.atomic import file_sha256
from benchmark.config.grid import named
from benchmark.config.resolve import load_profile, resolve

CUB = "cub/deit_tiny"
DIGESTS = {"sa": "5" * 64, "glca": "6" * 64}
# method → what it is a copy of, weights' digest, by how much its probabilities are off
DONE = {
    "glca": ("dcal", "b", 0.0),
    "glca_random": ("dcal", "b", 0.0),
    "glca_attention": ("dcal", "b", 0.0),
    "glca_r5": ("dcal", "c", 2e-6),
    "glca_m2": ("dcal", "d", 0.1),
    "pwca": ("baseline", "e", 0.0),
    "pwca_t1": ("baseline", "f", 0.0),
}
FAILED = "pwca_t8"


def leave_ablations(runs, profile="mini", seeds=(0,), **result):
    """Write them; ``result`` changes the records."""
    for seed in seeds:
        for method, (of, weights, off) in DONE.items():
            folder = runs / profile / CUB / method / f"seed{seed}"
            shutil.copytree(runs / profile / CUB / of / f"seed{seed}", folder)
            if off:
                _shift(folder / "predictions.npz", off)
            _stamp(folder, method, seed, profile, weights, result)
        failed = runs / profile / CUB / FAILED / f"seed{seed}"
        failed.mkdir(parents=True)
        (failed / "outcome.json").write_text(
            json.dumps({"state": "failed", "message": "a <b>made-up</b> error"})
        )
        (failed / "claim.1").write_text("{}")


def _shift(path, off):
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    for name in ("sa_probability", "glca_probability", "both_probability"):
        arrays[name] = np.float32(arrays[name] * (1 - off))
    np.savez_compressed(path, **arrays)


def _stamp(folder, method, seed, profile, weights, changes):
    config = resolve(named(f"{CUB}/{method}"), seed, load_profile(profile), {})
    started = json.loads((folder / "config.json").read_text())
    started |= {"run": config.run_id, "hash": config.hash, "identity": dict(config.identity)}
    (folder / "config.json").write_text(json.dumps(started))
    record = json.loads((folder / "result.json").read_text())
    with_glca = config.glca is not None
    record |= {
        "run": config.run_id,
        "cell": config.cell.id,
        "config_hash": config.hash,
        "final_weights_sha256": weights * 64,
        "predictions_sha256": file_sha256(folder / "predictions.npz"),
        "outputs_sha256": {
            branch: digest if weights == "b" else weights * 64
            for branch, digest in DIGESTS.items()
            if with_glca or branch == "sa"
        },
        **changes,
    }
    (folder / "result.json").write_text(json.dumps(record))
