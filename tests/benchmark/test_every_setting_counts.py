"""No dead options: changing any setting changes what a run computes."""

import pytest
import torch
from quick_runs import QUICK

from benchmark.config.grid import select
from benchmark.config.parse import setting_types
from benchmark.config.resolve import load_profile, resolve
from benchmark.config.settings import ONE_TASK
from benchmark.records.run_folder import locate_run
from benchmark.training import run
from benchmark.training.request import Infrastructure

BASE = {**QUICK, "train.epochs": 1}
MEAN = {"model.glca_readout": "mean"}  # with the class-token read-out the selection cannot matter
OTHER = {  # setting → (another value, settings under which it has a meaning)
    "data.resize": ((96, 96), {}),
    "data.crop": ((56, 56), {}),
    "data.flip": (0.0, {}),
    "data.test_crop": ("whole", {}),
    "data.class_limit": (4, {}),
    "data.drop_banner": (True, {}),
    "model.drop_path": (0.3, {}),
    "model.glca_blocks": (2, {}),
    "model.glca_ratio": (0.5, MEAN),
    "model.glca_init": ("random", {}),
    "model.glca_readout": ("mean", {}),
    "model.glca_select": ("random", MEAN),
    "model.glca_keys": ("local", {}),
    "model.pwca_blocks": (6, {}),
    "model.pwca_stream": ("figure", {}),
    "model.pwca_pairing": ("loader", {}),
    "model.pwca_regulariser": ("image_noise", {}),
    "model.pwca_noise": (0.5, {"model.pwca_regulariser": "image_noise"}),
    "model.w_init": (-1.0, {}),
    "train.epochs": (2, {}),
    "train.batch_size": (8, {}),
    "train.optimizer": ("adam", {}),
    "train.lr": (1e-3, {}),
    "train.lr_batch": (256, {}),
    "train.momentum": (0.5, {"train.optimizer": "sgd"}),
    "train.weight_decay": (0.5, {}),
    "train.precision": ("bfloat16", {}),
    "evaluate.every": (2, {"train.epochs": 3}),
}
REID_BASE = {"train.epochs": 1, "train.warmup_epochs": 0, "train.batch_size": 16, "evaluate.every": 1}
REID_BASE |= {"train.optimizer": "sgd", "train.decay_all": True}
WARM = {"train.epochs": 3, "train.warmup_epochs": 2}
REID = {
    "data.interpolation": ("area", {}),
    "data.pad": (0, {}),
    "data.erase": (0.0, {}),
    "data.normalise": ("half", {}),
    "data.merge_val": (False, {}),
    "train.instances": (2, {}),
    "train.bias_lr": (2.0, {"train.epochs": 2}),
    "train.decay_all": (False, {"train.weight_decay": 0.1}),
    "train.schedule": ("step", {}),
    "train.warmup_epochs": (1, WARM),
    "train.warmup_start": (0.5, WARM),
    "train.lr_min": (0.5, {}),
}
# Has a test of its own: it takes a picture whose name does not parse.
ELSEWHERE = {"data.skip_unparsable"}


def test_the_list_is_complete():
    assert OTHER.keys() | REID.keys() | ELSEWHERE == setting_types().keys()
    assert REID.keys() | ELSEWHERE == set(ONE_TASK["reid"])


@pytest.fixture(scope="module")
def computed(tmp_path_factory, mini_pictures):
    """What a run with some settings computes; runs with the same settings are made once."""
    from benchmark.config.places import MINI_WEIGHTS, Places

    places = Places(tmp_path_factory.mktemp("runs"), mini_pictures, MINI_WEIGHTS, generated=True)
    known = {}

    def compute(overrides, dataset="aircraft"):  # because the banner setting is about its pictures
        key = (dataset, *sorted(overrides.items()))
        if key not in known:
            (cell,) = select([f"{dataset}/deit_tiny/dcal"])
            config = resolve(cell, 0, load_profile("mini"), overrides)
            torch.set_num_threads(1)
            one = Places(places.runs / str(len(known)), places.data, places.weights, generated=True)
            run.run_cell(cell, 0, "mini", one, overrides=overrides, infrastructure=Infrastructure(quiet=True))
            files = locate_run(config, one.runs)
            history = [line.split('"seconds"')[0] for line in files.history.read_text().splitlines()]
            metrics = [line[line.find('"metrics"') :] for line in files.history.read_text().splitlines()]
            known[key] = (history, metrics, files.predictions.read_bytes())
        return known[key]

    return compute


@pytest.mark.parametrize("name", sorted(OTHER))
def test_changing_it_changes_what_is_computed(name, computed):
    value, context = OTHER[name]
    under = {**BASE, **context}
    assert computed(under) != computed({**under, name: value})


@pytest.mark.parametrize("name", sorted(REID))
def test_changing_it_changes_what_a_reid_run_computes(name, computed):
    value, context = REID[name]
    under = {**REID_BASE, **context}  # MSMT17, because it alone has a validation list
    assert computed(under, "msmt17") != computed({**under, name: value}, "msmt17")


def test_what_is_compared_repeats_where_a_setting_has_no_meaning(computed):
    assert computed(BASE) == computed({**BASE, "train.momentum": 0.5})  # AdamW has none
