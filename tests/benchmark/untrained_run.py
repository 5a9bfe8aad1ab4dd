"""A finished run's folder with a model that never trained, without the time that training takes."""

import numpy as np
import torch
from result_example import REID_RESULT, RESULT

from benchmark.atomic import file_sha256, write_json
from benchmark.config.grid import named
from benchmark.config.resolve import load_profile, resolve
from benchmark.records.run_folder import locate_run, write_result
from benchmark.training import checkpoint
from benchmark.training.models import build_model

CLASSES = tuple(f"{number:03}.bird" for number in range(10))


def finished_run(runs, cell="cub/deit_tiny/dcal", **overrides):
    """(folder, config, model) of a run that its records call done. overrides: settings, dots as two underscores."""
    settings = {name.replace("__", "."): value for name, value in overrides.items()}
    config = resolve(named(cell), 0, load_profile("mini"), settings)
    folder = locate_run(config, runs)
    folder.make()
    torch.manual_seed(1)
    model = build_model(config, len(CLASSES), weights="random").eval()
    with open(folder.predictions, "wb") as stream:
        np.savez(stream, **({"classes": np.array(CLASSES)} if config.cell.task == "fgvc" else {}))
    write_json(
        folder.config,
        {"run": config.run_id, "profile": "mini", "hash": config.hash, "identity": dict(config.identity)},
    )
    checkpoint.save(folder, {"hash": config.hash, "model": model.state_dict(), "weighting": {}, "book": "{}"})
    example = RESULT if config.cell.task == "fgvc" else REID_RESULT
    found = {
        "run": config.run_id,
        "cell": config.cell.id,
        "config_hash": config.hash,
        "final_weights_sha256": checkpoint.weights_sha256(model.state_dict()),
        "predictions_sha256": file_sha256(folder.predictions),
        "provenance": {
            "commit": "d" * 40,
            "dirty": False,
            "host": "someones-laptop",
            "command": "/home/x/run",
        },
    }
    write_result(folder, {**example, **found})
    return folder, config, model
