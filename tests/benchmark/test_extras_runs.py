"""One short run of each of the paper's further backbones, mini stand-ins: what is trained and what the record holds."""

import json
import math

import pytest
import torch
from quick_runs import QUICK

from benchmark.config.grid import TABLES, select
from benchmark.config.resolve import load_profile, resolve
from benchmark.records.run_folder import locate_run, read_result
from benchmark.training import run
from benchmark.training.request import Infrastructure

SHORT = QUICK | {"train.epochs": 1}
REID_SHORT = {"train.epochs": 1, "train.warmup_epochs": 0, "evaluate.every": 1}
BRANCHES = {  # of the uncertainty weights, and of the evaluation besides both together
    "cub/cait_xs24/dcal": ({"sa", "glca", "pwca"}, {"sa", "glca"}),
    "cub/swin_tiny/dcal": ({"sa", "pwca"}, set()),
    "msmt17/swin_tiny/dcal": ({"sa", "pwca"}, set()),
}


def test_the_cases_are_the_pairs_of_the_extras():
    assert set(BRANCHES) == {f"{dataset}/{backbone}/dcal" for dataset, backbone in TABLES["extras"].pairs}


@pytest.mark.parametrize("cell_id", BRANCHES)
def test_a_run_trains_and_evaluates_the_branches_that_its_backbone_has(places, cell_id):
    (cell,) = select([cell_id])
    trained, evaluated = BRANCHES[cell_id]
    overrides = SHORT if cell.task == "fgvc" else REID_SHORT
    torch.set_num_threads(1)
    result = run.run_cell(
        cell, 0, "mini", places, overrides=overrides, infrastructure=Infrastructure(quiet=True)
    )
    folder = locate_run(resolve(cell, 0, load_profile("mini"), overrides), places.runs)
    assert read_result(folder) == (result, "")
    (epoch,) = map(json.loads, folder.history.read_text().splitlines())
    assert set(epoch["w"]) == trained
    assert all(math.isfinite(loss) for loss in epoch["loss"].values())
    primary = "top1" if cell.task == "fgvc" else "mAP"
    alone = {name for name in ("sa", "glca") if f"{name}_{primary}" in result["metrics"]}
    assert alone == evaluated
    assert result["weights"]["file"].startswith(f"mini_{cell.backbone}")
